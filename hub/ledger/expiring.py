"""Deleting by age: a bounded number of rows a transaction, and profiles folded anew from what remains.

Numbers stay taken, and a profile stays moved past what it has lost (`canonical.refold`): no node counts it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec
import sqlalchemy as sa

from edgewise.ids import Producer, SubjectId
from edgewise.records import EventRecord, decode_record, encode_record
from hub.ledger import canonical, tables
from hub.ledger.dialect import Storage, chunks, id_chunks, upsert
from hub.ledger.lake import mark_partitions, took_out
from hub.ledger.records import columns_of, reading, whole
from hub.ledger.writing import POSITION, take


class Limits(Protocol):
    """Before which moment something is too old; None: never."""

    def event_ms(self, producer: Producer) -> int | None:
        """An event of this producer."""
        ...

    def field_ms(self, producer: Producer) -> Mapping[str, int]:
        """Traits and properties of this producer's events, those that have a limit of their own."""
        ...

    @property
    def latest_ms(self) -> int | None:
        """The latest of all moments; nothing later can be too old."""
        ...


class Expired(NamedTuple):
    """One bounded step."""

    events: int = 0
    fields: int = 0
    """Single traits and properties, of events that stay."""
    subjects: int = 0
    """Whose profiles were folded anew."""
    position: int | None = None
    """Where the next step goes on; None: that was the last one."""


class Expiring:
    """Part of `Ledger`."""

    storage: Storage

    def note_limits(self, limits: Limits) -> None:
        """Remember how old events may be that imports and deliveries bring: a file that is read again brings none back.

        A limit that is lifted is forgotten.
        """
        columns, counters = tables.producers.c, tables.counters.c
        with self.storage.writing() as connection:
            brought = sa.or_(columns.producer.like("import/%"), columns.producer.like("hook/%"))
            names = connection.execute(sa.select(columns.producer).where(brought)).scalars().all()
            moments = {_limit_of(name): limits.event_ms(Producer(name)) for name in names}
            rows = [{"name": name, "value": moment} for name, moment in moments.items() if moment is not None]
            upsert(connection, tables.counters, rows, update=("value",))
            for some in chunks([name for name, moment in moments.items() if moment is None]):
                connection.execute(sa.delete(tables.counters).where(counters.name.in_(some)))

    def expire_events(
        self, limits: Limits, *, after_position: int = 0, at_once: int, now_ms: int, dry_run: bool = False
    ) -> Expired:
        """Look at `at_once` events that may be too old; delete those that are, and the fields that are in others."""
        latest_ms = limits.latest_ms
        if latest_ms is None:
            return Expired()
        columns = tables.events.c
        query = (
            sa.select(*columns_of(tables.events), columns.producer, columns.time_ms, columns.subject)
            .where(columns.position > after_position, columns.time_ms < latest_ms)
            .order_by(columns.position)
            .limit(at_once)
        )

        def look(connection: sa.Connection) -> tuple[list[Any], dict[int, bytes]]:
            rows = list(connection.execute(query).all())
            with_fields = [row for row in rows if _old_fields(limits, row)]
            return rows, dict(whole(connection, with_fields))

        rows, records = reading(self.storage, look)
        gone: list[int] = []
        trimmed: dict[int, bytes] = {}
        subjects: set[SubjectId] = set()
        fields = 0
        for row in rows:
            before_ms = limits.event_ms(row.producer)
            if before_ms is not None and row.time_ms < before_ms:
                gone.append(row.position)
                subjects.add(row.subject)
                continue
            shorter, dropped = b"", 0
            if row.position in records:
                shorter, dropped = without_fields(records[row.position], _old_fields(limits, row))
            if dropped:
                trimmed[row.position] = shorter
                subjects.add(row.subject)
                fields += dropped
        subjects.discard(SubjectId(""))
        if not dry_run and (gone or trimmed):
            self._write_expired(gone, trimmed, sorted(subjects), now_ms)
        position = rows[-1].position if len(rows) == at_once else None
        return Expired(len(gone), fields, len(subjects), position)

    def _write_expired(
        self, gone: Sequence[int], trimmed: Mapping[int, bytes], subjects: Sequence[SubjectId], now_ms: int
    ) -> None:
        columns = tables.events.c
        with self.storage.writing() as connection:
            deleted = 0
            for some in id_chunks([*gone, *trimmed]):
                query = sa.select(columns.partition).distinct().where(columns.position.in_(some))
                mark_partitions(connection, [each for each in connection.execute(query).scalars() if each is not None])
            outcomes = sum(_delete_outcomes(connection, some) for some in id_chunks(gone))
            if outcomes:
                take(connection, "rewards", -outcomes)
            for some in id_chunks(gone):
                deleted += connection.execute(sa.delete(tables.events).where(columns.position.in_(some))).rowcount
            out: list[int] = []
            for some in id_chunks([*trimmed]):
                in_lake = sa.and_(columns.position.in_(some), columns.partition.is_not(None))
                out += connection.execute(sa.select(columns.position).where(in_lake)).scalars()
            took_out(connection, tables.events, out)
            for position, record in trimmed.items():
                changed = sa.update(tables.events).where(columns.position == position)
                connection.execute(changed.values(record=record, partition=None))
            take(connection, "events", -deleted)
            canonical.refold(connection, subjects, revision=take(connection, POSITION, 1), now_ms=now_ms)

    def expire_decisions(self, before_ms: int, *, at_once: int, now_ms: int, dry_run: bool = False) -> int:
        """Delete up to `at_once` decisions that are older, with what came of them; with `dry_run` count all of them."""
        columns = tables.decisions.c
        old = columns.time_ms < before_ms
        if dry_run:
            with self.storage.reading() as connection:
                return connection.execute(sa.select(sa.func.count()).where(old)).scalar_one()
        with self.storage.writing() as connection:
            rows = connection.execute(
                sa.select(columns.decision_id, columns.subject, columns.partition)
                .where(old)
                .order_by(columns.position)
                .limit(at_once)
            ).all()
            if not rows:
                return 0
            ids = [row.decision_id for row in rows]
            mark_partitions(connection, sorted({row.partition for row in rows} - {None}))
            outcomes = 0
            for some in chunks(ids):
                rewards = sa.delete(tables.rewards).where(tables.rewards.c.decision_id.in_(some))
                outcomes += connection.execute(rewards).rowcount
                connection.execute(sa.delete(tables.decisions).where(columns.decision_id.in_(some)))
            take(connection, "decisions", -len(ids))
            take(connection, "rewards", -outcomes)
            subjects = sorted({SubjectId(row.subject) for row in rows} - {SubjectId("")})
            canonical.refold(connection, subjects, revision=take(connection, POSITION, 1), now_ms=now_ms)
            return len(ids)

    def expire_dead_letters(self, before_ms: int, *, dry_run: bool = False) -> int:
        """Delete records that could not be used and came before a moment."""
        old = tables.dead_letters.c.stored_ms < before_ms
        if dry_run:
            with self.storage.reading() as connection:
                return connection.execute(sa.select(sa.func.count()).where(old)).scalar_one()
        with self.storage.writing() as connection:
            gone = connection.execute(sa.delete(tables.dead_letters).where(old)).rowcount
            if gone:
                take(connection, "dead_letters", -gone)
            return gone

    def expire_contacts(
        self, before_ms: Mapping[str, int], field_ms: Mapping[str, Mapping[str, int]], *, dry_run: bool = False
    ) -> tuple[int, int]:
        """Delete rows of the vault, or single fields of them, by source; returns how many of each."""
        contacts = tables.contact_records
        rows_gone = fields_gone = 0
        with self.storage.writing() as connection:
            for source in sorted({*before_ms, *field_ms}):
                is_his = contacts.c.source == source
                if source in before_ms:
                    old = sa.and_(is_his, contacts.c.time_ms < before_ms[source])
                    count = sa.select(sa.func.count()).select_from(contacts).where(old)
                    rows_gone += connection.execute(count).scalar_one()
                    if not dry_run:
                        connection.execute(sa.delete(contacts).where(old))
                moments = field_ms.get(source, {})
                if not moments:
                    continue
                keys = list(contacts.primary_key.columns)
                where = sa.and_(is_his, contacts.c.time_ms < max(moments.values()))
                for row in connection.execute(sa.select(contacts).where(where)).mappings().all():
                    old_names = {name for name in row["fields"] if row["time_ms"] < moments.get(name, -1)}
                    fields_gone += len(old_names)
                    if old_names and not dry_run:
                        kept = {name: value for name, value in row["fields"].items() if name not in old_names}
                        one = sa.and_(*(column == row[column] for column in keys))
                        connection.execute(sa.update(contacts).where(one).values(fields=kept))
        return rows_gone, fields_gone


def expired_before(connection: sa.Connection, producer: Producer) -> int:
    """The moment before which this producer's events were deleted by their age last; the beginning of time if never."""
    query = sa.select(tables.counters.c.value).where(tables.counters.c.name == _limit_of(producer))
    found = connection.execute(query).scalar_one_or_none()
    return _NEVER_MS if found is None else int(found)


def _limit_of(producer: str) -> str:
    return f"expired/{producer}"


_NEVER_MS: Final = -(1 << 62)


def _delete_outcomes(connection: sa.Connection, positions: Sequence[int]) -> int:
    """What these events brought to decisions; before they go."""
    columns, rewards = tables.events.c, tables.rewards.c
    query = sa.select(columns.decision_id, columns.message_id).where(
        columns.position.in_(positions), columns.decision_id.is_not(None)
    )
    gone = 0
    for decision_id, message_id in connection.execute(query).all():
        his = sa.and_(rewards.decision_id == decision_id, rewards.message_id == message_id)
        gone += connection.execute(sa.delete(tables.rewards).where(his)).rowcount
    return gone


def _old_fields(limits: Limits, row: Any) -> set[str]:
    """Fields that are too old in an event of this row's producer and time."""
    return {name for name, moment in limits.field_ms(row.producer).items() if row.time_ms < moment}


def without_fields(payload: bytes, names: set[str]) -> tuple[bytes, int]:
    """A stored event without some traits and properties, at the top of its body; and how many those were."""
    record = decode_record(payload)
    if not isinstance(record, EventRecord):
        return payload, 0
    traits = {name: value for name, value in record.traits.items() if name not in names}
    dropped, body = len(record.traits) - len(traits), record.body
    if body:
        said: dict[str, Any] = msgspec.json.decode(body)
        properties = said.get("properties") or {}
        kept = {name: value for name, value in properties.items() if name not in names}
        if len(kept) < len(properties):
            dropped += len(properties) - len(kept)
            body = msgspec.json.encode({**said, "properties": kept}, order="deterministic")
    if not dropped:
        return payload, 0
    return encode_record(msgspec.structs.replace(record, traits=traits, body=body)), dropped
