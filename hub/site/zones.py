"""The clocks of places, from the IANA database of this machine into the tables that a policy carries."""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo
from collections.abc import Iterable
from typing import Final

from edgewise.bundle.schedules import Zone, ZoneName

FIRST_YEAR: Final = 2020
LAST_YEAR: Final = 2050
"""What is known now of changes beyond is a guess: politics moves clocks. From then on they stay as they are."""
_STEP: Final = dt.timedelta(days=1)
"""No place has changed its clocks twice within a day since 2020."""


@functools.cache
def known_zones() -> frozenset[ZoneName]:
    """All names of zones."""
    return frozenset(zoneinfo.available_timezones())


@functools.cache
def zone_table(name: ZoneName) -> Zone:
    """When the clocks of a known zone change, from 2020 to 2050."""
    zone = zoneinfo.ZoneInfo(name)
    at = dt.datetime(FIRST_YEAR, 1, 1, tzinfo=dt.UTC)
    end = dt.datetime(LAST_YEAR, 1, 1, tzinfo=dt.UTC)
    offset = _offset(zone, at)
    table = [(int(at.timestamp()), offset)]
    while at < end:
        after = at + _STEP
        changed = _offset(zone, after)
        if changed != offset:
            table.append((_moment_of_change(zone, at, after), changed))
            offset = changed
        at = after
    return table


def tables_of(names: Iterable[ZoneName]) -> dict[ZoneName, Zone]:
    """The tables of some zones, by name."""
    return {name: zone_table(name) for name in sorted(set(names))}


def _moment_of_change(zone: zoneinfo.ZoneInfo, before: dt.datetime, after: dt.datetime) -> int:
    low, high = int(before.timestamp()), int(after.timestamp())
    offset = _offset(zone, before)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, dt.datetime.fromtimestamp(middle, dt.UTC)) == offset:
            low = middle
        else:
            high = middle
    return high


def _offset(zone: zoneinfo.ZoneInfo, moment: dt.datetime) -> int:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None, "a zone of the database always says one"
    return int(offset.total_seconds())
