"""When a mail is due, and until when it may still be sent, on the reader's own clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from edgewise.errors import MALFORMED, InputError
from edgewise.records import EventRecord
from hub.mail.quiet import NEVER_QUIET, Quiet, quiet_until, zone_of
from hub.site.journey_file import JourneyFile, Trigger

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
_LOOKED_AT: Final = 50
"""Events that are looked through for a time zone, the latest ones."""


class Window(NamedTuple):
    """From when to when a mail may leave."""

    due_ms: int
    not_after_ms: int


class _Body(msgspec.Struct, frozen=True):
    context: dict[str, Any] | None = None


_bodies = msgspec.json.Decoder(_Body)


def window(due_ms: int, trigger: Trigger, quiet: Quiet) -> Window:
    """When a mail goes that is due at a moment: at once, or right behind the quiet hours that it meets."""
    until_ms = quiet_until(quiet, due_ms)
    if until_ms is not None:
        return Window(until_ms, until_ms + trigger.after_quiet_minutes * MINUTE_MS)
    not_after_ms = due_ms + trigger.within_minutes * MINUTE_MS
    # What was not sent before quiet hours begin within its time waits for their end: it is late by no fault of its own.
    until_ms = quiet_until(quiet, not_after_ms)
    return Window(due_ms, not_after_ms if until_ms is None else until_ms + trigger.after_quiet_minutes * MINUTE_MS)


def quiet_of(journey: JourneyFile, timezone: str) -> Quiet:
    """The journey's quiet hours where the reader is."""
    said = journey.quiet_hours
    return NEVER_QUIET if said is None else Quiet(_minute(said.begin), _minute(said.end), timezone)


def timezone_of(events: Sequence[EventRecord], default: str) -> str:
    """What the latest event says that names a time zone there is."""
    for event in sorted(events, key=lambda each: -each.time_ms)[:_LOOKED_AT]:
        try:
            context = (_bodies.decode(event.body).context or {}) if event.body else {}
        except MALFORMED:
            continue
        said = context.get("timezone")
        if isinstance(said, str) and said and _is_known(said):
            return said
    return default


def _is_known(name: str) -> bool:
    try:
        zone_of(name)
    except InputError:
        return False
    return True


def _minute(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)
