"""What visitors do with items lately, as live facts that the hub counts itself from its ledger.

    trending                          how much is done with an item now, beside the busiest one: 1 is that one
    views_1h clicks_1h adds_1h orders_1h   times within the last hour, in steps of five minutes; likewise _24h

Only names that the live site declares under `live_facts` are counted. Trending adds up what every touch says of
taste (`edgewise.events.affinity_weight`), halved every TRENDING_HALF_LIFE_MS, so that it is a share: while nobody does
anything all fade alike, and no number changes.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Final

from edgewise.events import TOUCHING, Kind, affinity_weight, kind_of
from edgewise.ids import ItemId
from edgewise.records import EventRecord
from hub.counted_facts import TIMES, TRENDING, WINDOWS_MS

TRENDING_HALF_LIFE_MS: Final = 2 * 3_600_000
TRENDING_STEP: Final = 0.001
"""Shares are told in such steps; smaller ones are none."""
BUCKET_MS: Final = 300_000
LONGEST_MS: Final = max(WINDOWS_MS.values())


class Trends:
    """Counts of the last day, in memory; made anew from the ledger when a hub starts."""

    def __init__(self) -> None:
        self._buckets: deque[tuple[int, Counter[tuple[ItemId, Kind]]]] = deque()
        """(number of the bucket, item and kind -> times), oldest first."""
        self._weights: dict[ItemId, tuple[float, int]] = {}
        """Item -> (weight, the time at which it had it)."""

    def add(self, events: Iterable[EventRecord]) -> None:
        """Count events, in any order: what came late counts when it happened."""
        for event in events:
            kind = kind_of(event.type, event.name)
            if kind in TOUCHING:
                counts = self._bucket(event.time_ms // BUCKET_MS)
                for touch in event.touches:
                    counts[touch.item, kind] += 1
                    self._weigh(touch.item, affinity_weight(kind, touch.rating), event.time_ms)

    def columns(self, names: Iterable[str], now_ms: int) -> dict[str, dict[ItemId, float]]:
        """The columns of those `names` that are counted here; zeros are left out."""
        self._forget(now_ms)
        columns: dict[str, dict[ItemId, float]] = {}
        for name in names:
            word, _, window = name.partition("_")
            if name == TRENDING:
                columns[name] = self._trending(now_ms)
            elif word in TIMES and window in WINDOWS_MS:
                columns[name] = self._counted(TIMES[word], (now_ms - WINDOWS_MS[window]) // BUCKET_MS)
        return columns

    def _bucket(self, number: int) -> Counter[tuple[ItemId, Kind]]:
        for known, counts in reversed(self._buckets):
            if known == number:
                return counts
            if known < number:
                break
        made: Counter[tuple[ItemId, Kind]] = Counter()
        later = []
        while self._buckets and self._buckets[-1][0] > number:
            later.append(self._buckets.pop())
        self._buckets.append((number, made))
        self._buckets.extend(reversed(later))
        return made

    def _weigh(self, item: ItemId, weight: int, time_ms: int) -> None:
        before, at_ms = self._weights.get(item, (0.0, time_ms))
        latest_ms = max(at_ms, time_ms)
        self._weights[item] = _faded(before, latest_ms - at_ms) + _faded(weight, latest_ms - time_ms), latest_ms

    def _trending(self, now_ms: int) -> dict[ItemId, float]:
        weights = {item: _faded(weight, now_ms - at_ms) for item, (weight, at_ms) in self._weights.items()}
        most = max(weights.values(), default=0.0)
        if most <= 0:
            return {}
        shares = {item: round(weight / most / TRENDING_STEP) * TRENDING_STEP for item, weight in weights.items()}
        return {item: round(share, 3) for item, share in shares.items() if share > 0}

    def _counted(self, kind: Kind, after: int) -> dict[ItemId, float]:
        total: Counter[ItemId] = Counter()
        for number, counts in self._buckets:
            if number > after:
                for (item, counted), times in counts.items():
                    if counted is kind:
                        total[item] += times
        return {item: float(times) for item, times in total.items()}

    def _forget(self, now_ms: int) -> None:
        while self._buckets and self._buckets[0][0] <= (now_ms - LONGEST_MS) // BUCKET_MS:
            self._buckets.popleft()
        self._weights = {
            item: (weight, at_ms) for item, (weight, at_ms) in self._weights.items() if now_ms - at_ms < LONGEST_MS
        }


def _faded(weight: float, age_ms: int) -> float:
    return float(weight * 2.0 ** (-max(0, age_ms) / TRENDING_HALF_LIFE_MS))
