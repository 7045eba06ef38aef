"""When one item was offered: an item that has sold out must not be, and answers are where that shows."""

from __future__ import annotations

import msgspec

from edge.bench.answers import Decided
from edgewise.ids import ItemId


class Offers(msgspec.Struct, frozen=True):
    """How often an item was in an answer, in any placement, the warm-up included; moments of answers that came."""

    item: ItemId
    offers: int
    first_ms: int | None
    """Milliseconds since the Unix epoch; None: it never was."""
    last_ms: int | None


class Watched:
    """Looks for one item in every answer."""

    def __init__(self, item: ItemId, epoch_ms: float) -> None:
        """`epoch_ms` is the Unix time of moment 0 of `time.perf_counter()`."""
        self._item = item
        self._epoch_ms = epoch_ms
        self._offers = 0
        self._first_s: float | None = None
        self._last_s: float | None = None

    def look(self, decided: Decided, now_s: float) -> None:
        """An answer has come at `now_s`."""
        if any(shown.id == self._item for placed in decided.placements.values() for shown in placed.items):
            self._offers += 1
            self._last_s = now_s
            if self._first_s is None:
                self._first_s = now_s

    def offers(self) -> Offers:
        """So far."""
        return Offers(self._item, self._offers, self._at_ms(self._first_s), self._at_ms(self._last_s))

    def _at_ms(self, moment_s: float | None) -> int | None:
        return None if moment_s is None else round(self._epoch_ms + moment_s * 1_000)
