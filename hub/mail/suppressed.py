"""Who is not written to: addresses that bounced, readers who complained or unsubscribed.

A row names the keyed hash of an address, or a person's subject where no address is known. What events say of bounces,
complaints and unsubscribing is read here up to the last one stored, in the transaction that lets a mail go.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec
import sqlalchemy as sa

from edgewise.errors import MALFORMED
from edgewise.identifiers import EMAIL, base_kind
from edgewise.ids import DecisionId, SubjectId
from edgewise.records import ANONYMOUS, EventRecord, decode_record
from hub.ledger import tables
from hub.ledger.dialect import insert_new, upsert
from hub.ledger.records import columns_of, whole
from hub.ledger.rows import typed
from hub.mail.outbox import Outbox
from hub.mail.shown import DELIVERED, count_as_shown

BOUNCED: Final = "bounced"
COMPLAINED: Final = "complained"
UNSUBSCRIBED: Final = "unsubscribed"
STATED: Final = "stated"
"""An operator said so."""

REASONS: Final = {
    "Email Bounced": BOUNCED,
    "Email Marked as Spam": COMPLAINED,
    "Unsubscribed": UNSUBSCRIBED,
}
"""Segment's event -> why its person is not written to any more."""
_ARRIVED: Final = ("Email Opened", "Email Link Clicked", "Email Marked as Spam", "Unsubscribed")
"""Events that only who got a mail can give rise to."""
READ: Final = "mail/read"
"""Counter: the position up to which events were read."""
SOFT: Final = frozenset({"soft", "transient", "temporary", "deferred"})
"""What platforms call a bounce of an address that may take mail tomorrow (`bounceType`, `type`)."""

_columns: Final = tables.mail_suppressed.c


class Suppressed(msgspec.Struct, frozen=True):
    """Somebody who is not written to."""

    subject: SubjectId
    """Keyed hash of an address, or of a person."""
    reason: str
    source: str
    """Who said so: a producer of events, `bounce`, or a person's name."""
    time_ms: int


def suppress(connection: sa.Connection, subject: SubjectId, reason: str, source: str, time_ms: int) -> bool:
    """Write to nobody of this hash any more; False when that was so already (the first reason stays)."""
    if _of(connection, [subject]):
        return False
    insert_new(connection, tables.mail_suppressed, [msgspec.to_builtins(Suppressed(subject, reason, source, time_ms))])
    return True


def unsuppress(connection: sa.Connection, subject: SubjectId) -> bool:
    """Take it back; False where nothing was to be taken back."""
    return connection.execute(sa.delete(tables.mail_suppressed).where(_columns.subject == subject)).rowcount == 1


def suppressed_among(connection: sa.Connection, subjects: Collection[SubjectId]) -> list[Suppressed]:
    """Those of these that are not written to, after all events that are stored were read."""
    read_events(connection)
    return _of(connection, subjects)


def all_suppressed(connection: sa.Connection, *, limit: int = 10_000) -> list[Suppressed]:
    """The latest first."""
    query = sa.select(tables.mail_suppressed).order_by(_columns.time_ms.desc(), _columns.subject).limit(limit)
    return [typed(row, Suppressed) for row in connection.execute(query).mappings()]


def read_events(connection: sa.Connection) -> int:
    """Read what was stored since the last time; returns how many are suppressed for the first time.

    An event that belongs to a mail which nobody knew the fate of tells that it arrived.
    """
    last = connection.execute(sa.select(tables.counters.c.value).where(tables.counters.c.name == READ)).scalar()
    newest = connection.execute(sa.select(sa.func.max(tables.events.c.position))).scalar()
    if newest is None or newest <= (last or 0):
        return 0
    events = tables.events.c
    rows = connection.execute(
        sa.select(*columns_of(tables.events))
        .where(events.position > (last or 0), events.name.in_({*REASONS, *_ARRIVED}), events.type == "track")
        .order_by(events.position)
    ).all()
    new = 0
    for _, payload in whole(connection, rows):
        try:
            record = decode_record(payload)
        except MALFORMED:
            continue
        if isinstance(record, EventRecord):
            new += _take(connection, record)
    upsert(connection, tables.counters, [{"name": READ, "value": newest}], update=("value",))
    return new


def _take(connection: sa.Connection, event: EventRecord) -> bool:
    if event.decision_id is not None and event.name in _ARRIVED:
        arrived = Outbox.resolve(connection, event.decision_id, now_ms=event.received_ms)
        if arrived is not None:
            count_as_shown(connection, arrived.key, DELIVERED, now_ms=event.received_ms)
    reason = REASONS.get(event.name)
    if reason is None or (reason == BOUNCED and _is_soft(event)):
        return False
    addresses = [each for name, each in event.identifiers.items() if base_kind(name) == EMAIL]
    addresses = addresses or _of_mail(connection, event.decision_id)
    whom = {*(addresses or [event.subject])} - {ANONYMOUS}
    return sum(suppress(connection, subject, reason, event.producer, event.time_ms) for subject in sorted(whom)) > 0


def _of_mail(connection: sa.Connection, decision_id: DecisionId | None) -> list[SubjectId]:
    """The address that the mail of a decision went to."""
    if decision_id is None:
        return []
    outbox = tables.mail_outbox.c
    query = sa.select(outbox.identifier).where(outbox.decision_id == decision_id, outbox.identifier != "")
    return [SubjectId(found) for found in connection.execute(query).scalars()]


def _is_soft(event: EventRecord) -> bool:
    try:
        said = msgspec.json.decode(event.body) if event.body else {}
    except MALFORMED:
        return False
    properties = said.get("properties") if isinstance(said, dict) else None
    if not isinstance(properties, dict):
        return False
    return any(str(properties.get(name, "")).lower() in SOFT for name in ("bounceType", "bounce_type", "type"))


def _of(connection: sa.Connection, subjects: Collection[SubjectId]) -> list[Suppressed]:
    query = sa.select(tables.mail_suppressed).where(_columns.subject.in_(sorted(subjects))).order_by(_columns.subject)
    return [typed(row, Suppressed) for row in connection.execute(query).mappings()]
