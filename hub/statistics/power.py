"""How many units an experiment needs, what it can find with those it has, and how long that takes.

Of a two-sided test of two means, with Welch's degrees of freedom under the null and the noncentral t distribution under
the lift (Cohen 1988, *Statistical power analysis*, chapter 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import msgspec
from scipy import optimize, special

from edgewise.errors import InputError
from hub.statistics.compare import LEVEL, Method
from hub.statistics.sequential import TUNED_TO_UNITS, sequential_width

ENOUGH: Final = 0.8
"""The power that people plan with."""
_NORMAL_ABOVE: Final = 1e5
"""Degrees of freedom from which t is normal to five digits of a power, and the noncentral one is no longer computed."""
_FEWEST: Final = 4.0
_MOST: Final = 1e15


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """The control's metric, as it is today."""

    mean: float
    stddev: float
    """Of a unit; for a ratio the square root of its linearised variance."""
    is_binary: bool = False
    """Then a lift moves the variance along."""
    rho: float = 0.0
    """Correlation with a covariate from before: CUPED leaves 1 - rho^2 of the variance."""
    warnings: tuple[str, ...] = ()
    """What of the file that it was taken from was left out."""

    def variance(self, lift: float) -> float:
        """A unit's, once a relative lift is there."""
        plain = self.stddev**2
        if self.is_binary:
            moved = self.mean * (1 + lift)
            if not 0 <= moved <= 1:
                raise InputError(f"a lift of {lift:+.2%} on {self.mean:g} is {moved:g}, expected a proportion")
            plain = moved * (1 - moved)
        return plain * (1 - self.rho**2)


class Design(msgspec.Struct, frozen=True, kw_only=True):
    """How it is to be split and read."""

    weights: dict[str, float]
    """The control first, then every variant."""
    alpha: float = LEVEL
    """Of all variants together: each is held against its share (Bonferroni, which Holm never falls behind)."""
    method: Method = Method.FIXED
    tuned_to_units: float = TUNED_TO_UNITS

    @property
    def of_one(self) -> float:
        """The level of one comparison."""
        return self.alpha / (len(self.weights) - 1)

    @property
    def pair(self) -> tuple[float, float]:
        """Shares of all units of the control and of the smallest variant."""
        total = sum(self.weights.values())
        control, *variants = (weight / total for weight in self.weights.values())
        return control, min(variants)


def power(units: float, lift: float, baseline: Baseline, design: Design) -> float:
    """Chance that a relative lift is found with so many units in all arms together.

    In the sequential method it is that of a single look at the end: whoever looks before finds it earlier.
    """
    of_control, of_variant = (share * units for share in design.pair)
    first = baseline.variance(0.0) / of_control
    second = baseline.variance(lift) / of_variant
    stderr = math.sqrt(first + second)
    if not stderr > 0:
        return float(lift != 0)
    away = lift * baseline.mean / stderr
    freedom = (first + second) ** 2 / (first**2 / (of_control - 1) + second**2 / (of_variant - 1))
    if design.method is Method.SEQUENTIAL:
        width = sequential_width(of_control + of_variant, alpha=design.of_one, tuned_to_units=design.tuned_to_units)
    else:
        width = float(special.stdtrit(freedom, 1 - design.of_one / 2))
    as_normal = (float(special.ndtr(-width - away)), float(special.ndtr(away - width)))
    if freedom > _NORMAL_ABOVE:
        return sum(as_normal)
    from scipy import stats  # slow to import, and the special function of this name is off by 1e-8

    tails = (float(stats.nct.cdf(-width, freedom, away)), float(stats.nct.sf(width, freedom, away)))
    # far out in a tail it has no number, where it has nothing to add either
    return sum(normal if math.isnan(tail) else tail for tail, normal in zip(tails, as_normal, strict=True))


def units_needed(lift: float, baseline: Baseline, design: Design, *, wanted: float = ENOUGH) -> int:
    """Units in all arms together. Raises InputError for a lift of 0, or one that no number of units shows."""
    if not lift * baseline.mean:
        raise InputError(f"a lift of {lift:g} on a baseline of {baseline.mean:g} is none, expected one to be found")
    found = _where(lambda units: power(units, lift, baseline, design) - wanted, _fewest(design))
    if found is None:
        raise InputError(f"a lift of {lift:+.2%} needs more than {_MOST:g} units")
    return math.ceil(found)


def detectable_lift(units: int, baseline: Baseline, design: Design, *, wanted: float = ENOUGH) -> float:
    """The smallest relative lift upwards that so many units find. NaN where none is small enough."""
    if units < _fewest(design) or not baseline.mean:
        return float("nan")
    highest = math.inf
    if baseline.is_binary:
        highest = 1 / baseline.mean - 1
    start = min(1e-6, highest / 2)
    found = _where(lambda lift: power(units, lift, baseline, design) - wanted, start, most=highest)
    return float("nan") if found is None else found


def _fewest(design: Design) -> float:
    """Two units in each arm of the smallest pair."""
    return _FEWEST / 2 / min(design.pair)


def _where(missing: Callable[[float], float], start: float, *, most: float = _MOST) -> float | None:
    """Where a rising function meets 0, from `start` on; None if it does not up to `most`."""
    low = high = start
    while missing(high) < 0:
        if high >= most:
            return None
        low, high = high, min(high * 2, most)
    return float(low if low == high else optimize.brentq(missing, low, high, xtol=1e-12, rtol=1e-12))
