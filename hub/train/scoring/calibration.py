"""Whether predictions come true: of the rows that were given about 0.3, do three in ten turn out so?

On rows that the model was not fitted on, cut into ten groups of equal size by what was predicted. A group says the mean
prediction and the mean of what happened, with its 95 % interval. The slope and intercept are Cox's ("Two further
applications of a model for binary regression", 1958): 1 and 0 is calibrated, a slope below 1 is too sure of itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError
from hub.export.calibration import Platt
from hub.train.scoring.choices import ScoreKind
from hub.train.scoring.metrics import Floats

GROUPS: Final = 10
Z: Final = 1.959964
"""The 97.5 % point of the normal distribution."""
TINY: Final = 1e-7
"""Probabilities are kept this far from 0 and 1 before a logarithm of odds."""


class Group(msgspec.Struct, frozen=True):
    """Rows of similar predictions."""

    rows: int
    predicted: float
    """Mean."""
    observed: float
    """Mean: a share for a class."""
    ci_low: float
    """95 % interval of `observed`: Wilson's for a share, else normal."""
    ci_high: float


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Of one class, or of a quantity."""

    of: str
    """The class, or the target."""
    groups: list[Group]
    error: float
    """Mean |predicted - observed| over the groups, by rows; of a class it is the expected calibration error."""
    slope: float | None = None
    """Of the observed log-odds over the predicted ones; None for a quantity, or where a class is in no row."""
    intercept: float | None = None


def calibrations(
    kind: ScoreKind, target: str, classes: Sequence[str], truth: NDArray[Any], scores: Floats
) -> list[Calibration]:
    """One for the second class of two, one for each of several, or one for a quantity.

    `truth` is (n,) class numbers or quantities, `scores` (n,) or (n, K).
    """
    if kind is ScoreKind.BINARY:
        return [_of_class(classes[1], truth == 1, scores)]
    if kind is ScoreKind.MULTICLASS:
        return [_of_class(name, truth == number, scores[:, number]) for number, name in enumerate(classes)]
    groups = _grouped(truth.astype(np.float64), scores, is_share=False)
    return [Calibration(of=target, groups=groups, error=_error(groups))]


def _of_class(name: str, happened: NDArray[np.bool_], chances: Floats) -> Calibration:
    groups = _grouped(happened.astype(np.float64), chances, is_share=True)
    bounded = np.clip(chances, TINY, 1 - TINY)
    try:
        fitted = Platt.fit(np.log(bounded / (1 - bounded)), happened.astype(np.int64))
    except InputError:
        return Calibration(of=name, groups=groups, error=_error(groups))
    return Calibration(
        of=name, groups=groups, error=_error(groups), slope=fitted.slopes[0], intercept=fitted.intercepts[0]
    )


def _grouped(observed: Floats, predicted: Floats, *, is_share: bool) -> list[Group]:
    """Equal predictions stay together, so there may be fewer groups than ten."""
    order = np.argsort(predicted, kind="stable")
    ranks = np.searchsorted(predicted[order], predicted, side="left")
    numbers = np.minimum(ranks * GROUPS // len(predicted), GROUPS - 1)
    return [_group(observed[numbers == one], predicted[numbers == one], is_share) for one in np.unique(numbers)]


def _group(observed: Floats, predicted: Floats, is_share: bool) -> Group:  # noqa: FBT001  # of a private function
    count, mean = len(observed), float(observed.mean())
    if is_share:
        low, high = wilson(mean, count)
    else:
        reach = Z * float(observed.std(ddof=1)) / count**0.5 if count > 1 else float("nan")
        low, high = mean - reach, mean + reach
    return Group(count, float(predicted.mean()), mean, low, high)


def wilson(share: float, count: int) -> tuple[float, float]:
    """95 % interval of a share. E. B. Wilson, "Probable inference", 1927."""
    centre = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    reach = Z / (1 + Z**2 / count) * (share * (1 - share) / count + Z**2 / (4 * count**2)) ** 0.5
    return max(0.0, centre - reach), min(1.0, centre + reach)


def _error(groups: Sequence[Group]) -> float:
    rows = sum(group.rows for group in groups)
    return sum(group.rows * abs(group.predicted - group.observed) for group in groups) / rows
