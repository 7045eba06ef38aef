"""What a visitor usually does, read from a profile at a moment: visits, buying, prices, how much he has seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from edgewise.events import DIMENSIONS, TOUCHING, Kind, affinity_weight
from edgewise.profile.buckets import Tally, total_since
from edgewise.profile.sketch import distinct_keys, estimate
from edgewise.profile.state import DAY_MS, MAX_VALUES, Profile

ITEMS: Final = "items"
COUNTABLE: Final = (ITEMS, *DIMENSIONS)
"""What `distinct` counts."""
_SLOTS: Final = 48


class Worth(NamedTuple):
    """Recency, frequency and money, the three numbers of direct marketing (Hughes, "Strategic Database Marketing")."""

    recency_days: float
    """Since the last order; NaN: never ordered."""
    orders: int
    spent_minor: int
    """In the site's own currency, less refunds."""


def worth(profile: Profile, now_ms: int, days: int) -> Worth:
    """Orders and money of the last `days` calendar days (UTC), today included; recency whatever the days."""
    today, last_ms = now_ms // DAY_MS, profile.orders.last_ms
    return Worth(
        max(0.0, (now_ms - last_ms) / DAY_MS) if last_ms else math.nan,
        total_since(profile.counts.get(Kind.ORDER, []), today, days),
        total_since(profile.spent_minor, today, days),
    )


def active_days(profile: Profile, now_ms: int, days: int) -> int:
    """On how many of the last `days` calendar days (UTC) there was a visit; 90 of them are kept."""
    today = now_ms // DAY_MS
    return sum(today - days < day <= today for day, _ in profile.slots)


def visits(profile: Profile, now_ms: int, days: int) -> int:
    """How many visits began in the last `days` calendar days (UTC): runs of half hours with something in each.

    What lies less than 30 minutes apart is one visit, what lies an hour apart is two; between, it depends on where the
    half hours fall. To count gaps exactly would need every time that ever was, for a late one may fall into a gap.
    """
    today, begun, open_until = now_ms // DAY_MS, 0, -1
    for day, mask in profile.slots:
        starts = mask & ~(mask << 1)
        if mask & 1 and open_until == day:  # it goes on from the day before
            starts &= ~1
        if today - days < day <= today:
            begun += starts.bit_count()
        open_until = day + 1 if mask >> (_SLOTS - 1) & 1 else -1
    return begun


def price_octave(bands: Mapping[Kind, Tally]) -> float:
    """The middle of the prices that were touched, as the binary logarithm of minor units; NaN without any.

    Each touch weighs what it says of taste (`edgewise.events.affinity_weight`).
    """
    total = weighed = 0.0
    for kind in sorted(TOUCHING):
        weight = affinity_weight(kind, None)
        for band, times in enumerate(bands.get(kind, ())):
            total += weight * times
            weighed += weight * times * (band - 0.5)
    return weighed / total if total > 0 else math.nan


def distinct(profile: Profile, of: str) -> float:
    """How many different items (ITEMS), or values of a dimension, were ever touched; beyond the bounds estimated."""
    if of == ITEMS:
        return estimate(profile.distinct_items) if profile.distinct_items else float(len(profile.items))
    return distinct_keys(profile.affinity.get(of, {}), profile.bars.get(of), MAX_VALUES)
