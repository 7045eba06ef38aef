"""One variant against the control: absolute and relative lift, with an interval that keeps what it says."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final

import msgspec
from scipy import special

from hub.statistics.bayesian import chance_to_beat, credible_ratio
from hub.statistics.cuped import Adjusted, Estimate, adjusted
from hub.statistics.sequential import TUNED_TO_UNITS, sequential_p_value, sequential_width
from hub.statistics.summary import COVARIATE, VALUE, Summary

NAN: Final = float("nan")
LEVEL: Final = 0.05
_LARGEST_LOG: Final = 700.0
"""Of a ratio; the exponential of more is no number."""


class Kind(StrEnum):
    """What a metric is."""

    BINARY = "binary"
    """0 or 1 a unit: the mean is a proportion."""
    MEAN = "mean"
    RATIO = "ratio"
    """Sum over sum, as revenue an order; the unit stays whoever was assigned (delta method)."""


class Method(StrEnum):
    """When it may be looked at."""

    FIXED = "fixed"
    """Once, at the end that was planned: Welch's t."""
    SEQUENTIAL = "sequential"
    """At any time, as often as one likes."""
    BAYESIAN = "bayesian"
    """With a flat prior; states a chance, and promises nothing about how often it errs under peeking."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Lift of a variant over the control. NaN is unknown: no units, no variance, a control of 0."""

    absolute_lift: float
    absolute_low: float
    absolute_high: float
    relative_lift: float
    """Of the control's mean: .1 is 10 % more."""
    ci_low: float
    """Of the relative lift, to 1 - alpha."""
    ci_high: float
    p_value: float
    """Two-sided, that the means are equal; NaN in the Bayesian method."""
    chance_to_win: float
    """P(variant > control), in the Bayesian method only."""
    stderr: float
    """Of the absolute lift."""
    theta: float = 0.0
    """CUPED's coefficient; 0 without a covariate."""
    variance_reduction: float = 0.0
    """By CUPED: 1 - variance of the adjusted lift over that of the plain one."""
    control_adjusted: float = NAN
    """The means that the lift is between."""
    variant_adjusted: float = NAN
    alpha: float = LEVEL
    """Intervals are to 1 - alpha."""

    @property
    def is_known(self) -> bool:
        """Whether there is an interval of the absolute lift."""
        return not math.isnan(self.absolute_low)


def compare(
    control: Summary,
    variant: Summary,
    *,
    kind: Kind = Kind.MEAN,
    method: Method = Method.FIXED,
    alpha: float = LEVEL,
    tuned_to_units: float = TUNED_TO_UNITS,
) -> Comparison:
    """Compare two arms; `alpha` in (0, 1).

    The absolute interval is symmetric, with Welch's degrees of freedom in the fixed method (Welch 1947). The relative
    one is symmetric for the logarithm of the ratio of the means, whose variance is by the delta method: it never
    reaches below -100 %, and both directions of a comparison agree. Where the means have no logarithm (one is 0 or
    negative) it is symmetric for the ratio itself. A proportion has the variance of its 0s and 1s like any mean; for
    two proportions the Bayesian method uses Beta(1, 1) priors exactly.
    """
    arms = adjusted(control, variant)
    first, second = arms.control, arms.variant
    lift = second.mean - first.mean
    stderr = math.sqrt(first.of_mean + second.of_mean) if _known(first, second) else NAN
    if not stderr > 0:
        return _unknown(arms, lift, alpha)
    width = _width(first, second, method=method, alpha=alpha, tuned_to_units=tuned_to_units)
    low, high = _relative(arms, kind, method=method, alpha=alpha, tuned_to_units=tuned_to_units)
    p_value, chance = NAN, NAN
    if method is Method.FIXED:
        freedom = _freedom(first, second)
        p_value = float(2 * special.stdtr(freedom, -abs(lift) / stderr))
    elif method is Method.SEQUENTIAL:
        units = first.n + second.n
        p_value = sequential_p_value(lift / stderr, units, alpha=alpha, tuned_to_units=tuned_to_units)
    elif _is_plain_proportion(kind, control, variant):
        counts = [(round(of.total), of.n) for of in (control, variant)]
        chance = chance_to_beat(*counts)
        low, high = (end - 1 for end in credible_ratio(*counts, level=1 - alpha))
    else:
        chance = float(special.ndtr(lift / stderr))
    return Comparison(
        absolute_lift=lift,
        absolute_low=lift - width * stderr,
        absolute_high=lift + width * stderr,
        relative_lift=_relative_lift(first.mean, second.mean),
        ci_low=low,
        ci_high=high,
        p_value=p_value,
        chance_to_win=chance,
        stderr=stderr,
        theta=arms.theta,
        variance_reduction=arms.variance_reduction,
        control_adjusted=first.mean,
        variant_adjusted=second.mean,
        alpha=alpha,
    )


def _known(first: Estimate, second: Estimate) -> bool:
    return math.isfinite(first.of_mean) and math.isfinite(second.of_mean)


def _unknown(arms: Adjusted, lift: float, alpha: float) -> Comparison:
    """Nothing varies, or an arm has fewer than two units: the lift of what was seen, without any interval."""
    return Comparison(
        absolute_lift=lift,
        absolute_low=NAN,
        absolute_high=NAN,
        relative_lift=_relative_lift(arms.control.mean, arms.variant.mean),
        ci_low=NAN,
        ci_high=NAN,
        p_value=NAN,
        chance_to_win=NAN,
        stderr=NAN,
        theta=arms.theta,
        variance_reduction=arms.variance_reduction,
        control_adjusted=arms.control.mean,
        variant_adjusted=arms.variant.mean,
        alpha=alpha,
    )


def _relative_lift(control: float, variant: float) -> float:
    return variant / control - 1 if control else NAN


def _width(first: Estimate, second: Estimate, *, method: Method, alpha: float, tuned_to_units: float) -> float:
    """Half an interval, in standard errors."""
    if method is Method.FIXED:
        return float(special.stdtrit(_freedom(first, second), 1 - alpha / 2))
    if method is Method.SEQUENTIAL:
        return sequential_width(first.n + second.n, alpha=alpha, tuned_to_units=tuned_to_units)
    return float(special.ndtri(1 - alpha / 2))


def _freedom(first: Estimate, second: Estimate) -> float:
    """Welch's and Satterthwaite's."""
    below = first.of_mean**2 / (first.n - 1) + second.of_mean**2 / (second.n - 1)
    return (first.of_mean + second.of_mean) ** 2 / below


def _relative(
    arms: Adjusted, kind: Kind, *, method: Method, alpha: float, tuned_to_units: float
) -> tuple[float, float]:
    first, second = arms.control, arms.variant
    if first.mean == 0:
        return NAN, NAN
    if first.mean * second.mean > 0:
        scaled = [of._replace(variance=of.variance / of.mean**2) for of in (first, second)]
        stderr = math.sqrt(scaled[0].of_mean + scaled[1].of_mean)
        width = _width(scaled[0], scaled[1], method=method, alpha=alpha, tuned_to_units=tuned_to_units)
        reach = width * stderr
        if reach > _LARGEST_LOG:
            return NAN, NAN
        ratio = second.mean / first.mean
        return ratio * math.exp(-reach) - 1, ratio * math.exp(reach) - 1
    if kind is Kind.BINARY and second.variance == 0:
        # no success at all: its own variance says that there never will be one (Agresti, Caffo 2000 add two of each)
        share = 1 / (second.n + 2)
        second = second._replace(variance=share * (1 - share))
    ratio = second.mean / first.mean
    stderr = math.sqrt(second.of_mean + ratio**2 * first.of_mean) / abs(first.mean)
    width = _width(first, second, method=method, alpha=alpha, tuned_to_units=tuned_to_units)
    return ratio - 1 - width * stderr, ratio - 1 + width * stderr


def _is_plain_proportion(kind: Kind, control: Summary, variant: Summary) -> bool:
    """Whether both arms are counts of successes: then the posteriors are Beta distributions."""
    if kind is not Kind.BINARY or control.is_ratio or variant.is_ratio:
        return False
    return all(0 <= of.means[VALUE] <= 1 and of.products[COVARIATE, COVARIATE] == 0 for of in (control, variant))
