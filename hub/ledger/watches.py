"""Whom journeys watch: found by what was stored since the last look, kept until nothing is to come of it.

Every function takes the connection of the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import sqlalchemy as sa

from edgewise.errors import MALFORMED
from edgewise.ids import SubjectId
from edgewise.records import EventRecord, decode_record
from hub.ledger import tables
from hub.ledger.dialect import among, upsert
from hub.ledger.records import columns_of, whole
from hub.ledger.writing import POSITION

_watches = tables.journey_watches.c


class Watch(NamedTuple):
    """Somebody who is to be looked at."""

    journey: str
    subject: SubjectId
    look_ms: int
    tries: int = 0


def find(connection: sa.Connection, journey: str, event: str, *, since_ms: int, look_ms: int) -> int:
    """Watch everybody who did `event` and was not read yet; returns how many events were read.

    A journey that reads for the first time begins with what was received since `since_ms`. The count of what was read
    and the watches are one transaction: read again after a crash, the same people are watched.
    """
    counter = f"journeys/{journey}"
    counters, events = tables.counters.c, tables.events.c
    read = connection.execute(sa.select(counters.value).where(counters.name == counter)).scalar_one_or_none()
    newest = connection.execute(sa.select(counters.value).where(counters.name == POSITION)).scalar_one_or_none() or 0
    # A ledger that was restored from a backup counts on from an older position.
    where = [events.position > min(read, newest)] if read is not None else [events.received_ms >= since_ms]
    if read == newest:
        return 0
    rows = connection.execute(
        sa.select(events.subject).where(*where, events.name == event, events.type == "track", events.subject != "")
    )
    found = [SubjectId(subject) for subject in rows.scalars()]
    upsert(
        connection,
        tables.journey_watches,
        [{"journey": journey, "subject": subject, "look_ms": look_ms, "tries": 0} for subject in dict.fromkeys(found)],
        update=("look_ms", "tries"),
    )
    upsert(connection, tables.counters, [{"name": counter, "value": newest}], update=("value",))
    return len(found)


def due(connection: sa.Connection, journey: str, now_ms: int, *, most: int) -> list[Watch]:
    """Who is to be looked at by now, whoever waits longest first."""
    query = (
        sa.select(_watches.journey, _watches.subject, _watches.look_ms, _watches.tries)
        .where(_watches.journey == journey, _watches.look_ms <= now_ms)
        .order_by(_watches.look_ms, _watches.subject)
        .limit(most)
    )
    return [Watch(*row) for row in connection.execute(query)]


def look_later(connection: sa.Connection, watch: Watch, look_ms: int | None, *, tries: int = 0) -> None:
    """When he is looked at again; None: no more, unless he begins another run.

    Nothing where somebody has moved the watch since `watch` was read: there is something new to be looked at.
    """
    own = (_watches.journey == watch.journey, _watches.subject == watch.subject, _watches.look_ms == watch.look_ms)
    if look_ms is None:
        connection.execute(sa.delete(tables.journey_watches).where(*own))
    else:
        connection.execute(sa.update(tables.journey_watches).where(*own).values(look_ms=look_ms, tries=tries))


def watched(connection: sa.Connection) -> dict[str, int]:
    """Journey -> how many people it watches."""
    query = sa.select(_watches.journey, sa.func.count()).group_by(_watches.journey)
    return {journey: int(count) for journey, count in connection.execute(query)}


def deeds_of(connection: sa.Connection, subjects: Collection[SubjectId], since_ms: int) -> list[EventRecord]:
    """What these subjects did since a moment, in the order of storing; a record that cannot be read is left out."""
    events = tables.events.c
    rows = connection.execute(
        sa.select(*columns_of(tables.events))
        .where(among(connection, events.subject, sorted(subjects)), events.time_ms >= since_ms)
        .order_by(events.position)
    ).all()
    found: list[EventRecord] = []
    for _, payload in whole(connection, rows):
        try:
            record = decode_record(payload)
        except MALFORMED:
            continue
        if isinstance(record, EventRecord):
            found.append(record)
    return found
