"""What a running hub does for live facts without being asked: publish, renew, count, forget."""

from __future__ import annotations

from typing import Final

from edgewise.clock import Clock
from edgewise.ids import ItemId
from edgewise.profile.state import DAY_MS
from hub.facts.board import BY_CLOCK, FactsBoard
from hub.facts.trends import LONGEST_MS, NAMES, Trends
from hub.ledger.ledger import Ledger

HISTORY_MS: Final = 30 * DAY_MS
"""How long a version is remembered, and with it what decisions of that time can be replayed with."""
PRUNE_MS: Final = 3_600_000


class FactsKeeper:
    """The facts of a running hub. Blocking; not to be used by two threads at once."""

    def __init__(self, board: FactsBoard, ledger: Ledger, clock: Clock, *, history_ms: int = HISTORY_MS) -> None:
        self._board = board
        self._ledger = ledger
        self._clock = clock
        self._history_ms = history_ms
        self._trends = Trends()
        self._position: int | None = None
        """Up to where the ledger's events are counted; None: counting has not begun."""
        self._pruned_ms = 0

    def keep(self) -> None:
        """One turn. Raises EdgewiseError where something is missing; the next turn tries again."""
        self._count()
        self._board.keep_up()
        now_ms = self._clock.now_ms()
        if now_ms - self._pruned_ms >= PRUNE_MS:
            self._pruned_ms = now_ms
            self._ledger.prune_facts(now_ms - self._history_ms)

    def _count(self) -> None:
        names = self.counted_names()
        if not names:
            return
        now_ms = self._clock.now_ms()
        if self._position is None:
            self._position = self._ledger.position_before(now_ms - LONGEST_MS)
        for position, event in self._ledger.events(after_position=self._position):
            self._position = position
            if event.time_ms > now_ms - LONGEST_MS:
                self._trends.add([event])
        sheet = self._board.sheet()
        if sheet is not None and sheet.halted:
            return
        changes: dict[str, dict[ItemId, float | None]] = {}
        for name, column in self._trends.columns(sorted(names), now_ms).items():
            held = {} if sheet is None else sheet.columns.get(name, {})
            changes[name] = {**dict.fromkeys(held), **column}
        if any(changes.values()):
            self._board.change(changes, by=BY_CLOCK)

    def counted_names(self) -> frozenset[str]:
        """Names that the live release declares and the hub counts."""
        live = self._board.live()
        return frozenset() if live is None else live.declared.intersection(NAMES)
