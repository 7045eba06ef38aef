"""Whether a lift is everybody's: the comparison within each segment, and a test that they agree.

A segment that shines among many is mostly chance; that is what the corrected p-values and the test are for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
from scipy import special

from hub.statistics.compare import LEVEL, Comparison, Kind, Method, compare
from hub.statistics.multiplicity import Correction, corrected
from hub.statistics.summary import Summary

FEWEST_UNITS: Final = 100
"""In each arm; smaller segments are named, and nothing is said of them: they are noise, and may be a person."""


class Pair(NamedTuple):
    """Both arms of a comparison within a segment."""

    control: Summary
    variant: Summary


class SegmentLift(msgspec.Struct, frozen=True, kw_only=True):
    """A variant within a segment."""

    units: int
    relative_lift: float
    ci_low: float
    ci_high: float
    absolute_lift: float
    p_value: float
    p_value_corrected: float
    """For all segments of the variant (Holm)."""

    @property
    def interval(self) -> tuple[float, float, float]:
        """The relative lift, from, to."""
        return self.relative_lift, self.ci_low, self.ci_high


class Heterogeneity(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the segments differ by more than chance."""

    segments: dict[str, SegmentLift]
    suppressed: list[str]
    """Fewer than 100 units in an arm."""
    p_value: float
    """Of Cochran's Q, that all absolute lifts are one; NaN for fewer than two segments."""
    share_between: float
    """I^2 (Higgins, Thompson 2002): the share of the spread between segments that is no chance, 0 to 1."""
    sentence: str


class Segments(msgspec.Struct, frozen=True, kw_only=True):
    """All variants by one attribute."""

    attribute: str
    variants: dict[str, Heterogeneity]


def heterogeneity(pairs: Mapping[str, Pair], *, kind: Kind) -> Heterogeneity:
    """Compare within each segment, and the segments with each other (Cochran 1954)."""
    large = {name: of for name, of in pairs.items() if min(of.control.n, of.variant.n) >= FEWEST_UNITS}
    found = {name: compare(of.control, of.variant, kind=kind, method=Method.FIXED) for name, of in large.items()}
    adjusted = corrected({name: of.p_value for name, of in found.items()}, Correction.HOLM)
    segments = {
        name: SegmentLift(
            units=large[name].control.n + large[name].variant.n,
            relative_lift=of.relative_lift,
            ci_low=of.ci_low,
            ci_high=of.ci_high,
            absolute_lift=of.absolute_lift,
            p_value=of.p_value,
            p_value_corrected=adjusted[name],
        )
        for name, of in found.items()
    }
    p_value, share = _agreement([of for of in found.values() if of.is_known])
    if math.isnan(p_value):
        said = "fewer than two segments with a lift"
    elif p_value < LEVEL:
        said = f"the lift differs between segments (p = {p_value:.3g}): {share:.0%} of their spread is no chance"
    else:
        said = f"the segments agree as far as can be seen (p = {p_value:.3g})"
    return Heterogeneity(
        segments=segments,
        suppressed=[name for name in pairs if name not in large],
        p_value=p_value,
        share_between=share,
        sentence=said,
    )


def _agreement(found: list[Comparison]) -> tuple[float, float]:
    if len(found) < 2:  # noqa: PLR2004  # one agrees with itself
        return float("nan"), float("nan")
    weights = [1 / of.stderr**2 for of in found]
    shared = sum(weight * of.absolute_lift for weight, of in zip(weights, found, strict=True)) / sum(weights)
    q = sum(weight * (of.absolute_lift - shared) ** 2 for weight, of in zip(weights, found, strict=True))
    freedom = len(found) - 1
    return float(special.chdtrc(freedom, q)), max(0.0, 1 - freedom / q) if q > 0 else 0.0
