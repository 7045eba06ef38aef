"""Whether a schedule is open at a moment: a pure function of the moment, the schedule and the zone that comes with it.

Everything is decided between two moments of UTC, which are looked up for the local day: so a day on which clocks
change is as long as it is, a time that a day does not have is the next one that it has, and of a time that comes twice
the first is meant.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from typing import Final

from edgewise.bundle.schedules import WEEKDAYS, Schedule, Zone

DAY_S: Final = 86_400
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
_EPOCH_WEEKDAY: Final = 3
"""1 January 1970 was a Thursday."""


class LocalClock:
    """The clocks of a place."""

    __slots__ = ("_offsets", "_since")

    def __init__(self, zone: Zone) -> None:
        """`zone` holds at least one entry, ascending."""
        self._since = [since for since, _ in zone]
        self._offsets = [offset for _, offset in zone]

    def local(self, utc_s: int) -> int:
        """What clocks show, in seconds since 1970-01-01 00:00 of local time."""
        return utc_s + self._offsets[max(0, bisect_right(self._since, utc_s) - 1)]

    def utc(self, local_s: int) -> int:
        """When clocks first show this, or the next that they do show where they leave it out; Unix time in seconds."""
        # Clocks differ from UTC by less than a day: earlier changes are over.
        place = max(0, bisect_right(self._since, local_s - DAY_S) - 1)
        while place + 1 < len(self._since) and local_s >= self._since[place + 1] + self._offsets[place]:
            place += 1
        utc_s = local_s - self._offsets[place]
        return utc_s if place == 0 else max(self._since[place], utc_s)


class CompiledSchedule:
    """A schedule in its zone, ready to be asked."""

    __slots__ = ("_clock", "_closed", "_days", "_ends_s", "_from_s", "_open", "_starts_s", "_to_s")

    def __init__(self, schedule: Schedule, zone: Zone) -> None:
        """Both must have been checked (`edgewise.admission.check_schedules`)."""
        self._clock = LocalClock(zone)
        is_daily = not (schedule.days or schedule.dates)
        self._days = frozenset(WEEKDAYS.index(day) for day in (WEEKDAYS if is_daily else schedule.days))
        self._open = frozenset(map(_day_of, schedule.dates))
        self._closed = frozenset(map(_day_of, schedule.except_))
        self._from_s, self._to_s = seconds_of(schedule.from_), seconds_of(schedule.to)
        if self._to_s <= self._from_s:
            self._to_s += DAY_S
        self._starts_s = None if schedule.starts is None else self._clock.utc(local_seconds(schedule.starts))
        self._ends_s = None if schedule.ends is None else self._clock.utc(local_seconds(schedule.ends))

    def is_open(self, now_ms: int) -> bool:
        """Whether it is open. The answer changes at full minutes only."""
        now_s = now_ms // 1_000
        if self._starts_s is not None and now_s < self._starts_s:
            return False
        if self._ends_s is not None and now_s >= self._ends_s:
            return False
        today = self._clock.local(now_s) // DAY_S
        # What began yesterday may last; and where clocks went back over midnight, tomorrow has begun once already.
        return any(self._covers(day, now_s) for day in (today, today - 1, today + 1))

    def _covers(self, day: int, now_s: int) -> bool:
        if day in self._closed or not (day in self._open or (day + _EPOCH_WEEKDAY) % 7 in self._days):
            return False
        midnight = day * DAY_S
        return self._clock.utc(midnight + self._from_s) <= now_s < self._clock.utc(midnight + self._to_s)


def seconds_of(time: str) -> int:
    """`08:30` in seconds since midnight."""
    return int(time[:2]) * 3_600 + int(time[3:]) * 60


def local_seconds(moment: str) -> int:
    """`2026-12-01T09:00` in seconds since 1970-01-01 00:00 of local time. Raises ValueError: there is no such day."""
    return _day_of(dt.date.fromisoformat(moment[:10])) * DAY_S + seconds_of(moment[11:])


def _day_of(date: dt.date) -> int:
    """Days since 1970-01-01."""
    return date.toordinal() - _EPOCH
