"""The one transaction: records, outcomes, canonical profiles and high-water marks together, or nothing of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa

from edgewise.ids import Producer, SubjectId
from edgewise.records import (
    DecisionRecord,
    EventRecord,
    GapRecord,
    PreferenceRecord,
    encode_record,
)
from hub.ledger import canonical, tables
from hub.ledger.batch import Batch, Placed, number_from, parts_of
from hub.ledger.canonical import Fold, moves
from hub.ledger.dialect import chunks, insert_new, upsert
from hub.ledger.rewards import rewards_of

POSITION: Final = "position"
"""Counter of what was stored, over all tables; the others are named after the table that they count."""
UNREADABLE_LANE: Final = "unreadable"
"""Lane of the gap that an unreadable gap record leaves."""


class Mark(NamedTuple):
    """How far a producer is stored after a batch."""

    producer: Producer
    stored_seq: int
    """Everything up to it is stored or declared lost; -1: nothing is."""
    hole: tuple[int, int] | None = None
    """(expected, came): the rest of the batch was left out, because records are missing before it."""


class Stored(NamedTuple):
    """What one transaction did."""

    marks: list[Mark]
    """One a batch, in the batches' order."""
    changed: frozenset[SubjectId]
    """Subjects whose canonical profile or preferences changed."""
    revision: int
    """Last position given out."""
    counts: dict[str, int]
    """What was added, by table."""


@dataclass(slots=True)
class _Taken:
    """Records that this transaction stores, sorted by where they go."""

    events: list[tuple[EventRecord, bytes]] = field(default_factory=list)
    decisions: list[tuple[DecisionRecord, bytes]] = field(default_factory=list)
    preferences: list[tuple[PreferenceRecord, bytes]] = field(default_factory=list)
    gaps: list[tuple[Producer, int, int, str, int]] = field(default_factory=list)
    duplicates: list[EventRecord | DecisionRecord] = field(default_factory=list)
    dead: list[tuple[Producer, int, str, bytes]] = field(default_factory=list)
    folds: dict[SubjectId, list[Fold]] = field(default_factory=dict)

    def fold(self, fold: Fold) -> None:
        if moves(fold):
            self.folds.setdefault(fold.record.subject, []).append(fold)


def store_batches(connection: sa.Connection, batches: Sequence[tuple[Batch, list[Placed]]], now_ms: int) -> Stored:
    """Store every batch as far as its numbers follow on what is stored; what was stored before is passed over."""
    marks = _marks(connection, {batch.producer for batch, _ in batches})
    accepted: list[tuple[Producer, Placed]] = []
    answers: list[Mark] = []
    for batch, payloads in batches:
        name = batch.producer
        unnumbered = bool(payloads) and payloads[0].first_seq is None
        hole = None
        for one in _numbered(connection, name, payloads, marks.get(name, -1)) if unnumbered else payloads:
            expected = marks.get(name, -1) + 1
            assert one.first_seq is not None
            assert one.last_seq is not None
            if one.last_seq < expected:
                continue
            if one.first_seq > expected:
                hole = (expected, one.first_seq)
                break
            # a gap may begin below the mark: its first records had arrived, only their acknowledgement was lost
            accepted.append((name, one._replace(first_seq=expected)))
            marks[name] = one.last_seq
        answers.append(Mark(name, marks.get(name, -1), hole))
    taken = _sort(accepted, _known_ids(connection, (one.record for _, one in accepted)))
    moved = {name: marks[name] for name in {name for name, _ in accepted}}
    return _write(connection, taken, moved, answers, now_ms)


def append_events(
    connection: sa.Connection, name: Producer, events: Sequence[EventRecord], now_ms: int
) -> tuple[Stored, int]:
    """Number events onwards from the producer's mark and store those whose message id is new.

    Returns what was stored, and how many were known already: those take no number, so that importing a file again
    changes nothing.
    """
    known = _known_ids(connection, events)
    mark = _marks(connection, {name}).get(name, -1)
    taken = _Taken()
    for event in events:
        if event.message_id in known:
            continue
        known.add(event.message_id)
        mark += 1
        numbered = msgspec.structs.replace(event, producer=name, seq=mark)
        taken.events.append((numbered, encode_record(numbered)))
        taken.fold(Fold(numbered))
    new = len(taken.events)
    stored = _write(connection, taken, {name: mark} if new else {}, [Mark(name, mark)], now_ms)
    return stored, len(events) - new


def take(connection: sa.Connection, counter: str, amount: int) -> int:
    """Reserve `amount` numbers of a counter; returns the first, counting from 1."""
    before = connection.execute(
        sa.select(tables.counters.c.value).where(tables.counters.c.name == counter).with_for_update()
    ).scalar_one_or_none()
    value = (before or 0) + amount
    upsert(connection, tables.counters, [{"name": counter, "value": value}], update=("value",))
    return (before or 0) + 1


def _marks(connection: sa.Connection, names: Iterable[Producer]) -> dict[Producer, int]:
    columns = tables.producers.c
    found: dict[Producer, int] = {}
    for some in chunks(sorted(names)):
        rows = connection.execute(sa.select(columns.producer, columns.stored_seq).where(columns.producer.in_(some)))
        found.update((Producer(name), mark) for name, mark in rows)
    return found


def _numbered(connection: sa.Connection, name: Producer, placed: list[Placed], mark: int) -> list[Placed]:
    """Payloads that tell no number at all: either the last dead letters sent again, or what comes next."""
    columns = tables.dead_letters.c
    rows = connection.execute(
        sa.select(columns.payload)
        .where(columns.producer == name, columns.seq > mark - len(placed), columns.seq <= mark)
        .order_by(columns.seq)
    )
    again = [row.payload for row in rows] == [one.payload for one in placed]
    return number_from(placed, mark - len(placed) + 1 if again else mark + 1)


def _known_ids(connection: sa.Connection, records: Iterable[object]) -> set[str]:
    """Message and decision ids among `records` that are stored already."""
    known: set[str] = set()
    events: list[str] = []
    decisions: list[str] = []
    for record in records:
        if isinstance(record, EventRecord):
            events.append(record.message_id)
        elif isinstance(record, DecisionRecord):
            decisions.append(record.decision_id)
    for column, ids in ((tables.events.c.message_id, events), (tables.decisions.c.decision_id, decisions)):
        for some in chunks(ids):
            known.update(connection.execute(sa.select(column).where(column.in_(some))).scalars())
    return known


def _sort(accepted: Sequence[tuple[Producer, Placed]], known: set[str]) -> _Taken:
    taken = _Taken()
    for name, one in accepted:
        record = one.record
        assert one.first_seq is not None
        assert one.last_seq is not None
        match record:
            case EventRecord(message_id=identifier) | DecisionRecord(decision_id=identifier):
                if identifier in known:
                    taken.duplicates.append(record)
                    taken.fold(Fold(record, counted=False))
                    continue
                known.add(identifier)
                if isinstance(record, EventRecord):
                    taken.events.append((record, one.payload))
                else:
                    taken.decisions.append((record, one.payload))
                taken.fold(Fold(record))
            case PreferenceRecord():
                taken.preferences.append((record, one.payload))
                taken.fold(Fold(record))
            case GapRecord():
                whole = one.first_seq == record.first_seq
                count = record.count if whole else one.last_seq - one.first_seq + 1
                taken.gaps.append((name, one.first_seq, one.last_seq, record.lane, count))
            case None:
                taken.dead.append((name, one.last_seq, one.fault, one.payload))
                if (missing := one.last_seq - one.first_seq) > 0:
                    taken.gaps.append((name, one.first_seq, one.last_seq - 1, UNREADABLE_LANE, missing))
    return taken


def _write(
    connection: sa.Connection, taken: _Taken, moved: Mapping[Producer, int], marks: list[Mark], now_ms: int
) -> Stored:
    folded = canonical.fold_all(connection, taken.folds)
    _bury(taken, folded.unfoldable)
    positions = len(taken.events) + len(taken.decisions) + len(taken.preferences) + len(taken.duplicates)
    first = take(connection, POSITION, positions) if positions else 0
    revision = first + positions - 1
    counts = _insert(connection, taken, first, now_ms)
    canonical.save(connection, folded.changed, revision=revision, now_ms=now_ms)
    counts["profiles"] = folded.new
    _move_marks(connection, moved, now_ms)
    counts = {name: count for name, count in counts.items() if count}
    for name, count in counts.items():
        take(connection, name, count)
    return Stored(marks, frozenset(folded.changed), revision, counts)


def _bury(taken: _Taken, unfoldable: Mapping[tuple[str, int], str]) -> None:
    """Move records that no profile could take to the dead letters."""
    if not unfoldable:
        return

    def sound(one: tuple[Any, bytes]) -> bool:
        record, payload = one
        why = unfoldable.get((record.producer, record.seq))
        if why is not None:
            taken.dead.append((record.producer, record.seq, why, payload))
        return why is None

    taken.events = [one for one in taken.events if sound(one)]
    taken.decisions = [one for one in taken.decisions if sound(one)]
    taken.preferences = [one for one in taken.preferences if sound(one)]


def _insert(connection: sa.Connection, taken: _Taken, position: int, now_ms: int) -> dict[str, int]:
    rows: dict[sa.Table, list[dict[str, Any]]] = {}
    rows[tables.events] = [
        {
            "position": position + index,
            "producer": event.producer,
            "seq": event.seq,
            "message_id": event.message_id,
            "subject": event.subject,
            "type": event.type,
            "name": event.name,
            "time_ms": event.time_ms,
            "received_ms": event.received_ms,
            "decision_id": event.decision_id,
            "placement": event.placement,
            "record": payload,
        }
        for index, (event, payload) in enumerate(taken.events)
    ]
    position += len(taken.events)
    rows[tables.decisions] = [
        {
            "decision_id": decision.decision_id,
            "position": position + index,
            "producer": decision.producer,
            "seq": decision.seq,
            "subject": decision.subject,
            "time_ms": decision.time_ms,
            "bundle_version": decision.bundle_version,
            "record": payload,
        }
        for index, (decision, payload) in enumerate(taken.decisions)
    ]
    position += len(taken.decisions)
    rows[tables.preferences] = [
        {
            "position": position + index,
            "producer": said.producer,
            "seq": said.seq,
            "subject": said.subject,
            "time_ms": said.time_ms,
            "record": payload,
        }
        for index, (said, payload) in enumerate(taken.preferences)
    ]
    rows[tables.duplicates] = [
        {
            "producer": record.producer,
            "seq": record.seq,
            "id": record.message_id if isinstance(record, EventRecord) else record.decision_id,
            "subject": record.subject,
            "moved": moves(Fold(record, counted=False)),
        }
        for record in taken.duplicates
    ]
    rows[tables.dead_letters] = [
        {"producer": name, "seq": seq, "reason": reason, "payload": payload, "stored_ms": now_ms}
        for name, seq, reason, payload in taken.dead
    ]
    rows[tables.gaps] = [
        {"producer": name, "first_seq": first, "last_seq": last, "lane": lane, "count": count, "stored_ms": now_ms}
        for name, first, last, lane, count in taken.gaps
    ]
    for table, some in rows.items():
        if some:
            connection.execute(table.insert(), some)
    rewards = [msgspec.structs.asdict(reward) for event, _ in taken.events for reward in rewards_of(event)]
    insert_new(connection, tables.rewards, rewards)
    counts = {table.name: len(some) for table, some in rows.items()}
    counts["rewards"] = len(rewards)
    counts["gaps"] = sum(count for *_, count in taken.gaps)
    return counts


def _move_marks(connection: sa.Connection, moved: Mapping[Producer, int], now_ms: int) -> None:
    parts = {name: parts_of(name) for name in moved}
    upsert(
        connection,
        tables.producers,
        [
            {
                "producer": name,
                "node": parts[name].node,
                "epoch": parts[name].epoch,
                "worker": parts[name].worker,
                "stored_seq": mark,
                "updated_ms": now_ms,
            }
            for name, mark in moved.items()
        ],
        update=("stored_seq", "updated_ms"),
    )
