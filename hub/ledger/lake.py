"""The lake of a ledger: old records move into Parquet files, and out of them again when a person is erased.

The database decides. A row that names a partition has its record there; the file's other rows do not exist any more. So
each step is one transaction between two states that are both whole, and a crash leaves at worst a file that nobody
names, which the next turn removes (`lake_folder`):

    announce files | write them durably | commit: rows name them, their records go | remove what is announced still
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from edgewise.ids import SubjectId
from hub.durable import locked
from hub.lake.partition import Kept, copy_partition, holds_any, new_name, write_partition
from hub.lake.shelf import Shelf
from hub.ledger import tables
from hub.ledger.dialect import Storage, chunks, id_chunks, upsert
from hub.ledger.lake_folder import LakeFolder, drop, keep
from hub.ledger.writing import take

MOST_RECORDS: Final = 16_384
"""Of one turn: how long storing must wait for its transaction, about a tenth of a second."""
MOST_BYTES: Final = 32 << 20
LEAST_RECORDS: Final = 4_096
"""Fewer settled records are left for a later turn, so that files do not become many and small."""
_PAGE: Final = 1_000
_KINDS: Final = (tables.events, tables.decisions)
_PARTITION: Final = "partition"
"""Counter of partitions."""


class Compacted(NamedTuple):
    """What one turn moved."""

    records: int = 0
    files: int = 0
    bytes: int = 0
    """Of the files."""
    is_full: bool = False
    """It stopped at a bound: there is more to move."""


class Rewritten(NamedTuple):
    """What a rewriting took out of the lake."""

    records: int = 0
    files: int = 0
    """Written anew, or removed because nothing was left in them."""


class Lake:
    """Part of a ledger. Turns of all processes on one folder come one after the other."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._folder = LakeFolder(storage)

    @property
    def _shelf(self) -> Shelf:
        return self._storage.shelf

    def compact(self, *, before_ms: int, now_ms: int, least_records: int = LEAST_RECORDS) -> Compacted:
        """Move the oldest records that were received before `before_ms`; one turn, at most MOST_RECORDS of a kind.

        Records go in the order of their positions. What says to be received after `now_ms` was numbered by a clock that
        is wrong, and counts as old. Raises UnavailableError when the database or the disk refuses, or the folder is
        another ledger's; then nothing moved.
        """
        done = Compacted()
        with self._turn():
            self._folder.lapse(now_ms)
            for table in _KINDS:
                goes_back, records = self._settled(table, before_ms, now_ms, least_records)
                is_full = len(records) >= MOST_RECORDS or sum(len(one.kept.record) for one in records) >= MOST_BYTES
                if goes_back or is_full or len(records) >= least_records:
                    moved = self._move(table, records, now_ms, goes_back=goes_back)
                    done = Compacted(
                        done.records + moved.records,
                        done.files + moved.files,
                        done.bytes + moved.bytes,
                        done.is_full or is_full,
                    )
        return done

    def rewrite(self, subjects: Collection[SubjectId] | None = None) -> Rewritten:
        """Write those partitions anew that hold records which the database has no more, and remove the old files.

        Call it once the rows are deleted. `subjects` are the persons whose rows went: only files that hold one of them
        are looked at, and those marked by `mark_stale`. None compares every partition with the database. What was set
        aside loses them as well. Raises UnavailableError as `compact`.
        """
        done = Rewritten()
        with self._turn():
            self._folder.purge(subjects)
            for row in self._concerned(subjects):
                while (left_out := self._rewrite(row)) is None:
                    pass  # more was erased while it was written
                done = Rewritten(done.records + left_out, done.files + (left_out > 0))
        return done

    def needs_rewriting(self) -> bool:
        """Whether a file may hold what the database has no more."""
        return bool(self._stale()) or self._folder.has_aside()

    def partitions(self) -> list[PartitionRow]:
        """Every partition, by number."""
        with self._storage.reading() as connection:
            rows = connection.execute(sa.select(tables.partitions).order_by(tables.partitions.c.partition))
            return [PartitionRow(*row) for row in rows]

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Nobody else writes files meanwhile; what is left over goes at its beginning and at its end."""
        with locked(self._shelf.folder / ".lock"):
            self._folder.claim()
            self._folder.sweep()
            try:
                yield
            finally:
                self._folder.sweep()

    def _settled(self, table: sa.Table, before_ms: int, now_ms: int, least_records: int) -> tuple[bool, list[_Settled]]:
        """Whether it goes back to records that came out of the lake, and what is to move."""
        found: list[_Settled] = []
        size = 0
        with self._storage.reading() as connection:
            position = _value(connection, _mark_name(table))
            # going back means to pass by all that was moved since: only for enough of them
            goes_back = _value(connection, _out_name(table)) >= least_records
            if goes_back:
                position = min(position, _value(connection, _first_out_name(table)) - 1)
            while len(found) < MOST_RECORDS and size < MOST_BYTES:
                rows = connection.execute(
                    sa.select(*_columns(table))
                    .where(table.c.position > position, table.c.partition.is_(None))
                    .order_by(table.c.position)
                    .limit(min(_PAGE, MOST_RECORDS - len(found)))
                ).all()
                for row in rows:
                    if before_ms <= row.received_ms <= now_ms:
                        return goes_back, found
                    found.append(_Settled(Kept(*row[:-1]), row.received_ms))
                    size += len(row.record)
                if len(rows) < _PAGE:
                    break
                position = rows[-1].position
        return goes_back, found

    def _move(self, table: sa.Table, records: list[_Settled], now_ms: int, *, goes_back: bool) -> Compacted:
        months: dict[str, list[Kept]] = {}
        for kept, received_ms in records:
            # not when it happened: clients say that, and each of them would have files of his own
            months.setdefault(_month(received_ms), []).append(kept)
        names = {month: new_name(table.name, month) for month in sorted(months)}
        self._folder.announce(names.values())
        sizes = {month: write_partition(self._shelf.folder / names[month], months[month]) for month in names}
        with self._storage.writing() as connection:
            first = take(connection, _PARTITION, len(names))
            for number, (month, name) in enumerate(names.items(), first):
                positions = [kept.position for kept in months[month]]
                row = PartitionRow(
                    number, table.name, month, name, min(positions), max(positions), len(positions), False, now_ms
                )
                connection.execute(tables.partitions.insert(), row._asdict())
                moved = sum(
                    connection.execute(
                        sa.update(table)
                        .where(table.c.position.in_(some), table.c.partition.is_(None))
                        .values(partition=number, record=b"")
                    ).rowcount
                    for some in id_chunks(positions)
                )
                if moved != len(positions):
                    # somebody was erased since these were read; the file must not keep what is gone
                    mark_partitions(connection, [number])
            keep(connection, names.values())
            if goes_back:
                gone = (_out_name(table), _first_out_name(table))
                connection.execute(sa.delete(tables.counters).where(tables.counters.c.name.in_(gone)))
            if records:
                # also when it went back: what lies between is passed by once more
                mark = {"name": _mark_name(table), "value": records[-1].kept.position}
                upsert(connection, tables.counters, [mark], update=("value",))
        for stale in self._stale():
            while self._rewrite(stale) is None:
                pass
        return Compacted(len(records), len(names), sum(sizes.values()))

    def _stale(self) -> list[PartitionRow]:
        return [row for row in self.partitions() if row.is_stale]

    def _concerned(self, subjects: Collection[SubjectId] | None) -> list[PartitionRow]:
        rows = self.partitions()
        if subjects is not None:
            folder = self._shelf.folder
            return [row for row in rows if row.is_stale or holds_any(folder / row.file, subjects)]
        counted: dict[int, int] = {}
        with self._storage.reading() as connection:
            for table in _KINDS:
                column = table.c.partition
                query = sa.select(column, sa.func.count()).where(column.is_not(None)).group_by(column)
                counted.update((number, count) for number, count in connection.execute(query))
        return [row for row in rows if row.is_stale or counted.get(row.partition, 0) != row.records]

    def _rewrite(self, row: PartitionRow) -> int | None:
        """How many records were left out; None: not all that is erased by now."""
        table = metadata_table(row.kind)
        mine = sa.and_(
            table.c.position.between(row.first_position, row.last_position), table.c.partition == row.partition
        )
        with self._storage.reading() as connection:
            alive = frozenset(connection.execute(sa.select(table.c.position).where(mine)).scalars())
        name = new_name(row.kind, row.month)
        self._folder.announce([name])
        kept, left_out = copy_partition(self._shelf.folder / row.file, self._shelf.folder / name, alive.__contains__)
        columns = tables.partitions.c
        with self._storage.writing() as connection:
            still = connection.execute(sa.select(sa.func.count()).select_from(table).where(mine)).scalar_one()
            if still != kept:
                return None
            drop(connection, [row.file])
            keep(connection, [name])
            if kept:
                connection.execute(
                    sa.update(tables.partitions)
                    .where(columns.partition == row.partition)
                    .values(file=name, records=kept, is_stale=False)
                )
            else:
                connection.execute(sa.delete(tables.partitions).where(columns.partition == row.partition))
        self._folder.remove(row.file)
        return left_out


class _Settled(NamedTuple):
    kept: Kept
    received_ms: int


class PartitionRow(NamedTuple):
    """One file of the lake, as the database names it."""

    partition: int
    kind: str
    """`events` or `decisions`."""
    month: str
    """`2026-11`, in which the records came, UTC."""
    file: str
    """Below the lake."""
    first_position: int
    last_position: int
    records: int
    is_stale: bool
    """It holds records that were erased; it must be written anew."""
    created_ms: int


class LakeRows:
    """Part of `Ledger`."""

    storage: Storage

    @property
    def lake(self) -> Lake:
        """Old records."""
        return Lake(self.storage)

    def scrub(self) -> None:
        """Leave no bytes of what was deleted, neither in the database's files nor in the lake.

        Called once after an erasure, not for each row of it: the database is written anew. Raises UnavailableError.
        """
        self.lake.rewrite()
        self.storage.scrub()


def mark_stale(connection: sa.Connection, subjects: Collection[SubjectId]) -> None:
    """In the transaction that deletes rows of subjects, before they go: their partitions must be written anew."""
    numbers: set[int] = set()
    for table in _KINDS:
        for some in chunks(sorted(subjects)):
            query = sa.select(table.c.partition).where(table.c.subject.in_(some), table.c.partition.is_not(None))
            numbers.update(connection.execute(query.distinct()).scalars())
    mark_partitions(connection, sorted(numbers))


def took_out(connection: sa.Connection, table: sa.Table, positions: Collection[int]) -> None:
    """Records were changed, and lie in the database again; they go back once they are many."""
    if positions:
        first = _value(connection, _first_out_name(table))
        row = {"name": _first_out_name(table), "value": min([*positions, *([first] if first else [])])}
        upsert(connection, tables.counters, [row], update=("value",))
        take(connection, _out_name(table), len(positions))


def metadata_table(kind: str) -> sa.Table:
    """The table of a kind of records."""
    return {table.name: table for table in _KINDS}[kind]


def mark_partitions(connection: sa.Connection, numbers: list[int]) -> None:
    """These must be written anew: they hold what the transaction deletes."""
    for some in id_chunks(numbers):
        connection.execute(
            sa.update(tables.partitions).where(tables.partitions.c.partition.in_(some)).values(is_stale=True)
        )


def _columns(table: sa.Table) -> list[sa.ColumnElement[Any]]:
    columns = table.c
    is_event = table is tables.events
    return [
        columns.position,
        columns.subject,
        columns.time_ms,
        columns.producer,
        columns.seq,
        (columns.message_id if is_event else columns.decision_id).label("id"),
        columns.name if is_event else sa.literal("").label("name"),
        columns.record,
        columns.received_ms if is_event else columns.time_ms.label("received_ms"),
    ]


def _mark_name(table: sa.Table) -> str:
    """Counter: up to which position records of a kind were moved."""
    return f"lake {table.name}"


def _out_name(table: sa.Table) -> str:
    return f"lake {table.name} out"


def _first_out_name(table: sa.Table) -> str:
    return f"lake {table.name} first out"


def _value(connection: sa.Connection, counter: str) -> int:
    query = sa.select(tables.counters.c.value).where(tables.counters.c.name == counter)
    return connection.execute(query).scalar_one_or_none() or 0


def _month(time_ms: int) -> str:
    return (dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(milliseconds=min(time_ms, _LAST_MS))).strftime("%Y-%m")


_LAST_MS: Final = 253_402_300_799_999
"""The end of the year 9999, as far as dates are written."""
