"""CUPED: what is known of a unit from before the experiment, taken out of its outcome.

Deng, Xu, Kohavi, Walker 2013, *Improving the sensitivity of online controlled experiments by utilizing pre-experiment
data*, WSDM. The variance falls by rho^2, the squared correlation between outcome and covariate, and the lift stays
unbiased, because assignment cannot have moved what was before it. A covariate from after the exposure would be
moved: nobody can see that from here, whoever names it answers for it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hub.statistics.summary import COVARIATE, COVARIATE_DENOMINATOR, DENOMINATOR, VALUE, Summary

_OUTCOME: Final = (VALUE, DENOMINATOR)
_BEFORE: Final = (COVARIATE, COVARIATE_DENOMINATOR)


class Estimate(NamedTuple):
    """An arm's mean or ratio, after any adjustment."""

    n: int
    mean: float
    variance: float
    """A unit; NaN for fewer than two."""

    @property
    def of_mean(self) -> float:
        """Squared standard error of the mean."""
        return self.variance / self.n if self.n else float("nan")


class Adjusted(NamedTuple):
    """Both arms of a comparison."""

    control: Estimate
    variant: Estimate
    theta: float
    """0 without a covariate, or with one that does not vary."""
    variance_reduction: float
    """Of the lift; 0 without a covariate."""


def adjusted(control: Summary, variant: Summary) -> Adjusted:
    """Both arms around the covariate's mean over both, with one coefficient from both.

    One coefficient and not one an arm: two would have the variance of the lift depend on which arm is which. It
    comes from the two arms together, as if they had one mean (as the paper has it, and tea-tasting).
    """
    both = control + variant
    spread = both.ratio_covariance(_BEFORE, _BEFORE)
    theta = both.ratio_covariance(_OUTCOME, _BEFORE) / spread if spread > 0 else 0.0
    plain = [Estimate(of.n, of.mean, of.variance) for of in (control, variant)]
    if not theta:
        return Adjusted(plain[0], plain[1], 0.0, 0.0)
    center = both.ratio(*_BEFORE)
    arms = [_one(of, theta, center) for of in (control, variant)]
    before, after = (sum(of.of_mean for of in found) for found in (plain, arms))
    return Adjusted(arms[0], arms[1], theta, 1 - after / before if before > 0 else 0.0)


def _one(arm: Summary, theta: float, center: float) -> Estimate:
    mean = arm.mean - theta * (arm.ratio(*_BEFORE) - center)
    own, shared = arm.ratio_covariance(_BEFORE, _BEFORE), arm.ratio_covariance(_OUTCOME, _BEFORE)
    variance = arm.variance + theta * theta * own - 2 * theta * shared
    # a covariate that says everything leaves the rounding of a difference, which may be below 0
    return Estimate(arm.n, mean, max(variance, 0.0) if variance == variance else variance)  # noqa: PLR0124  # NaN
