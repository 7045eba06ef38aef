"""Estimators of a target policy's value from logged decisions: pure functions on arrays.

All take importance weights w_i = P_target(action_i) / P_logging(action_i) and rewards r_i, both (rows,).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec
import numpy as np

from edgewise.errors import InputError
from hub.evaluation.bootstrap import RESAMPLES, percentile_interval, resampled_sums
from hub.evaluation.logged import Floats, Integers


class EstimatorName(StrEnum):
    """What `--estimator` accepts."""

    IPS = "ips"
    SNIPS = "snips"


_PLANNED: Final = ("dm", "dr", "sndr", "switch-dr", "dros")


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """One estimator's word on a policy's value per row; what is undefined is NaN, `null` in JSON."""

    estimate: float
    ci_low: float
    """Of the 95 % interval: bootstrap percentiles over decisions."""
    ci_high: float
    stderr: float
    ess: float
    max_weight: float


def estimator_names(text: str) -> tuple[EstimatorName, ...]:
    """`ips,snips` as names, each once, in order. Raises InputError for an unknown one."""
    names: list[EstimatorName] = []
    for word in dict.fromkeys(part.strip().lower() for part in text.split(",")):
        if word in _PLANNED:
            raise InputError(f"estimator {word!r} is not available yet; there are: {', '.join(EstimatorName)}")
        if word not in set(EstimatorName):
            raise InputError(f"no estimator {word!r}; there are: {', '.join(EstimatorName)}")
        names.append(EstimatorName(word))
    return tuple(names)


def importance_weights(target: Floats, propensity: Floats) -> Floats:
    """P_target / P_logging of what was shown. Propensities must be positive."""
    return target / propensity


def ips(weights: Floats, rewards: Floats) -> float:
    """Inverse propensity score: mean of w r.

    Unbiased when every action that the target may show has a positive logging probability. Horvitz, Thompson
    1952, *A generalization of sampling without replacement from a finite universe*, JASA 47(260).
    """
    return float(np.mean(weights * rewards))


def snips(weights: Floats, rewards: Floats) -> float:
    """Self-normalised: sum of w r over sum of w; NaN when no weight is positive.

    Always within the range of the rewards and unmoved by a constant factor on the weights, at the price of a
    bias of order 1/n. Swaminathan, Joachims 2015, *The self-normalized estimator for counterfactual learning*,
    NIPS 28.
    """
    total = float(np.sum(weights))
    return float(np.sum(weights * rewards)) / total if total > 0 else float("nan")


def effective_sample_size(weights: Floats) -> float:
    """(sum w)^2 / sum w^2: how many equally weighted rows would be as informative; 0 without any weight.

    Kish 1965, *Survey Sampling*. Unmoved by a constant factor, n for equal weights.
    """
    largest = float(np.max(weights, initial=0.0))
    if largest <= 0:
        return 0.0
    scaled = weights / largest  # the squares of a million-weight outlier must not overflow
    return float(np.sum(scaled) ** 2 / np.sum(scaled**2))


def ratio_stderr(numerator: Floats, denominator: Floats) -> float:
    """Standard error of sum(numerator) / sum(denominator) over independent units, linearised; NaN when undefined.

    With a denominator of ones it is the standard error of a mean. Cochran 1977, *Sampling Techniques*, section
    2.11.
    """
    units, total = len(numerator), float(np.sum(denominator))
    if units < 2 or total <= 0:  # noqa: PLR2004  # one unit has no spread
        return float("nan")
    residual = numerator - float(np.sum(numerator)) / total * denominator
    return float(np.sqrt(units / (units - 1) * np.sum(residual**2)) / total)


def estimate(
    names: Sequence[EstimatorName],
    weights: Floats,
    rewards: Floats,
    decision: Integers,
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> dict[str, Estimate]:
    """Each estimator with its 95 % interval and standard error.

    Rows of one `decision` (rows,) are one unit: the places of a slate are not independent. All estimators share
    the same resamples, so their intervals can be compared.
    """
    _, unit = np.unique(decision, return_inverse=True)
    weighted = _per_unit(weights * rewards, unit)
    denominators: dict[EstimatorName, Floats] = {
        EstimatorName.IPS: _per_unit(np.ones(len(rewards)), unit),
        EstimatorName.SNIPS: _per_unit(weights, unit),
    }
    points = {EstimatorName.IPS: ips, EstimatorName.SNIPS: snips}
    sums = resampled_sums(np.stack([weighted, *denominators.values()], axis=1), resamples, rng)
    resampled_weighted = sums[:, 0]
    found: dict[str, Estimate] = {}
    for place, (name, denominator) in enumerate(denominators.items(), 1):
        if name not in names:
            continue
        total = sums[:, place]
        replicates = np.divide(resampled_weighted, total, out=np.full(resamples, np.nan), where=total > 0)
        low, high = percentile_interval(replicates)
        found[name.value] = Estimate(
            estimate=points[name](weights, rewards),
            ci_low=low,
            ci_high=high,
            stderr=ratio_stderr(weighted, denominator),
            ess=effective_sample_size(weights),
            max_weight=float(np.max(weights, initial=0.0)),
        )
    return {name.value: found[name.value] for name in names}


def _per_unit(values: Floats, unit: Integers) -> Floats:
    return np.asarray(np.bincount(unit, values), np.float64)
