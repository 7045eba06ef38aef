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


class Reach(NamedTuple):
    """What is known of a ratio whatever happened: the rows that were seen leave out the heavy one yet to come."""

    width: float
    """Of the range in which a row's numerator can lie."""
    low: float
    """Below which the ratio of the means cannot be."""
    high: float


def bernstein_interval(
    terms: Terms, unit: Integers, reach: Sequence[Reach], *, level: float = 0.95
) -> tuple[float, float]:
    """An interval for a sum of ratios of means over independent units; (NaN, NaN) without two units.

    The interval of a ratio holds every value v for which the mean of numerator - v x denominator cannot be told from
    0, which may be all of them: then its end is where `reach` says that no value can be. Several ratios share what may
    go wrong.
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


def _of_ratio(term: Ratio, unit: Integers, reach: Reach, chance: float) -> tuple[float, float]:
    units = int(unit.max(initial=-1)) + 1
    if units < 2 or term.denominator.sum() <= 0:  # noqa: PLR2004  # no spread
        return float("nan"), float("nan")
    rows = int(np.bincount(unit, minlength=units).max())
    sums = _Sums(
        per_unit(term.numerator, unit, units),
        per_unit(term.denominator, unit, units),
        reach.width * rows,
        math.log(4 / chance),  # two sides
    )
    estimate = float(sums.numerator.sum() / sums.denominator.sum())
    return _end(sums, estimate, reach.low), _end(sums, estimate, reach.high)


def _end(sums: _Sums, estimate: float, bound: float) -> float:
    """The value next to the excluded ones on the way to the bound, or the bound."""
    if estimate == bound or not sums.excludes(bound):
        return bound
    inside, outside = estimate, bound
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if sums.excludes(middle) else (middle, outside)
    return outside
