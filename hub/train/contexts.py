"""The page on which something was wanted: training replays a visitor's choice as a node would have been asked there.

An event that names its decision was shown on that decision's page, and the record holds the very context that the node
decided with. Any other event carries its own (Segment's `context`), which says less: no country, no network, for these
are a node's, and never kept with an event. What a page did not say is missing at training as it is at serving.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec

from edgewise.errors import MALFORMED
from edgewise.ids import DecisionId
from edgewise.records import DecisionRecord, EventRecord
from edgewise.request import Context

_MINUTE: Final = dt.timedelta(minutes=1)
_REMEMBERED: Final = 65_536


class _Body(msgspec.Struct):
    """What is left of an event's body."""

    context: Context = Context()


_decoder = msgspec.json.Decoder(_Body)
_encoder = msgspec.json.Encoder(order="deterministic")
_raw = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Pages:
    """The contexts of decisions, each kept once: a site has few pages, and many decisions on each."""

    def __init__(self) -> None:
        self._kept: dict[bytes, bytes] = {}
        self._bodies: dict[DecisionId, bytes] = {}

    def remember(self, decision: DecisionRecord) -> None:
        """Before the events that name it."""
        body = _encoder.encode(_Body(decision.context))
        self._bodies[decision.decision_id] = self._kept.setdefault(body, body)

    def on_its_page(self, event: EventRecord) -> EventRecord:
        """The event with a body that holds nothing but the context that it happened in."""
        body = None if event.decision_id is None else self._bodies.get(event.decision_id)
        if body is None:
            body = _own_context(event.body, event.time_ms)
            body = self._kept.setdefault(body, body)
        return msgspec.structs.replace(event, body=body)


def context_of(event: EventRecord) -> Context:
    """The context of an event of `Pages.on_its_page`."""
    return _decoded(event.body)


def _own_context(body: bytes, time_ms: int) -> bytes:
    """Without properties, with the clock of its zone; nothing where it holds no context that a page could ask with."""
    if not body:
        return b""
    try:
        said: Mapping[str, msgspec.Raw] = _raw.decode(body)
        context = msgspec.json.decode(said["context"], type=Context)
    except (*MALFORMED, KeyError):
        return b""
    if context.utc_offset_minutes is None and context.timezone:
        context = msgspec.structs.replace(context, utc_offset_minutes=_offset_minutes(context.timezone, time_ms))
    return _encoder.encode(_Body(context))


@lru_cache(_REMEMBERED)
def _decoded(body: bytes) -> Context:
    try:
        return _decoder.decode(body).context if body else Context()
    except MALFORMED:  # a record from before it was cut to its context
        return Context()


def _offset_minutes(timezone: str, moment_ms: int) -> int | None:
    try:
        zone = zoneinfo.ZoneInfo(timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None
    offset = dt.datetime.fromtimestamp(moment_ms / 1_000, zone).utcoffset()
    return None if offset is None else offset // _MINUTE
