"""What a running hub does for live facts without being asked: publish, renew, count, forget."""

from __future__ import annotations

from itertools import islice
from typing import Final

from edgewise.clock import Clock
from edgewise.ids import ItemId
from edgewise.profile.scopes import Scopes, observe
from edgewise.profile.state import DAY_MS
from hub.counted_facts import NAMES, OF_A_DAY, OF_WEEKS
from hub.facts import standing
from hub.facts.board import BY_CLOCK, FactsBoard
from hub.facts.trends import LONGEST_MS, Trends
from hub.ledger.ledger import Ledger

HISTORY_MS: Final = 30 * DAY_MS
"""How long a version is remembered, and with it what decisions of that time can be replayed with."""
PRUNE_MS: Final = 3_600_000
AT_ONCE: Final = 50_000
"""Events of past weeks that one turn counts, so that no turn holds up what is to be published."""


class FactsKeeper:
    """The facts of a running hub. Blocking; not to be used by two threads at once."""

    def __init__(
        self,
        board: FactsBoard,
        ledger: Ledger,
        clock: Clock,
        *,
        history_ms: int = HISTORY_MS,
        at_once: int = AT_ONCE,
    ) -> None:
        self._board = board
        self._ledger = ledger
        self._clock = clock
        self._history_ms = history_ms
        self._at_once = at_once
        self._trends = Trends()
        self._position: int | None = None
        """Up to where the ledger's events are counted; None: counting has not begun."""
        self._scopes = Scopes()
        self._scoped_position: int | None = None
        """Likewise for what is counted over weeks."""
        self._standing: tuple[frozenset[str], int, dict[str, dict[ItemId, float]]] = (frozenset(), -1, {})
        """Names and day of the columns that were made last: they stay true until something happens, or the day ends."""
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
        columns = self._counted_lately(names.intersection(OF_A_DAY), now_ms)
        columns |= self._counted_for_weeks(names.intersection(OF_WEEKS), now_ms)
        sheet = self._board.sheet()
        if sheet is not None and sheet.halted:
            return
        changes: dict[str, dict[ItemId, float | None]] = {}
        for name, column in columns.items():
            held = {} if sheet is None else sheet.columns.get(name, {})
            changes[name] = {**dict.fromkeys(held), **column}
        if any(changes.values()):
            self._board.change(changes, by=BY_CLOCK)

    def _counted_lately(self, names: frozenset[str], now_ms: int) -> dict[str, dict[ItemId, float]]:
        if not names:
            return {}
        if self._position is None:
            self._position = self._ledger.position_before(now_ms - LONGEST_MS)
        for position, event in self._ledger.events(after_position=self._position):
            self._position = position
            if event.time_ms > now_ms - LONGEST_MS:
                self._trends.add([event])
        return self._trends.columns(sorted(names), now_ms)

    def _counted_for_weeks(self, names: frozenset[str], now_ms: int) -> dict[str, dict[ItemId, float]]:
        """Nothing before all that the ledger holds of these weeks is counted: half of it would say something false."""
        if not names:
            return {}
        if self._scoped_position is None:
            self._scoped_position = self._ledger.position_before(now_ms - standing.LONGEST_DAYS * DAY_MS)
        some = list(islice(self._ledger.events(after_position=self._scoped_position), self._at_once))
        if some:
            self._scoped_position = some[-1][0]
            observe(self._scopes, [event for _, event in some])
        if len(some) == self._at_once:
            return {}
        today = now_ms // DAY_MS
        if some or self._standing[:2] != (names, today):
            self._standing = (names, today, standing.columns(self._scopes, sorted(names), now_ms))
        return self._standing[2]

    def counted_names(self) -> frozenset[str]:
        """Names that the live release declares and the hub counts."""
        live = self._board.live()
        return frozenset() if live is None else live.declared & NAMES
