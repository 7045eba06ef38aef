"""Intervals that hold at every look: asymptotic confidence sequences, and the p-values that belong to them.

Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas 2024, *Time-uniform central limit theory and asymptotic confidence
sequences*, Annals of Statistics 52(6), arXiv:2103.06476, theorem 2.2: with t units, whose mean has the standard
error s, the mean lies within s * width(t) at all t at once with probability 1 - alpha, as t grows. The sequence is
Robbins' normal mixture (1970); its p-value is the alpha at which the interval touches 0, as in the mixture
sequential probability ratio test (Johari, Koomen, Pekelis, Walsh 2022, Operations Research 70(3)).
"""

from __future__ import annotations

import math
from typing import Final

TUNED_TO_UNITS: Final = 5_000
"""Where the intervals are narrowest, relative to fixed ones, unless somebody says otherwise (GrowthBook's default)."""


def mixture_variance(alpha: float, tuned_to_units: float) -> float:
    """Variance rho^2 of the mixture whose interval is narrowest at so many units (appendix B.2 there, first order)."""
    return (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / tuned_to_units


def sequential_width(units: float, *, alpha: float, tuned_to_units: float = TUNED_TO_UNITS) -> float:
    """How many standard errors an interval reaches to either side; 1.96 would be one for a single look."""
    spread = units * mixture_variance(alpha, tuned_to_units)
    return math.sqrt(2 * (spread + 1) / spread * (0.5 * math.log(spread + 1) - math.log(alpha)))


def sequential_p_value(
    deviations: float, units: float, *, alpha: float, tuned_to_units: float = TUNED_TO_UNITS
) -> float:
    """Of an estimate so many standard errors from 0; at most 1. Below `alpha` exactly when the interval leaves out 0.

    `alpha` is the one that the sequence is tuned for: it chooses the mixture and is not to be changed between looks.
    """
    spread = units * mixture_variance(alpha, tuned_to_units)
    log_p = 0.5 * math.log(spread + 1) - deviations * deviations * spread / (2 * (spread + 1))
    return min(1.0, math.exp(min(log_p, 0.0)))
