"""What a visitor has asked the help desk: which tickets are open, and in what mood he was last.

Of every ticket the latest statement holds, closed ones too: else a statement that comes late would open it again.
"""

from __future__ import annotations

from typing import Final

import msgspec

from edgewise.events import Kind
from edgewise.ids import Producer
from edgewise.records import EventRecord

MAX_TICKETS: Final = 32
"""Tickets remembered, latest first."""


class Ticket(msgspec.Struct, frozen=True, array_like=True, order=True):
    """The latest statement about one ticket; the order of the fields decides which is latest."""

    time_ms: int
    producer: Producer
    seq: int
    is_open: bool
    topic: str
    """Empty: not said."""


class Mood(msgspec.Struct, frozen=True, array_like=True, order=True):
    """The latest mood that a ticket told."""

    time_ms: int
    producer: Producer
    seq: int
    value: float
    """From -1, angry, to 1, pleased."""


class Desk(msgspec.Struct, omit_defaults=True):
    """Mutable, as the profile that holds it."""

    tickets: dict[str, Ticket] = {}
    mood: Mood | None = None


def put_ticket(desk: Desk, event: EventRecord, kind: Kind) -> None:
    """Count an event that opens or closes a ticket; in place. One that names no ticket only tells a mood."""
    if event.mood is not None:
        _feel(desk, Mood(event.time_ms, event.producer, event.seq, event.mood))
    if event.ticket:
        topic = event.topics[0] if event.topics else ""
        stated = Ticket(event.time_ms, event.producer, event.seq, kind is Kind.TICKET_OPENED, topic)
        _state(desk, event.ticket, stated)
        _forget_oldest(desk)


def merge_desks(into: Desk, desk: Desk) -> None:
    """Add what another part of the same person has asked; in place."""
    if desk.mood is not None:
        _feel(into, desk.mood)
    for name, ticket in desk.tickets.items():
        _state(into, name, ticket)
    _forget_oldest(into)


def open_tickets(desk: Desk | None) -> dict[str, Ticket]:
    """The tickets whose latest statement opens them, by name."""
    return {name: ticket for name, ticket in sorted(desk.tickets.items()) if ticket.is_open} if desk else {}


def _state(desk: Desk, name: str, stated: Ticket) -> None:
    known = desk.tickets.get(name)
    if known is None or stated > known:
        desk.tickets[name] = stated


def _feel(desk: Desk, mood: Mood) -> None:
    if desk.mood is None or mood > desk.mood:
        desk.mood = mood


def _forget_oldest(desk: Desk) -> None:
    if len(desk.tickets) > MAX_TICKETS:
        latest = sorted(desk.tickets, key=lambda name: (desk.tickets[name], name), reverse=True)
        desk.tickets = {name: desk.tickets[name] for name in latest[:MAX_TICKETS]}
