"""Writes what a transaction has taken: rows, outcomes, profiles and marks; counts what it added."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa

from edgewise.ids import Producer, SubjectId
from edgewise.records import DecisionRecord, EventRecord, PreferenceRecord
from hub.ledger import canonical, tables
from hub.ledger.batch import parts_of
from hub.ledger.canonical import Fold, moves
from hub.ledger.dialect import insert_all, insert_new, upsert
from hub.ledger.grouping import regroup
from hub.ledger.links import Nodes, learn, members_of_all
from hub.ledger.rewards import rewards_of
from hub.ledger.suppressed import Forgotten

POSITION: Final = "position"
"""Counter of what was stored, over all tables; the others are named after the table that they count."""


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
    """Subjects whose canonical profile or preferences changed, or whose person did: with every part of a person, all
    its subjects."""
    revision: int
    """Last position given out."""
    counts: dict[str, int]
    """What was added, by table."""


class Gap(msgspec.Struct, frozen=True):
    """Numbers of one producer that hold nothing."""

    producer: Producer
    first_seq: int
    last_seq: int
    lane: str
    count: int


class Dead(msgspec.Struct, frozen=True):
    """A record that cannot be used."""

    producer: Producer
    seq: int
    reason: str
    payload: bytes


@dataclass(slots=True)
class Taken:
    """Records that one transaction stores, sorted by where they go."""

    events: list[tuple[EventRecord, bytes]] = field(default_factory=list)
    decisions: list[tuple[DecisionRecord, bytes]] = field(default_factory=list)
    preferences: list[tuple[PreferenceRecord, bytes]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    duplicates: list[EventRecord | DecisionRecord] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    requests: list[PreferenceRecord] = field(default_factory=list)
    """Visitors who ask to be erased."""
    forgotten: Forgotten = field(default_factory=lambda: Forgotten(set(), []))
    folds: dict[SubjectId, list[Fold]] = field(default_factory=dict)

    def fold(self, fold: Fold) -> None:
        """Have a record folded into its subject's profile, if it has anything to say to it."""
        if moves(fold):
            self.folds.setdefault(fold.record.subject, []).append(fold)


def take(connection: sa.Connection, counter: str, amount: int) -> int:
    """Reserve `amount` numbers of a counter; returns the first, counting from 1."""
    before = connection.execute(
        sa.select(tables.counters.c.value).where(tables.counters.c.name == counter).with_for_update()
    ).scalar_one_or_none()
    value = (before or 0) + amount
    upsert(connection, tables.counters, [{"name": counter, "value": value}], update=("value",))
    return (before or 0) + 1


def write(
    connection: sa.Connection, taken: Taken, moved: Mapping[Producer, int], marks: list[Mark], now_ms: int
) -> Stored:
    """Fold, then write; whatever raises undoes the caller's transaction."""
    folded = canonical.fold_all(connection, taken.folds)
    _bury(taken, folded.unfoldable)
    positions = len(taken.events) + len(taken.decisions) + len(taken.preferences) + len(taken.duplicates)
    positions += bool(taken.forgotten.erased or taken.forgotten.marks)
    first = take(connection, POSITION, positions) if positions else 0
    revision = first + positions - 1
    counts = _insert(connection, taken, first, now_ms)
    canonical.save(connection, folded.changed, revision=revision, now_ms=now_ms)
    changed = _whom_it_concerns(connection, taken, folded.changed.keys(), revision)
    taken.forgotten.write(connection, revision)
    counts["profiles"] = folded.new
    _move_marks(connection, moved, now_ms)
    counts = {name: count for name, count in counts.items() if count}
    for name, count in counts.items():
        take(connection, name, count)
    return Stored(marks, changed | taken.forgotten.erased, revision, counts)


def _whom_it_concerns(
    connection: sa.Connection, taken: Taken, folded: Collection[SubjectId], revision: int
) -> frozenset[SubjectId]:
    """Learn the links of new events; all subjects of all people whose profile is another one now."""
    learnt = learn(connection, (event for event, _ in taken.events))
    regrouped: Nodes = frozenset()
    if learnt:
        touched = {node for link, _ in learnt for node in (link.subject, link.identifier)}
        regrouped = regroup(connection, touched, revision, learnt=learnt)
    return frozenset(members_of_all(connection, {*folded, *regrouped}))


def _bury(taken: Taken, unfoldable: Mapping[tuple[str, int], str]) -> None:
    """Move records that no profile could take to the dead letters."""
    if not unfoldable:
        return

    def sound(one: tuple[Any, bytes]) -> bool:
        record, payload = one
        why = unfoldable.get((record.producer, record.seq))
        if why is not None:
            taken.dead.append(Dead(record.producer, record.seq, why, payload))
        return why is None

    taken.events = [one for one in taken.events if sound(one)]
    taken.decisions = [one for one in taken.decisions if sound(one)]
    taken.preferences = [one for one in taken.preferences if sound(one)]


def _insert(connection: sa.Connection, taken: Taken, position: int, now_ms: int) -> dict[str, int]:
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
    rows[tables.erasure_requests] = [
        {
            "id": request.erasure,
            "producer": request.producer,
            "seq": request.seq,
            "subject": request.subject,
            "time_ms": request.time_ms,
        }
        for request in taken.requests
    ]
    rows[tables.dead_letters] = [{**msgspec.structs.asdict(letter), "stored_ms": now_ms} for letter in taken.dead]
    rows[tables.gaps] = [{**msgspec.structs.asdict(gap), "stored_ms": now_ms} for gap in taken.gaps]
    for table, some in rows.items():
        insert_all(connection, table, some)
    rewards = [msgspec.structs.asdict(reward) for event, _ in taken.events for reward in rewards_of(event)]
    insert_new(connection, tables.rewards, rewards)
    counts = {table.name: len(some) for table, some in rows.items()}
    counts["rewards"] = len(rewards)
    counts["gaps"] = sum(gap.count for gap in taken.gaps)
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
