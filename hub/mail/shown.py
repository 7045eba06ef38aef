"""What makes a mail count as shown: an event for each of its decisions, once it is certain that the mail went."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from edgewise.consent import Grants
from edgewise.ids import MessageId, Producer
from edgewise.records import EventRecord
from hub.ledger.storing import append_events
from hub.mail.outbox import MailRow, Outbox, Shown

PRODUCER: Final = Producer("mail/outbox")
"""Under whose name the hub stores what mails were decided to say, and that they went."""
DELIVERED: Final = "Email Delivered"


def count_as_shown(connection: sa.Connection, key: str, name: str, *, now_ms: int) -> None:
    """Store the events `name` of a mail of the outbox; storing them again changes nothing."""
    row = Outbox.row(connection, key)
    if row is not None:
        append_events(connection, PRODUCER, activations_of(row, name, now_ms=now_ms), now_ms)


def activations_of(row: MailRow, name: str, *, now_ms: int) -> list[EventRecord]:
    """One a decision; a mail without any has one all the same."""
    shown: list[Shown | None] = [*row.shown] or [None]
    return [
        EventRecord(
            producer=PRODUCER,
            seq=0,
            subject=row.subject,
            message_id=MessageId(f"mail/{row.message_id}/{number}"),
            type="track",
            name=name,
            time_ms=now_ms,
            received_ms=now_ms,
            grants=Grants() if each is None else each.grants,
            decision_id=None if each is None else each.decision_id,
            placement=each.placements[0] if each is not None and len(each.placements) == 1 else None,
            vouched=True,
        )
        for number, each in enumerate(shown)
    ]
