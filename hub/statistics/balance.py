"""Whether an experiment may be read at all: the split that was meant, and units that saw more than one arm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec
from scipy import special

from edgewise.errors import InputError

SRM_ALARM_BELOW: Final = 0.0005
"""A split this unlikely is a fault of assignment or logging; at 2,000 experiments one alarm is chance."""
EXPOSURE_ALARM_ABOVE: Final = 0.01
"""More units than this in several arms are no accident of cleared cookies."""
_LEAST_EXPECTED: Final = 5.0
"""Units in the smallest arm, below which chi^2 is not that of the test (Cochran 1954)."""


class SampleRatio(msgspec.Struct, frozen=True, kw_only=True):
    """Sample ratio mismatch."""

    p_value: float
    """Of the split that came, given the one that was meant; NaN for no units."""
    alarm: bool
    expected: dict[str, float]
    """Units of each arm that were to be expected."""
    observed: dict[str, int]


def srm(counts: Mapping[str, int], weights: Mapping[str, float] | None = None) -> SampleRatio:
    """Pearson's chi^2 of the units of each arm against the weights; equal ones where there are none.

    Fabijan et al. 2019, *Diagnosing sample ratio mismatch in online controlled experiments*, KDD. Counts are of all
    units that were assigned, before anything is excluded by outcome. With fewer than 5 expected units in an arm
    nothing alarms. Raises InputError for weights that name other arms, or are no weights.
    """
    shares = _shares(counts, weights)
    total = sum(counts.values())
    expected = {arm: share * total for arm, share in shares.items()}
    if not total:
        p_value = float("nan")
    elif any(counts[arm] and not expected[arm] for arm in expected):
        p_value = 0.0  # who was to get nobody got somebody
    else:
        meant = [arm for arm in expected if expected[arm]]
        distance = sum((counts[arm] - expected[arm]) ** 2 / expected[arm] for arm in meant)
        p_value = float(special.chdtrc(len(meant) - 1, distance)) if len(meant) > 1 else 1.0
    enough = all(of >= _LEAST_EXPECTED or not shares[arm] for arm, of in expected.items())
    alarm = p_value < SRM_ALARM_BELOW and enough
    return SampleRatio(p_value=p_value, alarm=alarm, expected=expected, observed=dict(counts))


class Exposures(msgspec.Struct, frozen=True, kw_only=True):
    """Units that were seen in more than one arm; they are left out of every comparison."""

    units: int
    """Of the whole experiment."""
    in_several: int
    alarm: bool


def exposures(units: int, in_several: int) -> Exposures:
    """Alarm above 1 %: what the arms share dilutes the lift, and nobody knows which of them was the first."""
    return Exposures(units=units, in_several=in_several, alarm=in_several > EXPOSURE_ALARM_ABOVE * units)


def _shares(counts: Mapping[str, int], weights: Mapping[str, float] | None) -> dict[str, float]:
    if not counts:
        raise InputError("no variants")
    if weights is None:
        return dict.fromkeys(counts, 1 / len(counts))
    if set(weights) != set(counts):
        raise InputError(f"weights of {', '.join(weights)}, expected one for each of {', '.join(counts)}")
    wrong = [f"{arm}={weight:g}" for arm, weight in weights.items() if not (weight >= 0 and math.isfinite(weight))]
    total = sum(weights.values())
    if wrong or not total > 0:
        raise InputError(f"weights {', '.join(wrong) or 'that are all 0'}, expected numbers of 0 or more, one above 0")
    return {arm: weights[arm] / total for arm in counts}
