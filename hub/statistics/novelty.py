"""Whether a lift fades: the lift by day since a unit was first exposed.

What is new is looked at because it is new, and what is changed is stumbled over because it is changed; both pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
from scipy import special

from hub.statistics.compare import LEVEL, Comparison, Kind, Method, compare
from hub.statistics.summary import Summary

FEWEST_DAYS: Final = 4
"""Below it there is no trend to speak of."""


class Day(NamedTuple):
    """What both arms did on one day after their exposure."""

    day: int
    """0 is the day of the exposure."""
    control: Summary
    variant: Summary


class DayLift(msgspec.Struct, frozen=True, kw_only=True):
    """The lift of one day."""

    day: int
    units: int
    """In both arms."""
    relative_lift: float
    ci_low: float
    ci_high: float


class Novelty(msgspec.Struct, frozen=True, kw_only=True):
    """The lift by day, and whether it moves."""

    days: list[DayLift]
    slope_per_day: float
    """Of the relative lift; NaN for fewer than four days."""
    p_value: float
    """That the slope is 0."""
    fades: bool
    """Whether the lift moves towards 0, at 5 %."""
    sentence: str


def novelty(days: Sequence[Day], *, kind: Kind) -> Novelty:
    """A weighted line through the days' relative lifts.

    The weights are the inverse variances, and days count as independent: they share units, which makes the line's
    error too small where what a unit does today and tomorrow go together. Read it as a hint, and look at the days.
    """
    compared = [(of, compare(of.control, of.variant, kind=kind, method=Method.FIXED)) for of in days]
    shown = [
        DayLift(
            day=of.day,
            units=of.control.n + of.variant.n,
            relative_lift=found.relative_lift,
            ci_low=found.ci_low,
            ci_high=found.ci_high,
        )
        for of, found in compared
    ]
    points = [(float(of.day), found.relative_lift, _variance(found)) for of, found in compared]
    points = [point for point in points if all(map(math.isfinite, point)) and point[2] > 0]
    if len(points) < FEWEST_DAYS:
        nan, said = float("nan"), f"{len(points)} days with a lift, expected {FEWEST_DAYS} to tell whether it moves"
        return Novelty(days=shown, slope_per_day=nan, p_value=nan, fades=False, sentence=said)
    slope, stderr, mean = _line(points)
    p_value = float(2 * special.ndtr(-abs(slope) / stderr))
    moves = p_value < LEVEL
    fades = moves and slope * mean < 0
    seen = f"the lift moves by {slope:+.2%} a day since exposure (p = {p_value:.3g})"
    if fades:
        said = f"{seen}, towards 0: what is new may have been looked at because it is new"
    elif moves:
        said = f"{seen}, away from 0: visitors may be learning what it is for"
    else:
        said = f"{seen}, which may be chance"
    return Novelty(days=shown, slope_per_day=slope, p_value=p_value, fades=fades, sentence=said)


def _variance(found: Comparison) -> float:
    """Of the relative lift, from its interval."""
    return ((found.ci_high - found.ci_low) / (2 * float(special.ndtri(1 - found.alpha / 2)))) ** 2


def _line(points: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    """Slope, its standard error, and the weighted mean, by least squares with known variances."""
    weights = [1 / variance for _, _, variance in points]
    total = sum(weights)
    center = sum(weight * x for weight, (x, _, _) in zip(weights, points, strict=True)) / total
    mean = sum(weight * y for weight, (_, y, _) in zip(weights, points, strict=True)) / total
    spread = sum(weight * (x - center) ** 2 for weight, (x, _, _) in zip(weights, points, strict=True))
    shared = sum(weight * (x - center) * (y - mean) for weight, (x, y, _) in zip(weights, points, strict=True))
    return shared / spread, 1 / math.sqrt(spread), mean
