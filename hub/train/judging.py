"""How good a ranker is on outcomes that came later than everything it learned from.

One question a choice: at which place would the item that was wanted next have stood? Beside the model stand what it
must beat: the retrieval's own order (neighbours, filled up by an attribute), and the rule of the opted-out arm.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from hub.evaluation.bootstrap import percentile_interval, resampled_sums
from hub.train.dataset import RankingRows
from hub.train.shop import NOWHERE, best_rank

RESAMPLES: Final = 2_000
Ranks = NDArray[np.int64]


class Estimate(msgspec.Struct, frozen=True):
    """A mean over choices with its 95 % interval by bootstrap over visitors, whose choices hang together."""

    estimate: float
    ci_low: float
    ci_high: float


class Judged(msgspec.Struct, frozen=True):
    """Measures of one group of visitors."""

    visitors: int
    choices: int
    measures: dict[str, Estimate]
    """`hit_rate@K` and `mrr@K`: of the model, `of the rule`, `of the retrieval`, how far it is above them."""


def model_ranks(rows: RankingRows, scores: NDArray[np.floating]) -> Ranks:
    """The place, from 0, that `scores` (n,) give the best wanted item of each choice, earlier rows first among equals.

    NOWHERE where the retrieval does not bring it: such a row is there to learn from, not to be counted.
    """
    starts = np.cumsum(rows.size) - rows.size
    wanted = rows.label > 0
    return np.array(
        [
            best_rank(scores[start : start + retrieved], wanted[start : start + retrieved])
            for start, retrieved in zip(starts.tolist(), rows.retrieved.tolist(), strict=True)
        ],
        np.int64,
    )


def judge(rows: RankingRows, ranks: Ranks, *, k: int, is_known: NDArray[np.bool_], seed: int) -> dict[str, Judged]:
    """Judge the first `k` places: for all visitors, those who are known, those who are new, where there are any.

    `is_known`: (visitors of the history,), whether the items were fitted on something of this visitor.
    """
    known = is_known[rows.visitor]
    groups = {"all": np.ones(rows.choices, np.bool_), "known": known, "new": ~known}
    return {name: _judge(rows, ranks, k, group, seed) for name, group in groups.items() if group.any()}


def above(rows: RankingRows, ranks: Ranks, other: Ranks, *, k: int, seed: int) -> Estimate:
    """How far the hit rate of the first `k` places of `ranks` is above that of `other`, on the same choices."""
    return _estimates(rows.visitor, {"": _hits(ranks, k) - _hits(other, k)}, seed)[""]


def _judge(rows: RankingRows, ranks: Ranks, k: int, group: NDArray[np.bool_], seed: int) -> Judged:
    hit, rule, retrieval = (_hits(of[group], k) for of in (ranks, rows.rank_by_rule, rows.rank_by_retrieval))
    values = {
        f"hit_rate@{k}": hit,
        f"hit_rate@{k} of the rule": rule,
        f"hit_rate@{k} of the retrieval": retrieval,
        f"hit_rate@{k} above the rule": hit - rule,
        f"hit_rate@{k} above the retrieval": hit - retrieval,
        f"mrr@{k}": _reciprocal(ranks[group], k),
        f"mrr@{k} of the rule": _reciprocal(rows.rank_by_rule[group], k),
        f"mrr@{k} of the retrieval": _reciprocal(rows.rank_by_retrieval[group], k),
        "retrieved": (rows.rank_by_retrieval[group] < NOWHERE).astype(np.float64),
    }
    measures = _estimates(rows.visitor[group], values, seed)
    return Judged(len(np.unique(rows.visitor[group])), int(group.sum()), measures)


def _estimates(visitor: NDArray[np.int32], values: dict[str, NDArray[np.float64]], seed: int) -> dict[str, Estimate]:
    _, unit = np.unique(visitor, return_inverse=True)
    columns = [np.bincount(unit), *(np.bincount(unit, value) for value in values.values())]
    sums = resampled_sums(np.column_stack(columns).astype(np.float64), RESAMPLES, np.random.default_rng(seed))
    measures = {}
    for position, (name, value) in enumerate(values.items(), 1):
        low, high = percentile_interval(sums[:, position] / sums[:, 0])
        measures[name] = Estimate(float(value.mean()), low, high)
    return measures


def _hits(ranks: Ranks, k: int) -> NDArray[np.float64]:
    return (ranks < k).astype(np.float64)


def _reciprocal(ranks: Ranks, k: int) -> NDArray[np.float64]:
    return np.where(ranks < k, 1.0 / (ranks + 1.0), 0.0)
