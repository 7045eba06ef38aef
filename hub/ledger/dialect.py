"""The seam between the ledger and its database: what every database must offer, and the SQL that they spell alike.

`sqlite` and `postgres` implement it; no other module knows a database by name. Which one a hub uses is decided by
`place`, which one a URL means by `opening`.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from edgewise.errors import UnavailableError
from hub.lake.shelf import Shelf

Position: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A 64-bit key. SQLite only stores rows by it when the type is spelled INTEGER (sqlite.org/rowidtable.html)."""

WRITER_WAIT_MS: Final = 30_000
MOST_VARIABLES: Final = 500
"""Values in one IN list; far below the limits of both databases, and plans stay alike."""


class Storage(ABC):
    """Connections to one ledger: many readers, one writer at a time, also among processes.

    One writer, because positions are given out without holes in the order of commits: a reader that remembers how far
    it came would skip what commits late.
    """

    place: str
    """What messages call it: a path or a URL, without a password."""
    lake_after_days: int | None
    """When records become old where no setting says so; None: never."""
    shelf: Shelf
    """Where whole records lie once they are old."""
    _writer: sa.Engine
    _reader: sa.Engine

    def __init__(self, place: str, lake_dir: Path | None) -> None:
        self.place = place
        self.shelf = Shelf(lake_dir)
        self._mutex = threading.Lock()

    @abstractmethod
    def _turn(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that has the writer's place; called under the mutex."""

    @abstractmethod
    def _explained(self) -> AbstractContextManager[None]:
        """Errors of the database in words: UnavailableError for what is not ours to mend in code."""

    @abstractmethod
    def note(self) -> str:
        """Name and version of the database, and what an operator should know about it."""

    @abstractmethod
    def warning(self) -> str:
        """What a hub that starts should warn of, or ""."""

    @abstractmethod
    def serving(self) -> AbstractContextManager[Serving]:
        """Be the one hub that serves this ledger: two would tell nodes different things.

        Raises TakenError when another hub does.
        """

    @abstractmethod
    def scrub(self) -> None:
        """Leave no bytes of deleted rows in the database's files, as far as they are ours to write.

        Waits for the writer's place, and holds it as long as rewriting the database takes. Raises UnavailableError.
        """

    @abstractmethod
    def close(self) -> None:
        """Close every connection. Closing again does nothing."""

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction of the one writer; commits at the end, rolls back when anything is raised.

        Raises UnavailableError when the writer's place was not free within WRITER_WAIT_MS, or the database refuses.
        """
        with self._writers_place(), self._explained(), self._turn() as connection:
            yield connection

    @contextmanager
    def _writers_place(self) -> Iterator[None]:
        """The mutex, with a deadline: a scrub by another thread holds it for as long as it rewrites the database."""
        if not self._mutex.acquire(timeout=WRITER_WAIT_MS / 1_000):
            raise UnavailableError(f"{self.place}: another thread has been writing for {WRITER_WAIT_MS / 1_000:.0f} s")
        try:
            yield
        finally:
            self._mutex.release()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A consistent view of what was committed before; never waits for the writer."""
        with self._explained(), self._reader.begin() as connection:
            yield connection


class Serving(ABC):
    """The right to serve a ledger, as long as it lasts."""

    @abstractmethod
    def renew(self) -> None:
        """Look whether it still holds, and take it again after a restart of the server.

        Raises TakenError when another hub took it meanwhile, UnavailableError while the database is away.
        """


class TakenError(UnavailableError):
    """Another hub serves this ledger."""


def already_served(place: str) -> TakenError:
    """What the second hub is told."""
    return TakenError(f"{place}: another hub serves this ledger already; two hubs would tell nodes different things")


def engine_options() -> dict[str, Any]:
    """How values travel, alike for every database: JSON by msgspec."""
    return {
        "json_serializer": lambda value: msgspec.json.encode(value).decode(),
        "json_deserializer": msgspec.json.decode,
    }


def upsert(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], *, update: Sequence[str]
) -> None:
    """Insert rows, or overwrite the columns `update` of those whose primary key is there."""
    if not rows:
        return
    statement = _insert(connection, table)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns),
            set_={name: statement.excluded[name] for name in update},
        ),
        list(rows),
    )


def insert_new(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; those whose primary key is there stay as they are."""
    if not rows:
        return
    connection.execute(_insert(connection, table).on_conflict_do_nothing(), list(rows))


def insert_all(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns, whose values the driver takes as they are (no JSON, no enums).

    SQLAlchemy looks at every value of every row, which costs as much as storing it: this goes past it.
    """
    if rows:
        _execute_all(connection, _bulk(connection.dialect, table, tuple(rows[0]), ()), rows)


def upsert_all(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], *, update: Sequence[str]
) -> None:
    """`upsert` in the way of `insert_all`."""
    if rows:
        _execute_all(connection, _bulk(connection.dialect, table, tuple(rows[0]), tuple(update)), rows)


def _execute_all(connection: sa.Connection, bulk: _Bulk, rows: Sequence[Mapping[str, Any]]) -> None:
    connection.exec_driver_sql(bulk.sql, list(rows) if bulk.values is None else [*map(bulk.values, rows)])


class _Bulk(NamedTuple):
    sql: str
    values: Callable[[Mapping[str, Any]], tuple[Any, ...]] | None
    """A row as the driver takes it; None: as it is, by names."""


@lru_cache
def _bulk(dialect: sa.Dialect, table: sa.Table, names: tuple[str, ...], update: tuple[str, ...]) -> _Bulk:
    statement = postgresql.insert(table) if dialect.name == "postgresql" else sqlite.insert(table)
    if update:
        statement = statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns), set_={name: statement.excluded[name] for name in update}
        )
    compiled = statement.values({name: sa.bindparam(name) for name in names}).compile(dialect=dialect)
    order = compiled.positiontup
    return _Bulk(str(compiled), None if order is None else itemgetter(*order))


def among(connection: sa.Connection, column: sa.ColumnElement[str], values: Sequence[str]) -> sa.ColumnElement[bool]:
    """Whether a column is one of any number of texts, as one parameter.

    A list of parameters is put together anew for every statement, which costs more than the look-up.
    """
    if connection.dialect.name == "postgresql":
        return column == sa.any_(sa.cast(list(values), postgresql.ARRAY(sa.Text)))
    each = sa.func.json_each(msgspec.json.encode(values).decode()).table_valued("value")
    return column.in_(sa.select(each.c.value))


def chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Slices that fit an IN list; `among` needs none."""
    for start in range(0, len(values), MOST_VARIABLES):
        yield values[start : start + MOST_VARIABLES]


def id_chunks(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """The same of numbers."""
    for start in range(0, len(numbers), MOST_VARIABLES):
        yield numbers[start : start + MOST_VARIABLES]


def refusing(place: str, refused: sa.exc.DBAPIError) -> UnavailableError:
    """What a database said, on one line."""
    return UnavailableError(f"{place}: {' '.join(str(refused.orig).split())}")


def _insert(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
