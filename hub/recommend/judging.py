"""A recommender judged by what was held back from it."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edgewise.errors import InputError
from hub.recommend.interactions import Codes, Interactions, Matrix, matrix, moments
from hub.recommend.methods import Recommender
from hub.recommend.metrics import Floats, Lists, best, per_user
from hub.recommend.split import Divided

_USERS_AT_ONCE: Final = 1_000


class Judged(NamedTuple):
    """What a recommender gave to those with something held back."""

    users: Codes
    """Their codes, rising; all below have one row for each of them."""
    lists: Lists
    values: dict[str, Floats]
    """Each measure at each k, by the key `measure@k`."""
    history_length: npt.NDArray[np.intp]
    """How many items each of them has in train."""


def judge(
    recommend: Recommender, interactions: Interactions, divided: Divided, *, ks: tuple[int, ...], by_time: bool = False
) -> Judged:
    """Recommend from the train rows, judge by the test rows.

    Only users with at least one item in test are judged. What a user has in train or valid is neither recommended nor
    wanted. `by_time`: the recommender takes `moments`.

    Raises InputError when nobody is left to be judged.
    """
    seen = matrix(interactions, np.concatenate([divided.train, divided.valid]))
    wanted = matrix(interactions, divided.test)
    wanted = wanted - wanted.multiply(seen > 0)
    wanted.eliminate_zeros()
    judged = np.flatnonzero(np.diff(wanted.indptr))
    if not len(judged):
        raise InputError("nobody can be judged: every held-back item was also learned for its user")
    history = (moments if by_time else matrix)(interactions, divided.train)
    lists = _lists(recommend, history[judged], seen[judged], max(ks))
    values = per_user(lists, wanted[judged], ks)
    return Judged(judged.astype(np.int32), lists, values, np.diff(history.indptr)[judged])


def _lists(recommend: Recommender, histories: Matrix, seen: Matrix, k: int) -> Lists:
    """The k best per user; scores are dense, so that only some users are scored at once."""
    blocks = [
        best(recommend(histories[start:end]), seen[start:end], k)
        for start in range(0, histories.shape[0], _USERS_AT_ONCE)
        for end in [start + _USERS_AT_ONCE]
    ]
    return np.concatenate(blocks)
