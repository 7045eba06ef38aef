"""What a node adds to a page's context where the page is silent: the clock, the country and the network of the visitor.

What is added stands in the decision's record, like all of the context, so that a replay needs neither a database of
zones nor one of addresses. The address itself stands nowhere: not in a record, not in a log, not in a cache.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from edge.log import Log
from edge.place_of_ip import NOWHERE, Places, address_of, networks_of, open_places
from edge.settings import EdgeSettings
from edgewise.errors import InputError
from edgewise.request import Context, Geo, Network

_MINUTE: Final = dt.timedelta(minutes=1)
_REMEMBERED_ZONES: Final = 1_024
_ZONE_NAME: Final = re.compile(r"[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,2}")
"""How zones are written (`America/Argentina/Buenos_Aires`, `Etc/GMT+5`). What looks otherwise is not looked for: a zone
that the system does not have is imported from `tzdata` as a package, part by part, and a thousand parts are more than
Python's stack holds."""


class Surroundings:
    """Of one worker's visitors."""

    def __init__(self, settings: EdgeSettings, log: Log) -> None:
        """A file that has become unusable since the node started costs what it knows, and no answer."""
        self._proxies = networks_of(settings.trusted_proxies)
        self._places: Places | None = None
        if settings.place_databases:
            try:
                self._places = open_places(settings.place_databases)
            except InputError as wrong:
                log.warning("visitors come from nowhere", reason=wrong.message)

    def completed(self, context: Context, peer: str, headers: Mapping[bytes, bytes], now_ms: int) -> Context:
        """The context, with what is known beside it. `peer` is the address of the connection."""
        added: dict[str, Any] = {}
        if context.utc_offset_minutes is None and context.timezone:
            offset_minutes = _offset_minutes(context.timezone, now_ms)
            if offset_minutes is not None:
                added["utc_offset_minutes"] = offset_minutes
        if self._places is not None and not (context.geo.country and context.network.type):
            address = address_of(peer, headers, self._proxies)
            place = NOWHERE if address is None else self._places.of(address)
            if place.country and not context.geo.country:
                added["geo"] = Geo(place.country)
            if place.network and not context.network.type:
                added["network"] = Network(place.network)
        return msgspec.structs.replace(context, **added) if added else context


def is_zone_name(text: str) -> bool:
    """Whether a zone may be called like this."""
    return _ZONE_NAME.fullmatch(text) is not None


def _offset_minutes(timezone: str, now_ms: int) -> int | None:
    zone = _zone(timezone) if is_zone_name(timezone) else None
    offset = None if zone is None else dt.datetime.fromtimestamp(now_ms / 1_000, zone).utcoffset()
    return None if offset is None else offset // _MINUTE


@lru_cache(_REMEMBERED_ZONES)
def _zone(name: str) -> zoneinfo.ZoneInfo | None:
    """A zone by name, None for what is none; pages may write anything, and each look at the disk takes time."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None
