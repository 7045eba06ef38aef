"""How far to trust heavy weights: Switch-DR drops those above a threshold, DRos bends all of them.

Both give up being unbiased for a smaller variance, and both choose how much by an estimate of the mean squared error
from the log itself: the variance of what is kept, plus the square of what may have been lost.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from hub.evaluation.estimators import Predictions, Terms, dr, point, standard_error, thinned
from hub.evaluation.logged import Floats, Integers

_QUANTILES: Final = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""Of the positive weights: the thresholds that are tried, beside keeping everything."""
_SCALES: Final = np.geomspace(0.01, 1e4, 25)
"""Of DRos, times the mean squared weight: from nearly the direct method to nearly DR."""


class Shrunk(NamedTuple):
    """A doubly robust estimator with smaller weights."""

    terms: Terms
    weights: Floats
    """(rows,): those that it uses."""
    tuning: float
    """The threshold of Switch-DR, the lambda of DRos; infinite when nothing is shrunk."""
    bias_bound: float
    """By how much the estimate may be off for what was shrunk, as far as the log can tell; 0 when nothing was."""


def switched(weights: Floats, threshold: float) -> Floats:
    """Weights up to the threshold, else 0, so that the reward model answers alone."""
    return np.where(weights <= threshold, weights, 0.0)


def bent(weights: Floats, scale: float) -> Floats:
    """Weights as lambda w / (w^2 + lambda): w itself where small against sqrt(lambda), near 0 where large."""
    if np.isinf(scale):
        return weights
    return np.asarray(weights * (scale / (weights**2 + scale)), np.float64)


def switch_dr(
    weights: Floats, rewards: Floats, predicted: Predictions, unit: Integers, sample_weight: Floats | None = None
) -> Shrunk:
    """DR where the weight is at most a threshold, the reward model's word elsewhere.

    Wang, Agarwal, Dudik 2017, *Optimal and adaptive off-policy evaluation in contextual bandits*, ICML, with DR in
    the place of IPS. The threshold is the one of ten (nine quantiles of the weights, or none at all) with the
    smallest estimated mean squared error.
    """
    positive = weights[weights > 0]
    thresholds = np.unique(np.quantile(positive, _QUANTILES)) if len(positive) else np.array([])
    candidates = [(float(threshold), switched(weights, threshold)) for threshold in thresholds]
    return _least_error(candidates, weights, rewards, predicted, unit, sample_weight)


def dros(
    weights: Floats, rewards: Floats, predicted: Predictions, unit: Integers, sample_weight: Floats | None = None
) -> Shrunk:
    """DR with optimistic shrinkage of the weights.

    Su, Dimakopoulou, Krishnamurthy, Dudik 2020, *Doubly robust off-policy evaluation with shrinkage*, ICML, section
    3.2. Lambda is the one of 26 (a geometric grid around the mean squared weight, or infinity, which is DR) with
    the smallest estimated mean squared error.
    """
    typical = float(np.mean(weights**2))
    candidates = [(float(scale), bent(weights, scale)) for scale in _SCALES * typical] if typical > 0 else []
    return _least_error(candidates, weights, rewards, predicted, unit, sample_weight)


def _least_error(  # noqa: PLR0917  # the arrays of one log
    candidates: list[tuple[float, Floats]],
    weights: Floats,
    rewards: Floats,
    predicted: Predictions,
    unit: Integers,
    sample_weight: Floats | None,
) -> Shrunk:
    """The candidate of the smallest estimated mean squared error; among equals the one that shrinks least.

    Su et al. 2020, section 5: the squared standard error plus the square of the bias, which is estimated from the
    rows themselves as the mean of (w - w') (r - prediction). That estimate is noisy itself, so that the bound that
    is reported, by which an interval must be wider, has one standard error of it more.
    """
    best: tuple[float, Shrunk] | None = None
    for tuning, smaller in [(float("inf"), weights), *reversed(candidates)]:
        terms = thinned(dr(smaller, rewards, predicted), sample_weight)
        lost = thinned(
            dr(weights - smaller, rewards, Predictions(predicted.logged, np.zeros(len(rewards)))), sample_weight
        )
        is_shrunk = bool(np.any(smaller != weights))
        bias = abs(point(lost)) if is_shrunk else 0.0
        error = _or_zero(standard_error(terms, unit)) ** 2 + bias**2
        if best is None or error < best[0]:
            bound = bias + _or_zero(standard_error(lost, unit)) if is_shrunk else 0.0
            best = error, Shrunk(terms, smaller, tuning, bound)
    assert best is not None
    return best[1]


def _or_zero(stderr: float) -> float:
    return 0.0 if np.isnan(stderr) else stderr
