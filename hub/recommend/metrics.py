"""How good ranked lists are: one number per user, so that an interval over users can be drawn.

Two NDCGs are in use. *Cut* divides by the ideal list of min(k, held-back items); *uncut* by the ideal list of all
held-back items. The same lists score .44 and .29 on MovieLens 100k: a report always says which.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hub.recommend.interactions import Matrix

MEASURES: Final = ("precision", "recall", "hit_rate", "mrr", "ndcg_cut", "ndcg_uncut")
NOTHING: Final = -1
"""In a list: there was no item left to recommend."""

Floats = npt.NDArray[np.float64]
Lists = npt.NDArray[np.int32]
"""Users x k item codes, best first."""


class Interval(NamedTuple):
    """A mean with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


def best(scores: Floats, seen: Matrix, k: int) -> Lists:
    """The k best items per user that the user has not seen; ties go to the lower code.

    `scores` and `seen` are users x items. A list is filled up with `NOTHING`.
    """
    users, items = scores.shape
    lists = np.full((users, k), NOTHING, dtype=np.int32)
    for user in range(users):
        worth = -scores[user]
        worth[seen.indices[seen.indptr[user] : seen.indptr[user + 1]]] = np.inf
        # A full stable sort costs five times as much; what ties with the last place must stay in, though.
        bound = np.partition(worth, k - 1)[k - 1] if k < items else np.inf
        places = np.flatnonzero((worth <= bound) & (worth < np.inf))
        top = places[np.argsort(worth[places], kind="stable")][:k]
        lists[user, : len(top)] = top
    return lists


def per_user(lists: Lists, wanted: Matrix, ks: tuple[int, ...]) -> dict[str, Floats]:
    """Each measure at each k, by the key `measure@k`, one number per user.

    `wanted`: users x items, the held-back items of each user; each user has at least one. `lists` are at least
    max(ks) long.
    """
    users, length = lists.shape
    hits = np.zeros((users, length), dtype=np.bool_)
    for user in range(users):
        hits[user] = np.isin(lists[user], wanted.indices[wanted.indptr[user] : wanted.indptr[user + 1]])
    size = np.diff(wanted.indptr)
    gain = 1.0 / np.log2(np.arange(2, max(length, int(size.max(initial=0))) + 2))
    ideal = np.concatenate([[0.0], np.cumsum(gain)])
    found: dict[str, Floats] = {}
    for k in ks:
        hit = hits[:, :k]
        count = hit.sum(axis=1)
        first = np.argmax(hit, axis=1)
        gained = hit @ gain[:k]
        found[f"precision@{k}"] = count / k
        found[f"recall@{k}"] = count / size
        found[f"hit_rate@{k}"] = (count > 0).astype(np.float64)
        found[f"mrr@{k}"] = np.where(count > 0, 1.0 / (first + 1), 0.0)
        found[f"ndcg_cut@{k}"] = gained / ideal[np.minimum(size, k)]
        found[f"ndcg_uncut@{k}"] = gained / ideal[size]
    return found


def coverage(lists: Lists, k: int, learned: npt.NDArray[np.bool_]) -> float:
    """The share of the learned items (a flag per item) that is in at least one list of k."""
    shown = np.unique(lists[:, :k])
    return float(np.count_nonzero(learned[shown[shown != NOTHING]]) / np.count_nonzero(learned))


def bootstrap(values: dict[str, Floats], *, seed: int, resamples: int = 1_000) -> dict[str, Interval]:
    """Mean and percentile interval of each measure over users drawn with replacement (Efron 1979).

    All measures share the draws. Users, not rows, are drawn: the rows of one user hang together.
    """
    names = list(values)
    table = np.column_stack([values[name] for name in names])
    users = len(table)
    generator = np.random.default_rng(seed)
    means = np.empty((resamples, len(names)))
    for draw in range(resamples):
        times = np.bincount(generator.integers(users, size=users), minlength=users)
        means[draw] = times @ table / users
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    mean = table.mean(axis=0)
    return {name: Interval(float(mean[at]), float(low[at]), float(high[at])) for at, name in enumerate(names)}
