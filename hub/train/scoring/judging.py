"""How a model is judged: rows held back, fold by fold or in a file of their own, and intervals that say which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError
from hub.train.scoring.metrics import Floats, Metric
from hub.train.scoring.target import Target

LEVEL = 0.95
UNBOUNDED_BELOW = frozenset({"r2", "deviance_explained"})
AT_MOST_ONE = frozenset(
    {"auc", "average_precision", "brier", "accuracy", "f1_macro", "macro_auc", "r2", "deviance_explained"}
)
MOST_RESAMPLES = 1_000
FEWEST_RESAMPLES = 100
BOOTSTRAP_WORK = 2e7
"""Rows times resamples: what keeps the bootstrap of a big test file within seconds."""

Rows = NDArray[np.int64]


class Fold(NamedTuple):
    """Row numbers to learn from and to judge on."""

    train: Rows
    test: Rows


class Measured(msgspec.Struct, frozen=True):
    """One metric with its 95 % interval."""

    mean: float
    ci_low: float
    ci_high: float


def folds(target: Target, count: int, *, seed: int, time: Floats | None) -> Iterator[Fold]:
    """Divide the rows of a target: at random (classes in proportion), or by time.

    With `time` each fold learns from everything before the rows that it is judged on: `count` + 1 stretches of
    equal size, and the first is only learned from.

    Raises:
        InputError: a class has fewer rows than there are folds, or a stretch of time lacks a class.
    """
    from sklearn.model_selection import KFold, StratifiedKFold, TimeSeriesSplit

    if time is not None:
        order = np.argsort(time, kind="stable")
        for train, test in TimeSeriesSplit(count).split(order):
            fold = Fold(order[train], order[test])
            _check_classes(target, fold)
            yield fold
        return
    if not target.kind.has_classes:
        divided = KFold(count, shuffle=True, random_state=seed).split(target.values)
    else:
        sizes = np.bincount(target.values, minlength=len(target.classes))
        if sizes.min() < count:
            rare = target.classes[int(sizes.argmin())]
            raise InputError(
                f"target {target.name!r} is {rare!r} in {sizes.min()} rows; expected at least {count} for {count} folds"
            )
        divided = StratifiedKFold(count, shuffle=True, random_state=seed).split(target.values, target.values)
    for train, test in divided:
        yield Fold(train, test)


def _check_classes(target: Target, fold: Fold) -> None:
    if not target.kind.has_classes:
        return
    for part, rows in (("learned from", fold.train), ("judged on", fold.test)):
        present = np.unique(target.values[rows])
        if len(present) < len(target.classes):
            absent = next(name for index, name in enumerate(target.classes) if index not in present)
            raise InputError(f"by time, a stretch that is {part} has no row of class {absent!r}: use fewer folds")


def over_folds(measured: Sequence[dict[str, float]]) -> dict[str, Measured]:
    """Mean over the folds and a t-interval of the fold means, cut to what the metric can be.

    The folds share training rows, so their means are not quite independent and the interval is somewhat narrow
    (Nadeau and Bengio, "Inference for the generalization error", 2003).
    """
    from scipy import stats

    result = {}
    for name in measured[0]:
        values = np.array([fold[name] for fold in measured])
        reach = stats.t.ppf(0.5 + LEVEL / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
        mean = float(values.mean())
        low = mean - reach if name in UNBOUNDED_BELOW else max(mean - reach, 0.0)
        high = min(mean + reach, 1.0) if name in AT_MOST_ONE else mean + reach
        result[name] = Measured(mean, float(low), float(high))
    return result


def over_rows(
    metrics: Mapping[str, Metric], truth: NDArray[np.generic], scores: Floats, *, seed: int
) -> dict[str, Measured]:
    """The metrics of one test set, with percentile intervals of a bootstrap over its rows."""
    rng = np.random.default_rng(seed)
    rows = len(truth)
    resamples = int(np.clip(BOOTSTRAP_WORK / rows, FEWEST_RESAMPLES, MOST_RESAMPLES))
    drawn = {name: np.empty(resamples) for name in metrics}
    for index in range(resamples):
        weights = np.bincount(rng.integers(0, rows, size=rows), minlength=rows).astype(np.float64)
        for name, metric in metrics.items():
            drawn[name][index] = metric(truth, scores, weights)
    ones = np.ones(rows)
    result = {}
    for name, metric in metrics.items():
        low, high = np.nanpercentile(drawn[name], [50 - 50 * LEVEL, 50 + 50 * LEVEL])
        result[name] = Measured(metric(truth, scores, ones), float(low), float(high))
    return result
