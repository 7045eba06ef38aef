"""Intervals that hold at any size of log: the empirical Bernstein inequality.

Maurer, Pontil 2009, *Empirical Bernstein bounds and sample variance penalization*, COLT, theorem 4: with probability
1 - delta the mean of n independent values within a range M lies at most sqrt(2 V ln(2/delta) / n) +
7 M ln(2/delta) / (3 (n - 1)) from its expectation, on either side, V being their sample variance. For off-policy
estimates: Thomas, Theocharous, Ghavamzadeh 2015, *High-confidence off-policy evaluation*, AAAI. A bootstrap is shorter,
and holds only where the heaviest rows of the log are already enough of a sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from hub.evaluation.estimators import Ratio, Terms, per_unit
from hub.evaluation.logged import Floats, Integers

_HALVINGS: Final = 60
_DOUBLINGS: Final = 60


def bernstein_interval(
    terms: Terms, unit: Integers, reach: Sequence[float], *, level: float = 0.95
) -> tuple[float, float]:
    """An interval for a sum of ratios of means over independent units; (NaN, NaN) when there is none.

    `reach` says of each ratio in how wide a range a row's numerator can lie, whatever happened: how far the log's
    own rows reach would leave out the heavy one that has not come yet. The interval of a ratio holds every value v
    for which the mean of numerator - v x denominator cannot be told from 0; several ratios share what may go wrong.
    """
    ends = [_of_ratio(term, unit, most, (1 - level) / len(terms)) for term, most in zip(terms, reach, strict=True)]
    return sum(low for low, _ in ends), sum(high for _, high in ends)


class _Sums(NamedTuple):
    """Of one ratio, over units."""

    numerator: Floats
    denominator: Floats
    reach: float
    log_term: float

    def excludes(self, value: float) -> bool:
        """Whether the data speak against the ratio being `value`."""
        off = self.numerator - value * self.denominator
        units = len(off)
        spread = float(np.ptp(self.denominator))
        most = max(float(np.ptp(off)), self.reach + abs(value) * spread)
        margin = math.sqrt(2 * float(np.var(off, ddof=1)) * self.log_term / units)
        margin += 7 * most * self.log_term / (3 * (units - 1))
        return abs(float(np.mean(off))) > margin


def _of_ratio(term: Ratio, unit: Integers, reach: float, chance: float) -> tuple[float, float]:
    units = int(unit.max(initial=-1)) + 1
    nothing = float("nan"), float("nan")
    if units < 2 or term.denominator.sum() <= 0:  # noqa: PLR2004  # no spread
        return nothing
    rows = int(np.bincount(unit, minlength=units).max())
    sums = _Sums(
        per_unit(term.numerator, unit, units),
        per_unit(term.denominator, unit, units),
        reach * rows,
        math.log(4 / chance),  # two sides
    )
    estimate = float(sums.numerator.sum() / sums.denominator.sum())
    low, high = _end(sums, estimate, -1.0), _end(sums, estimate, 1.0)
    return nothing if math.isnan(low) or math.isnan(high) else (low, high)


def _end(sums: _Sums, estimate: float, direction: float) -> float:
    """The value next to the excluded ones; NaN when none is excluded, however far from the estimate."""
    step = max(abs(estimate), sums.reach, 1e-12)
    inside = estimate
    for _ in range(_DOUBLINGS):
        outside = estimate + direction * step
        if sums.excludes(outside):
            break
        inside, step = outside, 2 * step
    else:
        return float("nan")
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if sums.excludes(middle) else (middle, outside)
    return outside
