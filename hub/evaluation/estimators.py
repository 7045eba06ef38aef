"""Estimators of a target policy's value from logged decisions: pure functions on arrays of shape (rows,).

`weights` are w_i = P_target(action_i) / P_logging(action_i), `rewards` r_i. Each estimator is a sum of ratios of sums
over rows, so one resampling and one formula for the standard error serve them all.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from hub.evaluation.bootstrap import percentile_interval, resampled_sums
from hub.evaluation.logged import Floats, Integers


class Ratio(NamedTuple):
    """sum(numerator) / sum(denominator), each (rows,)."""

    numerator: Floats
    denominator: Floats


_ROUNDING: Final = 1e-6  # squares that cancel leave half of the digits
_MOST_STUDENTISED: Final = 3


Terms = tuple[Ratio, ...]
"""An estimator on data: the sum of its ratios."""


class Predictions(NamedTuple):
    """A reward model's predictions, made without having seen the row's own reward."""

    logged: Floats
    """(rows,): of the action that was shown."""
    target: Floats
    """(rows,): expected over the target policy's actions."""


def importance_weights(target: Floats, propensity: Floats) -> Floats:
    """P_target / P_logging of what was shown; propensities are positive."""
    return target / propensity


def ips(weights: Floats, rewards: Floats) -> Terms:
    """Inverse propensity score: mean of w r.

    Unbiased when every action that the target may show has a positive logging probability. Horvitz, Thompson
    1952, *A generalization of sampling without replacement from a finite universe*, JASA 47(260).
    """
    return (_mean(weights * rewards),)


def snips(weights: Floats, rewards: Floats) -> Terms:
    """Self-normalised: sum of w r over sum of w.

    Always within the range of the rewards and unmoved by a constant factor on the weights, at the price of a
    bias of order 1/n. Swaminathan, Joachims 2015, *The self-normalized estimator for counterfactual learning*,
    NIPS 28.
    """
    return (Ratio(weights * rewards, weights),)


def dm(predicted: Predictions) -> Terms:
    """Direct method: mean of what the reward model expects of the target; as biased as that model.

    Dudik, Langford, Li 2011, *Doubly robust policy evaluation and learning*, ICML, section 2.
    """
    return (_mean(predicted.target),)


def dr(weights: Floats, rewards: Floats, predicted: Predictions) -> Terms:
    """Doubly robust: the direct method, corrected by the weighted residuals of what was shown.

    Unbiased when either the propensities or the model are right. Dudik, Langford, Li 2011, ICML, section 3.
    """
    return (_mean(predicted.target + weights * (rewards - predicted.logged)),)


def sndr(weights: Floats, rewards: Floats, predicted: Predictions) -> Terms:
    """Doubly robust with self-normalised residuals, so that a constant factor on the weights does not move it.

    Thomas, Brunskill 2016, *Data-efficient off-policy policy evaluation for reinforcement learning*, ICML, for
    one step.
    """
    return (_mean(predicted.target), Ratio(weights * (rewards - predicted.logged), weights))


def thinned(terms: Terms, sample_weight: Floats | None) -> Terms:
    """An estimator of the whole log on the rows that were kept of it, each standing for `sample_weight` (rows,)."""
    if sample_weight is None:
        return terms
    return tuple(Ratio(term.numerator * sample_weight, term.denominator * sample_weight) for term in terms)


def effective_sample_size(weights: Floats) -> float:
    """(sum w)^2 / sum w^2: how many equally weighted rows would be as informative; 0 without any weight.

    Kish 1965, *Survey Sampling*. Unmoved by a constant factor, n for equal weights.
    """
    largest = float(np.max(weights, initial=0.0))
    if largest <= 0:
        return 0.0
    scaled = weights / largest  # squares of a huge weight must not overflow
    return float(np.sum(scaled) ** 2 / np.sum(scaled**2))


def point(terms: Terms) -> float:
    """The estimate; NaN when a denominator is 0."""
    sums = np.array([[[term.numerator.sum(), term.denominator.sum()] for term in terms]])
    return float(_summed(sums)[0])


def standard_error(terms: Terms, unit: Integers) -> float:
    """Linearised standard error over independent units; NaN when undefined.

    `unit` (rows,) numbers the unit of each row from 0, without gaps. With one row a unit and a denominator of
    ones it is the standard error of a mean. Cochran 1977, *Sampling Techniques*, section 2.11.
    """
    units = int(unit.max(initial=-1)) + 1
    if units < 2 or any(term.denominator.sum() <= 0 for term in terms):  # noqa: PLR2004  # no spread
        return float("nan")
    return float(np.sqrt(units / (units - 1) * np.sum(_influence(terms, unit, units) ** 2)))


def intervals(
    estimators: dict[str, Terms], unit: Integers, *, resamples: int, rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """95 % bootstrap intervals over units, all from the same resamples, so that they can be compared."""
    units = int(unit.max(initial=-1)) + 1
    parts = [per_unit(column, unit, units) for terms in estimators.values() for term in terms for column in term]
    sums = resampled_sums(np.stack(parts, axis=1), resamples, rng).reshape(resamples, -1, 2)
    found: dict[str, tuple[float, float]] = {}
    first = 0
    for name, terms in estimators.items():
        found[name] = percentile_interval(_summed(sums[:, first : first + len(terms)]))
        first += len(terms)
    return found


def studentised_intervals(
    estimators: dict[str, Terms], unit: Integers, *, resamples: int, rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """95 % bootstrap-t intervals over units, all from the same resamples.

    Each resample's distance from the estimate is measured in standard errors of that resample, which are small where
    the heavy rows are missing: so the interval reaches further to the side from which heavy rows come. Efron 1981,
    *Nonparametric standard errors and confidence intervals*, Canadian Journal of Statistics 9(2), section 9. A sum of
    more than three ratios gets percentiles: the squares to be resampled grow with the square of their number.
    (NaN, NaN) where the estimate has no standard error.
    """
    units = int(unit.max(initial=-1)) + 1
    found = dict.fromkeys(estimators, (float("nan"), float("nan")))
    known = {name: terms for name, terms in estimators.items() if not np.isnan(standard_error(terms, unit))}
    if not known:
        return found
    parts: list[Floats] = []
    for terms in known.values():
        columns = [per_unit(column, unit, units) for term in terms for column in term]
        parts += columns + [columns[one] * columns[other] for one, other in _pairs(terms)]
    sums = resampled_sums(np.stack(parts, axis=1), resamples, rng)
    first = 0
    for name, terms in known.items():
        middle = first + 2 * len(terms)
        last = middle + len(_pairs(terms))
        drawn = sums[:, first:middle].reshape(resamples, -1, 2)
        estimate, stderr = point(terms), standard_error(terms, unit)
        if last == middle:
            found[name] = percentile_interval(_summed(drawn))
        else:
            spread = _resampled_errors(drawn, sums[:, middle:last], _pairs(terms))
            # a resample of equal rows has no standard error to measure by, but that of rounding
            is_measured = spread > _ROUNDING * stderr
            off = np.divide(_summed(drawn) - estimate, spread, out=np.full(resamples, np.nan), where=is_measured)
            low, high = percentile_interval(off)
            found[name] = estimate - high * stderr, estimate - low * stderr
        first = last
    return found


def _pairs(terms: Terms) -> list[tuple[int, int]]:
    """Which of an estimator's columns are multiplied for its standard error in a resample."""
    count = 2 * len(terms)
    return [(one, other) for one in range(count) for other in range(one + 1)] if len(terms) <= _MOST_STUDENTISED else []


def _resampled_errors(drawn: Floats, products: Floats, pairs: list[tuple[int, int]]) -> Floats:
    """(resamples,): the standard error in each; NaN where a denominator is not positive.

    `drawn` (resamples, terms, 2) are sums, `products` (resamples, pairs) those of products of two columns.
    """
    numerator, denominator = drawn[..., 0], drawn[..., 1]
    inverse = np.divide(1.0, denominator, out=np.full(denominator.shape, np.nan), where=denominator > 0)
    # a unit moves the estimate by the sum over terms of (numerator - ratio x denominator) / sum of denominators
    factor = np.stack([inverse, -numerator * inverse**2], axis=2).reshape(len(drawn), -1)
    variance = np.zeros(len(drawn))
    for column, (one, other) in enumerate(pairs):
        times = 1.0 if one == other else 2.0
        variance += times * factor[:, one] * factor[:, other] * products[:, column]
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)), np.float64)


def _influence(terms: Terms, unit: Integers, units: int) -> Floats:
    """(units,): by how much each unit moves the estimate, to first order."""
    influence = np.zeros(units)
    for term in terms:
        total = term.denominator.sum()
        residual = term.numerator - term.numerator.sum() / total * term.denominator
        influence += per_unit(residual, unit, units) / total
    return influence


def _mean(values: Floats) -> Ratio:
    return Ratio(values, np.ones(len(values)))


def _summed(sums: Floats) -> Floats:
    """(samples,): sum of ratios from (samples, terms, 2) sums; NaN where a denominator is not positive."""
    numerator, denominator = sums[..., 0], sums[..., 1]
    undefined = np.full(numerator.shape, np.nan)
    return np.asarray(np.divide(numerator, denominator, out=undefined, where=denominator > 0).sum(axis=1), np.float64)


def per_unit(values: Floats, unit: Integers, units: int) -> Floats:
    """(units,): sums of a row's values over each unit."""
    return np.asarray(np.bincount(unit, values, minlength=units), np.float64)
