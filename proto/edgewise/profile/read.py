"""Reading a profile at a moment: decay, windows, history, the current session. Never changes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from edgewise.events import Kind
from edgewise.ids import ItemId
from edgewise.profile.buckets import Buckets, total_since
from edgewise.profile.cart import Cart
from edgewise.profile.state import DAY_MS, SLOT_MS, Profile

SESSION_GAP_MS: Final = SLOT_MS
"""A pause of 30 minutes ends a session (the convention of web analytics)."""


def decayed(buckets: Buckets, now_ms: int, half_life_days: float) -> float:
    """Sum of counts, each halved every `half_life_days` since the middle of its day; never grows beyond the sum.

    Summed from the oldest day on, so that equal buckets give equal floats.
    """
    total = 0.0
    for day, count in buckets:
        age_days = max(0.0, (now_ms - (day * DAY_MS + DAY_MS // 2)) / DAY_MS)
        total += count * 2.0 ** (-age_days / half_life_days)
    return total


def shares(profile: Profile, dimension: str, now_ms: int, half_life_days: float) -> dict[str, float]:
    """Value -> its share of the dimension's decayed weight, in [0, 1], summing to 1; empty without history."""
    return shares_of(profile.affinity.get(dimension, {}), now_ms, half_life_days)


def shares_of(values: Mapping[str, Buckets], now_ms: int, half_life_days: float) -> dict[str, float]:
    """As `shares`, of any counts by value: also of `Profile.topic_ms`, the time that was spent."""
    weights = {value: decayed(buckets, now_ms, half_life_days) for value, buckets in sorted(values.items())}
    total = sum(weights.values())
    return {value: weight / total for value, weight in weights.items() if weight > 0} if total > 0 else {}


def window_count(profile: Profile, kind: Kind, now_ms: int, days: int) -> int:
    """How often `kind` happened in the last `days` calendar days (UTC), today included."""
    return total_since(profile.counts.get(kind, []), now_ms // DAY_MS, days)


def history(profile: Profile, last: int = 0) -> list[ItemId]:
    """Touched items, latest first (ties by item id, descending); at most `last`, or all that are kept for 0."""
    ordered = sorted(profile.items, key=lambda item: (profile.items[item].time_ms, item), reverse=True)
    return ordered[:last] if last else ordered


def impressions_since(profile: Profile, now_ms: int, days: int) -> dict[ItemId, int]:
    """How often each item was shown in the last `days` calendar days (UTC), today included."""
    oldest_ms = (now_ms // DAY_MS - days + 1) * DAY_MS
    counts: dict[ItemId, int] = {}
    for impression in profile.impressions:
        if impression.time_ms >= oldest_ms:
            counts[impression.item] = counts.get(impression.item, 0) + 1
    return counts


def session_view(profile: Profile, now_ms: int) -> Profile:
    """What dial 2 may use: touches and cart of the current session, and what caps and experiments need.

    No affinities, counts, traits.
    The session reaches back from `now_ms` over touches that lie less than 30 minutes apart.
    """
    kept = {}
    edge_ms = now_ms
    for item in history(profile):
        touch = profile.items[item]
        if edge_ms - touch.time_ms > SESSION_GAP_MS:
            break
        kept[item] = touch
        edge_ms = min(edge_ms, touch.time_ms)
    cart = None
    if profile.cart and kept:
        in_session = [operation for operation in profile.cart.operations if edge_ms <= operation.time_ms]
        cart = Cart(profile.cart.cleared, in_session)
    return Profile(
        applied=profile.applied,
        first_ms=min((touch.time_ms for touch in kept.values()), default=0),
        last_ms=max((touch.time_ms for touch in kept.values()), default=0),
        seen_ms=max((touch.time_ms for touch in kept.values()), default=0),
        items=kept,
        impressions=profile.impressions,
        cart=cart,
        enrolments=profile.enrolments,
    )
