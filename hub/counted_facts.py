"""Live facts that the hub counts itself, by name: where the live site declares one, nobody need set it."""

from __future__ import annotations

from typing import Final

from edgewise.events import Kind

TRENDING: Final = "trending"
TIMES: Final = {"views": Kind.VIEW, "clicks": Kind.CLICK, "adds": Kind.ADD, "orders": Kind.ORDER}
WINDOWS_MS: Final = {"1h": 3_600_000, "24h": 86_400_000}
OF_A_DAY: Final = (TRENDING, *(f"{word}_{window}" for word in TIMES for window in WINDOWS_MS))
"""Counted by `hub.facts.trends`."""

SUMS: Final = ("revenue", "units")
RATES: Final = {
    "click_rate": (Kind.CLICK, Kind.VIEW),
    "add_rate": (Kind.ADD, Kind.VIEW),
    "order_rate": (Kind.ORDER, Kind.VIEW),
    "return_rate": (Kind.REFUND, Kind.ORDER),
}
WINDOWS_DAYS: Final = {"7d": 7, "30d": 30}
OF_WEEKS: Final = tuple(f"{word}_{window}" for word in (*SUMS, *RATES) for window in WINDOWS_DAYS)
"""Counted by `hub.facts.standing`."""

NAMES: Final = frozenset((*OF_A_DAY, *OF_WEEKS))
