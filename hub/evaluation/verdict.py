"""Whether a log can say anything about a target policy: support, effective sample size, largest weight.

An estimator always prints a number. Women's campaign of the Open Bandit sample, logged by Thompson sampling, puts
one decision's weight at 21,739 when it is asked about the uniform policy: two effective decisions of 10,000.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np

from hub.evaluation.estimators import effective_sample_size, ips, point, standard_error, thinned
from hub.evaluation.logged import Floats, Integers


class Verdict(StrEnum):
    """How far an evaluation can be trusted."""

    OK = "ok"
    WARN = "warn"
    REFUSED = "refused"


class Judgement(NamedTuple):
    """A verdict and every reason for it."""

    verdict: Verdict
    reasons: tuple[str, ...]

    def with_cautions(self, cautions: Sequence[str]) -> Judgement:
        """With further reasons to be careful; a refusal keeps to what forced it."""
        if not cautions or self.verdict is Verdict.REFUSED:
            return self
        return Judgement(Verdict.WARN, (*self.reasons, *cautions))


class Overlap(NamedTuple):
    """How well a log covers a target policy; a unit is a user where the log names them, else a decision."""

    rows: int
    units: int
    unit_name: str
    ess: float
    """Effective number of units, each with the weight of all its rows."""
    max_weight: float
    """Of a row."""
    share_of_largest: float
    """The heaviest unit's part of all weight; 0 without any."""
    mean_weight: float
    """1 in expectation, when propensities are right and the target is supported."""
    mean_weight_stderr: float
    unsupported: float
    """Mean probability that the target gives to actions which the log never shows in that position."""
    rewarded_ess: float
    """Effective number of rewarded units: how many the estimate rests on."""


REFUSE_BELOW_ESS: Final = 30.0
"""No interval holds on fewer."""
REFUSE_ABOVE_SHARE: Final = 0.1
"""One unit must not make up a tenth of the estimate."""
REFUSE_ABOVE_UNSUPPORTED: Final = 0.1
REFUSE_BELOW_REWARDED: Final = 4.0
"""A resample has none of k rewarded ones with probability exp(-k), 2.5 % at 3.7: then the low end knows nothing."""
WARN_BELOW_ESS: Final = 500.0
WARN_BELOW_ESS_SHARE: Final = 0.05
WARN_ABOVE_SHARE: Final = 0.01
WARN_ABOVE_UNSUPPORTED: Final = 0.001
WARN_BELOW_REWARDED: Final = 30.0
WARN_MEAN_WEIGHT_STDERRS: Final = 4.0
_WHOLE: Final = 10.0
"""From here on a weight is named without decimals."""


def overlap(
    weights: Floats,
    rewards: Floats,
    unsupported: Floats,
    unit: Integers | None = None,
    *,
    unit_name: str = "decision",
    sample_weight: Floats | None = None,
) -> Overlap:
    """Measure the overlap; all arguments (rows,), at least one row. Without `unit` each row is one.

    `sample_weight` says for how many rows each stands in a log that was thinned out.
    """
    if unit is None:
        unit = np.arange(len(weights))
    counted = weights if sample_weight is None else weights * sample_weight
    total, of_unit = float(np.sum(counted)), np.bincount(unit, counted).astype(np.float64)
    rewarded = np.bincount(unit, counted * np.abs(rewards)).astype(np.float64)
    mean_weight = thinned(ips(weights, np.ones(len(weights))), sample_weight)
    return Overlap(
        rows=len(weights),
        units=len(of_unit),
        unit_name=unit_name,
        ess=effective_sample_size(of_unit),
        max_weight=float(np.max(weights)),
        share_of_largest=float(np.max(of_unit)) / total if total > 0 else 0.0,
        mean_weight=point(mean_weight),
        mean_weight_stderr=standard_error(mean_weight, unit),
        unsupported=float(np.average(unsupported, weights=sample_weight)),
        rewarded_ess=effective_sample_size(rewarded),
    )


def judge(seen: Overlap) -> Judgement:
    """Refuse, warn or accept, with reasons that name the numbers."""
    if refusals := _refusals(seen):
        return Judgement(Verdict.REFUSED, tuple(refusals))
    warnings = _warnings(seen)
    return Judgement(Verdict.WARN if warnings else Verdict.OK, tuple(warnings))


def _refusals(seen: Overlap) -> list[str]:
    if seen.max_weight <= 0:
        return [f"none of the {seen.rows:,} logged actions would ever be shown by this policy"]
    reasons: list[str] = []
    if seen.ess < REFUSE_BELOW_ESS:
        reasons.append(f"{_effective(seen)}, below {REFUSE_BELOW_ESS:.0f}; {_largest(seen)}")
    elif seen.share_of_largest > REFUSE_ABOVE_SHARE:
        reasons.append(f"{_largest(seen)}; {_effective(seen)}")
    if seen.rewarded_ess < REFUSE_BELOW_REWARDED:
        reasons.append(f"{_rewarded(seen)}, below {REFUSE_BELOW_REWARDED:.0f}")
    if seen.unsupported > REFUSE_ABOVE_UNSUPPORTED:
        reasons.append(
            f"no support: {seen.unsupported:.1%} of the policy's choices are actions that the log never shows there"
        )
    return reasons


def _warnings(seen: Overlap) -> list[str]:
    warnings: list[str] = []
    if seen.ess < max(WARN_BELOW_ESS, WARN_BELOW_ESS_SHARE * seen.rows):
        warnings.append(_effective(seen))
    if seen.share_of_largest > WARN_ABOVE_SHARE:
        warnings.append(_largest(seen))
    if WARN_ABOVE_UNSUPPORTED < seen.unsupported <= REFUSE_ABOVE_UNSUPPORTED:
        warnings.append(
            f"{seen.unsupported:.1%} of the policy's choices are actions that the log never shows there; "
            "IPS misses what they would earn"
        )
    if seen.rewarded_ess < WARN_BELOW_REWARDED:
        warnings.append(_rewarded(seen))
    off = abs(seen.mean_weight - (1 - seen.unsupported))
    # the margin keeps rounded propensities of an equal-weight log, whose spread is 0, from alarming
    if off > WARN_MEAN_WEIGHT_STDERRS * seen.mean_weight_stderr + 0.01:
        warnings.append(
            f"weights average {seen.mean_weight:.3f}, expected {1 - seen.unsupported:.3f} "
            f"± {seen.mean_weight_stderr:.3f}: the logged propensities may be wrong"
        )
    return warnings


def _effective(seen: Overlap) -> str:
    return f"effective sample size {seen.ess:,.0f} of {seen.units:,} {seen.unit_name}s"


def _largest(seen: Overlap) -> str:
    weight = f"{seen.max_weight:,.0f}" if seen.max_weight >= _WHOLE else f"{seen.max_weight:.2g}"
    return f"largest weight {weight}, {seen.share_of_largest:.0%} of all weight in one {seen.unit_name}"


def _rewarded(seen: Overlap) -> str:
    return f"few rewarded {seen.unit_name}s: effectively {seen.rewarded_ess:.1f}"
