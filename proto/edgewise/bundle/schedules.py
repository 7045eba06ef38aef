"""When something is shown, by the clocks of a place: "on weekdays from 8 to 20 in Berlin".

Nodes have no table of time zones of their own: two editions of it, on hub and node, would be two answers. The policy
carries what it needs of one, as the moments at which a place's clocks change (`Site.zones`).
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ClockTime = Annotated[str, Meta(pattern="^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
"""Hours and minutes, as `08:00`; `24:00` is the end of the day."""
LocalMoment = Annotated[str, Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""A date and a clock time, without a zone: `2026-12-01T09:00`."""
ZoneName = str
"""As in the IANA database: `Europe/Berlin`."""
Zone = list[tuple[int, int]]
"""(Unix time in seconds, seconds east of UTC from then on), ascending; the first holds before it as well."""


class Schedule(msgspec.Struct, frozen=True, omit_defaults=True, rename={"from_": "from", "except_": "except"}):
    """Open from `from` to `to` on each of its days, by the clocks of `timezone`.

    A time that a day does not have, because clocks go forward, is the next one that it has; of a time that comes twice
    the first is meant. `to` that is not after `from` is on the next day.
    """

    timezone: ZoneName
    days: list[Weekday] = []
    """Every day where neither `days` nor `dates` are given."""
    from_: ClockTime = "00:00"
    to: ClockTime = "24:00"
    dates: list[dt.date] = []
    """Single days, beside those of the week."""
    except_: list[dt.date] = []
    """Days on which it stays closed."""
    starts: LocalMoment | None = None
    """Closed before."""
    ends: LocalMoment | None = None
    """Closed from then on."""

    @property
    def key(self) -> bytes:
        """Equal schedules have equal keys."""
        return _encoder.encode(self)


_encoder = msgspec.json.Encoder()
