"""Hours in which nobody is written to, on the reader's own clock."""

from __future__ import annotations

import datetime as dt
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from edgewise.errors import InputError

_DAY_MINUTES: Final = 24 * 60


class Quiet(NamedTuple):
    """From one minute of the day, included, to another, excluded; it may go over midnight. Equal ones: never."""

    from_minute: int
    to_minute: int
    timezone: str = "UTC"
    """IANA name of the reader's zone."""


NEVER_QUIET: Final = Quiet(0, 0)


def zone_of(name: str) -> ZoneInfo:
    """Raises InputError for a name that the time zone database does not have."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as unknown:
        raise InputError(f"{name!r} is no time zone; expected an IANA name such as Europe/Berlin") from unknown


def quiet_until(quiet: Quiet, now_ms: int) -> int | None:
    """When the quiet hours end in which this moment lies; None when it lies in none.

    Where clocks are put forward over the end, they end with the gap; where they are put back over it, at its first
    passing.
    """
    if quiet.from_minute == quiet.to_minute:
        return None
    zone = zone_of(quiet.timezone)
    here = dt.datetime.fromtimestamp(now_ms / 1_000, zone)
    minute = here.hour * 60 + here.minute
    since_start = (minute - quiet.from_minute) % _DAY_MINUTES
    length = (quiet.to_minute - quiet.from_minute) % _DAY_MINUTES
    if since_start >= length:
        return None
    over_midnight = quiet.to_minute <= minute
    day = here.date() + dt.timedelta(days=int(over_midnight))
    hour, minutes = divmod(quiet.to_minute, 60)
    ends = dt.datetime.combine(day, dt.time(hour, minutes), zone)
    ends_ms = int(ends.timestamp() * 1_000)
    # put back within the quiet hours: the same reading comes twice, and the first one is over
    return ends_ms if ends_ms > now_ms else int(ends.replace(fold=1).timestamp() * 1_000)
