"""Which items of a catalogue are open now: items share schedules, and each schedule is asked once a minute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.clocks import CompiledSchedule
from edgewise.bundle.schedules import Schedule, Zone, ZoneName

NO_ZONES: Final[Mapping[ZoneName, Zone]] = MappingProxyType({})
_MINUTE_MS: Final = 60_000
Mask = NDArray[np.bool_]


class OpeningHours:
    """The schedules of items. Immutable but for what it remembers of the last minute."""

    __slots__ = ("_last", "_schedules", "_which", "has_schedule")

    def __init__(self, schedules: Sequence[Schedule | None], zones: Mapping[ZoneName, Zone]) -> None:
        """One for each item, in the order of their codes; None: always open. `zones`: those that they name."""
        self._schedules: list[CompiledSchedule] = []
        self._which: NDArray[np.intp] = np.zeros(len(schedules) + 1, np.intp)
        number_of: dict[bytes, int] = {}
        for code, schedule in enumerate(schedules):
            if schedule is None:
                continue
            number = number_of.setdefault(schedule.key, len(number_of) + 1)
            if number > len(self._schedules):
                self._schedules.append(CompiledSchedule(schedule, zones[schedule.timezone]))
            self._which[code] = number
        self.has_schedule: Mask = self._which > 0
        """Shape (items + 1,); the last is the unknown item."""
        self._last: tuple[int, Mask] | None = None

    @property
    def is_always(self) -> bool:
        """Whether no item has a schedule."""
        return not self._schedules

    def open_at(self, now_ms: int) -> Mask:
        """Which items are open; shape (items + 1,)."""
        minute = now_ms // _MINUTE_MS
        last = self._last
        if last is None or last[0] != minute:
            # Schedules open and close at full minutes. One assignment, so that threads may share this.
            is_open = np.array([True, *(schedule.is_open(now_ms) for schedule in self._schedules)])
            self._last = last = (minute, is_open[self._which])
        return last[1]
