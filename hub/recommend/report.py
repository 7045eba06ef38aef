"""One trial of a method: learn from one part, recommend, judge by the other; the numbers that are reported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from edgewise.errors import InputError
from hub.recommend.interactions import Codes, Interactions, Matrix, matrix, moments
from hub.recommend.lessons import Lessons
from hub.recommend.methods import Recommender, method_named
from hub.recommend.metrics import Floats, Lists, best, bootstrap, coverage, per_user
from hub.recommend.split import Divided

_USERS_AT_ONCE: Final = 1_000
_FEW_USERS: Final = 50


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial found. `metrics` and `intervals` have one key `measure@k` each."""

    method: str
    settings: dict[str, float]
    split: str
    seed: int
    interactions: dict[str, int]
    """`train`, `valid` and `test` rows."""
    users: dict[str, int]
    """`all` of the file, `judged`, and of these `without_history`: they got the most popular items."""
    items: dict[str, int]
    """`all` of the file, and `learned`: those with an interaction in train."""
    metrics: dict[str, float]
    """Means over the judged users. `coverage` is the share of the learned items in anybody's list."""
    intervals: dict[str, tuple[float, float]]
    """95 %, by bootstrap over users."""
    warnings: list[str]

    def as_json(self) -> dict[str, Any]:
        """The report as a file or a program gets it: each metric stands at the top level, too."""
        return {**self.metrics, **msgspec.to_builtins(self)}


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


def trial(
    interactions: Interactions,
    divided: Divided,
    *,
    method: str,
    settings: dict[str, float],
    split: str,
    ks: tuple[int, ...],
    seed: int,
) -> Report:
    """Fit `method` on the train rows and judge it by the test rows, as `judge` does. `seed` draws the intervals.

    Raises InputError when no two items were used by one user, or when nobody is left to be judged.
    """
    everything = matrix(interactions, np.arange(len(interactions)))
    if np.diff(everything.indptr).max() < 2:  # noqa: PLR2004  # a pair
        raise InputError(f"each of {len(interactions.users):,} users has one item: nothing goes together")
    lessons = Lessons(interactions, divided.train)
    chosen = method_named(method)
    judged = judge(chosen.fit(lessons, settings), interactions, divided, ks=ks, by_time=chosen.by_time)
    learned = lessons.popularity > 0
    intervals = bootstrap(judged.values, seed=seed)
    without = int(np.count_nonzero(judged.history_length == 0))
    return Report(
        method=method,
        settings=settings,
        split=split,
        seed=seed,
        interactions={part: len(rows) for part, rows in divided._asdict().items()},
        users={"all": len(interactions.users), "judged": len(judged.users), "without_history": without},
        items={"all": len(interactions.items), "learned": int(np.count_nonzero(learned))},
        metrics={
            **{name: found.mean for name, found in intervals.items()},
            **{f"coverage@{k}": coverage(judged.lists, k, learned) for k in ks},
        },
        intervals={name: (found.low, found.high) for name, found in intervals.items()},
        warnings=list(_warnings(len(judged.users), without)),
    )


def _lists(recommend: Recommender, histories: Matrix, seen: Matrix, k: int) -> Lists:
    """The k best per user; scores are dense, so that only some users are scored at once."""
    blocks = [
        best(recommend(histories[start:end]), seen[start:end], k)
        for start in range(0, histories.shape[0], _USERS_AT_ONCE)
        for end in [start + _USERS_AT_ONCE]
    ]
    return np.concatenate(blocks)


def _warnings(judged: int, without_history: int) -> Iterator[str]:
    if without_history:
        yield (
            f"{without_history:,} of {judged:,} judged users have no interaction in train: they got the most "
            "popular items"
        )
    if judged < _FEW_USERS:
        yield f"only {judged} users are judged: the intervals are rough"
