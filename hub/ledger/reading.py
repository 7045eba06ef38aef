"""What others may ask of the ledger's records. Every method is one consistent view; none waits for the writer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from edgewise.ids import DecisionId, NodeId, Producer, SubjectId
from edgewise.records import DecisionRecord, EventRecord, GapRecord, PreferenceRecord, decode_record
from hub.ledger import tables
from hub.ledger.canonical import Folding
from hub.ledger.dialect import Storage, chunks
from hub.ledger.records import columns_of, payloads_of, reading, whole
from hub.ledger.rows import Change, DeadLetter, GapRow, ProducerRow, Repeat, RewardRow, StoredProfile, Totals
from hub.ledger.writing import POSITION

PAGE: Final = 1_000


class RecordReader:
    """Reading side of `Ledger`: records, outcomes, profiles."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def events_of(self, subject: SubjectId) -> Iterator[EventRecord]:
        """A subject's events in the order in which the hub applied them."""
        for _, payload in self._pages(tables.events, tables.events.c.subject == subject, subject=subject):
            yield _events.decode(payload)

    def records_of(self, subject: SubjectId, applied: Mapping[Producer, int] | None = None) -> list[Folding]:
        """All that was folded into a subject's profile and preferences: in each producer's order, producers sorted.

        With `applied`, only what that sequence vector covers: folding it gives the profile that was read then, up to
        repeats of one message on two nodes.
        """
        records: list[Folding] = []
        for payload in reading(self.storage, lambda connection: payloads_of(connection, subject)):
            record = decode_record(payload)
            if isinstance(record, GapRecord):
                continue
            if applied is None or record.seq <= applied.get(record.producer, -1):
                records.append(record)
        return sorted(records, key=lambda record: (record.producer, record.seq))

    def repeats_of(self, subject: SubjectId) -> list[Repeat]:
        """A subject's records whose id was stored before, under another number, in each producer's order."""
        columns = tables.duplicates.c
        query = sa.select(columns.producer, columns.seq, columns.id).where(columns.subject == subject)
        with self.storage.reading() as connection:
            rows = connection.execute(query.order_by(columns.producer, columns.seq))
            return [Repeat(Producer(row.producer), row.seq, row.id) for row in rows]

    def decision(self, decision_id: DecisionId) -> DecisionRecord | None:
        """One decision as it was logged."""
        query = sa.select(*columns_of(tables.decisions), tables.decisions.c.subject).where(
            tables.decisions.c.decision_id == decision_id
        )

        def find(connection: sa.Connection) -> list[tuple[int, bytes]]:
            rows = connection.execute(query).all()
            return whole(connection, rows, subject=rows[0].subject if rows else None)

        found = reading(self.storage, find)
        return _decisions.decode(found[0][1]) if found else None

    def position_of(self, decision_id: DecisionId) -> int | None:
        """Where a decision lies in the order of storing."""
        query = sa.select(tables.decisions.c.position).where(tables.decisions.c.decision_id == decision_id)
        with self.storage.reading() as connection:
            return connection.execute(query).scalar_one_or_none()

    def decisions(
        self, *, after_position: int = 0, since_ms: int = 0, until_ms: int | None = None
    ) -> Iterator[tuple[int, DecisionRecord]]:
        """(position, decision) in the order of storing; times bound `since_ms <= time_ms < until_ms`."""
        where = [tables.decisions.c.time_ms >= since_ms]
        if until_ms is not None:
            where.append(tables.decisions.c.time_ms < until_ms)
        for position, payload in self._pages(tables.decisions, *where, after_position=after_position):
            yield position, _decisions.decode(payload)

    def latest_decisions(self, most: int) -> list[DecisionRecord]:
        """The decisions that were stored last, at most so many, in the order of storing."""
        table = tables.decisions
        query = sa.select(*columns_of(table)).order_by(table.c.position.desc()).limit(most)
        page = reading(self.storage, partial(_page, query=query, subject=None))
        return [_decisions.decode(payload) for _, payload in sorted(page)]

    def events(self, *, after_position: int = 0) -> Iterator[tuple[int, EventRecord]]:
        """(position, event) of all subjects in the order of storing."""
        for position, payload in self._pages(tables.events, after_position=after_position):
            yield position, _events.decode(payload)

    def events_called(
        self, name: str, *, after_position: int, until_position: int
    ) -> Iterator[tuple[int, EventRecord]]:
        """(position, event) of all events of a name, `after_position` < position <= `until_position`."""
        columns = tables.events.c
        where = (columns.name == name, columns.position <= until_position)
        for position, payload in self._pages(tables.events, *where, after_position=after_position):
            yield position, _events.decode(payload)

    def position_before(self, received_ms: int) -> int:
        """A position after which all events lie that were received since; the last one where there are none."""
        columns = tables.events.c
        query = sa.select(sa.func.min(columns.position)).where(columns.received_ms >= received_ms)
        with self.storage.reading() as connection:
            first = connection.execute(query).scalar_one_or_none()
        return self._counter(POSITION) if first is None else first - 1

    def preferences(self, *, after_position: int = 0) -> Iterator[tuple[int, PreferenceRecord]]:
        """(position, statement) of all subjects in the order of storing."""
        for position, payload in self._pages(tables.preferences, after_position=after_position):
            yield position, _preferences.decode(payload)

    def rewards(self, decision_ids: Sequence[DecisionId]) -> list[RewardRow]:
        """What came of decisions, sorted by decision, item and message."""
        columns = tables.rewards.c
        found: list[RewardRow] = []
        with self.storage.reading() as connection:
            for some in chunks(decision_ids):
                rows = connection.execute(sa.select(tables.rewards).where(columns.decision_id.in_(some)))
                found += [RewardRow(**row) for row in rows.mappings()]
        return sorted(found, key=lambda reward: (reward.decision_id, reward.item, reward.message_id))

    def profile(self, subject: SubjectId) -> StoredProfile | None:
        """The canonical profile of a subject."""
        return self.profiles([subject]).get(subject)

    def profiles(self, subjects: Sequence[SubjectId]) -> dict[SubjectId, StoredProfile]:
        """Canonical profiles; unknown subjects are left out."""
        found: dict[SubjectId, StoredProfile] = {}
        with self.storage.reading() as connection:
            for some in chunks(subjects):
                rows = connection.execute(sa.select(tables.profiles).where(tables.profiles.c.subject.in_(some)))
                found.update((row.subject, StoredProfile(*row[1:])) for row in rows)
        return found

    def changed_since(self, after: Change, limit: int = PAGE) -> list[Change]:
        """Subjects whose own profile or person changed, or that were erased, after a change.

        Oldest first, at most `limit`.
        """
        news = sa.union_all(
            *(
                sa.select(table.c.revision, table.c.subject).where(
                    sa.tuple_(table.c.revision, table.c.subject) > sa.tuple_(after.revision, after.subject)
                )
                for table in (tables.profiles, tables.erasures, tables.persons)
            )
        ).subquery()
        query = sa.select(news).order_by(news.c.revision, news.c.subject).limit(limit)
        with self.storage.reading() as connection:
            return [Change(*row) for row in connection.execute(query)]

    def revision(self) -> int:
        """The last position that was given out."""
        return self._counter(POSITION)

    def erased(self, subjects: Sequence[SubjectId]) -> dict[SubjectId, int]:
        """Those of `subjects` that were erased, and when last, in milliseconds."""
        columns = tables.erasures.c
        found: dict[SubjectId, int] = {}
        with self.storage.reading() as connection:
            for some in chunks(subjects):
                query = sa.select(columns.subject, columns.time_ms).where(columns.subject.in_(some))
                found.update((SubjectId(row.subject), row.time_ms) for row in connection.execute(query))
        return found

    def stored_seq(self, name: Producer) -> int:
        """How far a producer is stored; -1: nothing is."""
        query = sa.select(tables.producers.c.stored_seq).where(tables.producers.c.producer == name)
        with self.storage.reading() as connection:
            mark = connection.execute(query).scalar_one_or_none()
        return -1 if mark is None else mark

    def producers(self, node: NodeId | None = None) -> list[ProducerRow]:
        """Every numbering process, or those of one node, sorted by name."""
        query = sa.select(tables.producers).order_by(tables.producers.c.producer)
        if node is not None:
            query = query.where(tables.producers.c.node == node)
        with self.storage.reading() as connection:
            return [ProducerRow(**row) for row in connection.execute(query).mappings()]

    def gaps(self) -> list[GapRow]:
        """What producers declared lost."""
        query = sa.select(tables.gaps).order_by(tables.gaps.c.producer, tables.gaps.c.first_seq)
        with self.storage.reading() as connection:
            return [GapRow(**row) for row in connection.execute(query).mappings()]

    def dead_letters(self, limit: int = PAGE, *, producer: Producer | None = None) -> list[DeadLetter]:
        """Records that could not be used, of all producers or of one; latest first."""
        query = sa.select(tables.dead_letters).order_by(tables.dead_letters.c.stored_ms.desc()).limit(limit)
        if producer is not None:
            query = query.where(tables.dead_letters.c.producer == producer)
        with self.storage.reading() as connection:
            return [DeadLetter(**row) for row in connection.execute(query).mappings()]

    def totals(self) -> Totals:
        """How much the ledger holds, without counting rows."""
        with self.storage.reading() as connection:
            rows = connection.execute(sa.select(tables.counters))
            counted = {row.name: row.value for row in rows}
        return Totals(
            events=counted.get("events", 0),
            decisions=counted.get("decisions", 0),
            preferences=counted.get("preferences", 0),
            rewards=counted.get("rewards", 0),
            duplicates=counted.get("duplicates", 0),
            dropped=counted.get("gaps", 0),
            dead_letters=counted.get("dead_letters", 0),
            profiles=counted.get("profiles", 0),
        )

    def _counter(self, name: str) -> int:
        query = sa.select(tables.counters.c.value).where(tables.counters.c.name == name)
        with self.storage.reading() as connection:
            return connection.execute(query).scalar_one_or_none() or 0

    def _pages(
        self,
        table: sa.Table,
        *where: sa.ColumnElement[bool],
        after_position: int = 0,
        subject: SubjectId | None = None,
    ) -> Iterator[tuple[int, bytes]]:
        """(position, record) page by page: a view that stays open for long would keep the WAL file from shrinking."""
        position = after_position
        while True:
            query = (
                sa.select(*columns_of(table))
                .where(table.c.position > position, *where)
                .order_by(table.c.position)
                .limit(PAGE)
            )
            page = reading(self.storage, partial(_page, query=query, subject=subject))
            yield from page
            if len(page) < PAGE:
                return
            position = page[-1][0]


def _page(connection: sa.Connection, *, query: sa.Select[Any], subject: SubjectId | None) -> list[tuple[int, bytes]]:
    return whole(connection, connection.execute(query).all(), subject=subject)


_events = msgspec.msgpack.Decoder(EventRecord)
_decisions = msgspec.msgpack.Decoder(DecisionRecord)
_preferences = msgspec.msgpack.Decoder(PreferenceRecord)
