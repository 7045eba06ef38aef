"""The one transaction: which of what came is taken, under which number; then all of it is written, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec
import sqlalchemy as sa

from edgewise.ids import Producer
from edgewise.records import (
    DecisionRecord,
    EventRecord,
    GapRecord,
    PreferenceRecord,
    encode_record,
)
from hub.ledger import tables
from hub.ledger.batch import Batch, Placed, follow, number_from, place
from hub.ledger.canonical import Fold, moves
from hub.ledger.dialect import among, chunks
from hub.ledger.expiring import expired_before
from hub.ledger.suppressed import Suppressed, suppressed_among
from hub.ledger.writing import Dead, Gap, Mark, Stored, Taken, write

ERASED_LANE: Final = "erased"
"""Lane of the gap that a record leaves whose visitor was erased before it arrived."""
UNREADABLE_LANE: Final = "unreadable"
"""Lane of the gap that an unreadable gap record leaves."""


class _Known(NamedTuple):
    """Ids that are taken; a message may be called like a decision."""

    messages: set[str]
    decisions: set[str]


def store_batches(connection: sa.Connection, batches: Sequence[tuple[Batch, list[Placed]]], now_ms: int) -> Stored:
    """Store every batch as far as its numbers follow on what is stored; what was stored before is passed over."""
    marks = _marks(connection, {batch.producer for batch, _ in batches})
    accepted: list[tuple[Producer, Placed]] = []
    answers: list[Mark] = []
    for batch, placed in batches:
        name = batch.producer
        mark = marks.get(name, -1)
        unnumbered = bool(placed) and placed[0].first_seq is None
        followed = follow(_numbered(connection, name, placed, mark) if unnumbered else placed, mark)
        accepted += [(name, one) for one in followed.accepted]
        if followed.accepted:
            marks[name] = followed.mark
        answers.append(Mark(name, followed.mark, followed.hole))
    records = [one.record for _, one in accepted]
    taken = _sort(accepted, _known_ids(connection, records), suppressed_among(connection, records))
    moved = {name: marks[name] for name in {name for name, _ in accepted}}
    return write(connection, taken, moved, answers, now_ms)


def append_events(
    connection: sa.Connection, name: Producer, events: Sequence[EventRecord | PreferenceRecord], now_ms: int
) -> tuple[Stored, int]:
    """Number events onwards from the producer's mark and store those whose message id is new.

    What a visitor stated with an event follows it as a preference, and is stored if the event is.
    Returns what was stored, and how many events were known already: those take no number, so that importing a file
    again changes nothing. What belongs to somebody who was erased since it happened, or is older than what was deleted
    of this producer by its age, counts as known, too.
    """
    known = _known_ids(connection, events)
    suppressed = suppressed_among(connection, events)
    mark = _marks(connection, {name}).get(name, -1)
    oldest_ms = expired_before(connection, name)
    taken = Taken()
    repeated = 0
    is_new = True
    for record in events:
        if isinstance(record, EventRecord):
            is_kept = record.time_ms >= oldest_ms and not suppressed.drops(record)
            is_new = is_kept and _is_new(record, known)
            repeated += not is_new
        if not is_new:
            continue
        mark += 1
        stated = suppressed.kept(record) if isinstance(record, EventRecord) else record
        numbered = msgspec.structs.replace(stated, producer=name, seq=mark)
        if isinstance(numbered, EventRecord):
            taken.events.append((numbered, encode_record(numbered)))
        else:
            taken.preferences.append((numbered, encode_record(numbered)))
        taken.fold(Fold(numbered))
    new = len(taken.events) + len(taken.preferences)
    stored = write(connection, taken, {name: mark} if new else {}, [Mark(name, mark)], now_ms)
    return stored, repeated


def append_decisions(
    connection: sa.Connection, name: Producer, decisions: Sequence[DecisionRecord], now_ms: int
) -> Stored:
    """Number decisions that the hub made itself onwards from the producer's mark, and store those that are new."""
    mark = _marks(connection, {name}).get(name, -1)
    numbered = [
        encode_record(msgspec.structs.replace(record, producer=name, seq=mark + number))
        for number, record in enumerate(decisions, 1)
    ]
    batch = Batch(name, numbered)
    return store_batches(connection, [(batch, place(batch))], now_ms)


def _marks(connection: sa.Connection, names: Iterable[Producer]) -> dict[Producer, int]:
    columns = tables.producers.c
    found: dict[Producer, int] = {}
    for some in chunks(sorted(names)):
        rows = connection.execute(sa.select(columns.producer, columns.stored_seq).where(columns.producer.in_(some)))
        found.update((Producer(name), mark) for name, mark in rows)
    return found


def _numbered(connection: sa.Connection, name: Producer, placed: list[Placed], mark: int) -> list[Placed]:
    """Payloads that tell no number at all: dead letters sent again, or what comes next.

    Taking what was sent again for something new would take the number of a record that is yet to come, and lose that.
    """
    columns = tables.dead_letters.c
    rows = connection.execute(sa.select(columns.seq, columns.payload).where(columns.producer == name))
    known = {row.payload: row.seq for row in rows}
    for index, one in enumerate(placed):
        if one.payload in known:
            return number_from(placed, known[one.payload] - index)
    return number_from(placed, mark + 1)


def _known_ids(connection: sa.Connection, records: Sequence[object]) -> _Known:
    """Ids among those of `records` that are stored already."""
    messages = [record.message_id for record in records if isinstance(record, EventRecord)]
    decisions = [record.decision_id for record in records if isinstance(record, DecisionRecord)]
    return _Known(
        _stored_values(connection, tables.events.c.message_id, messages),
        _stored_values(connection, tables.decisions.c.decision_id, decisions),
    )


def _stored_values(connection: sa.Connection, column: sa.Column[str], values: Sequence[str]) -> set[str]:
    if not values:
        return set()
    return set(connection.execute(sa.select(column).where(among(connection, column, values))).scalars())


def _is_new(record: EventRecord | DecisionRecord, known: _Known) -> bool:
    """Whether its id was never seen; from now on it was."""
    if isinstance(record, EventRecord):
        ids, identifier = known.messages, str(record.message_id)
    else:
        ids, identifier = known.decisions, str(record.decision_id)
    if identifier in ids:
        return False
    ids.add(identifier)
    return True


def _sort(accepted: Sequence[tuple[Producer, Placed]], known: _Known, suppressed: Suppressed) -> Taken:
    taken = Taken()
    for name, one in accepted:
        record, payload = one.record, one.payload
        assert one.first_seq is not None
        assert one.last_seq is not None
        match record:
            case PreferenceRecord() if record.erasure:
                taken.requests.append(record)
            case _ if suppressed.drops(record):
                _forget(taken, name, one, suppressed)
            case EventRecord() | DecisionRecord() if not _is_new(record, known):
                taken.duplicates.append(record)
                taken.fold(Fold(record, counted=False))
            case EventRecord():
                kept = suppressed.kept(record)
                taken.events.append((kept, payload if kept is record else encode_record(kept)))
                taken.fold(Fold(kept))
            case DecisionRecord():
                taken.decisions.append((record, payload))
                taken.fold(Fold(record))
            case PreferenceRecord():
                taken.preferences.append((record, payload))
                taken.fold(Fold(record))
            case GapRecord():
                whole = one.first_seq == record.first_seq
                count = record.count if whole else one.last_seq - one.first_seq + 1
                taken.gaps.append(Gap(name, one.first_seq, one.last_seq, record.lane, count))
            case None:
                _bury(taken, name, one)
    return taken


def _bury(taken: Taken, name: Producer, one: Placed) -> None:
    assert one.first_seq is not None
    assert one.last_seq is not None
    taken.dead.append(Dead(name, one.last_seq, one.fault, one.payload))
    if (missing := one.last_seq - one.first_seq) > 0:
        taken.gaps.append(Gap(name, one.first_seq, one.last_seq - 1, UNREADABLE_LANE, missing))


def _forget(taken: Taken, name: Producer, one: Placed, suppressed: Suppressed) -> None:
    """Let a record of somebody who was erased take its number, and nothing else.

    The node that sent it may have it pending. Where its subject has come back, or was never erased himself, his profile
    is moved past it; else the node is told once more to forget him.
    """
    assert one.first_seq is not None
    assert one.last_seq is not None
    record = one.record
    assert isinstance(record, EventRecord | DecisionRecord | PreferenceRecord)
    taken.gaps.append(Gap(name, one.first_seq, one.last_seq, ERASED_LANE, one.last_seq - one.first_seq + 1))
    if record.subject in suppressed.alive or not suppressed.drops_subject(record):
        if isinstance(record, EventRecord) and moves(fold := Fold(record, counted=False)):
            taken.fold(fold)
            taken.forgotten.marks.append({"subject": record.subject, "producer": name, "seq": record.seq})
    else:
        taken.forgotten.erased.add(record.subject)
