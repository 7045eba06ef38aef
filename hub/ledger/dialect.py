"""Everything that depends on which database it is: opening, waiting for the one writer, upserts.

SQLite is the default. PostgreSQL fits by adding its branch here; no other module spells a database's own SQL.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from edgewise.errors import InputError, UnavailableError

Position: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A 64-bit key. SQLite only stores rows by it when the type is spelled INTEGER (sqlite.org/rowidtable.html)."""

WRITER_WAIT_MS: Final = 30_000
_POLL_MS: Final = 2
MOST_VARIABLES: Final = 500
"""Values in one IN list; far below the limits of both databases, and plans stay alike."""


class Storage:
    """Connections to one ledger: many readers, one writer at a time, also among processes.

    SQLite before 3.51.3 (but for 3.44.6 and 3.50.7) can corrupt a WAL file when two connections write or
    checkpoint in the same instant (sqlite.org/wal.html#walresetbug). So every writing transaction, with the
    checkpoint that its commit may run, holds a file lock beside the database; readers never checkpoint. It is
    held with sound versions as well: waiting for a lock is fairer than SQLite's own busy polling.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            parsed = sa.make_url(url)
        except sa.exc.ArgumentError:
            raise InputError(f"{url!r} is no database URL; expected sqlite:///PATH") from None
        if parsed.get_backend_name() != "sqlite":
            raise InputError(f"a ledger at {parsed.render_as_string()}; expected sqlite:///PATH")
        if not parsed.database or parsed.database == ":memory:":
            raise InputError(f"{url!r} names no file; a ledger in memory would not outlive its process")
        self.path = Path(parsed.database)
        self._lock_path = self.path.with_name(self.path.name + ".writer")
        self._mutex = threading.Lock()
        self._closed = False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # what visitors did is nobody else's business on this machine; -wal and -shm take the same mode
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            self._lock = os.open(self._lock_path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as refused:
            raise UnavailableError(f"{self.path}: cannot be opened: {refused.strerror}") from None
        self._writer = _sqlite_engine(parsed, writes=True)
        self._reader = _sqlite_engine(parsed, writes=False)

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction of the one writer; commits at the end, rolls back when anything is raised.

        Raises UnavailableError when the writer's place was not free within WRITER_WAIT_MS, or the disk refuses.
        """
        with self._mutex:
            self._wait_for_lock()
            try:
                with _explained(self.path), self._writer.begin() as connection:
                    yield connection
            finally:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A consistent view of what was committed before; never waits for the writer."""
        with _explained(self.path), self._reader.begin() as connection:
            yield connection

    def scrub(self) -> None:
        """Write the database anew without what was deleted, and empty the WAL file.

        Deleting leaves the bytes in free pages, and in the gaps of pages in use. VACUUM copies what is there to a
        temporary file and back (sqlite.org/lang_vacuum.html). `secure_delete` alone would not do: it overwrites what is
        deleted from now on, not what was replaced before; and it costs every transaction.

        Raises UnavailableError when the disk has no room for a second copy, or a reader would not end.
        """
        with self._mutex:
            self._wait_for_lock()
            try:
                with _explained(self.path):
                    raw = self._writer.raw_connection()
                    try:
                        cursor = raw.cursor()
                        cursor.execute("PRAGMA temp_store=FILE")  # in memory it would take as much as the ledger has
                        cursor.execute("VACUUM")
                        cursor.execute("PRAGMA temp_store=MEMORY")
                        self._empty_wal(cursor)
                    except sqlite3.Error as refused:
                        raise UnavailableError(f"{self.path}: cannot be rewritten: {refused}") from refused
                    finally:
                        raw.close()
            finally:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _empty_wal(self, cursor: Any) -> None:
        """As soon as no reader looks at what was before; readers of the ledger look for milliseconds."""
        deadline = time.monotonic() + WRITER_WAIT_MS / 1_000
        while True:
            busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return
            if time.monotonic() > deadline:
                raise UnavailableError(f"{self.path}: somebody has been reading for {WRITER_WAIT_MS / 1_000:.0f} s")
            time.sleep(_POLL_MS / 1_000)  # SQLite's own waiting ends with busy_timeout, too, but tells nothing

    def close(self) -> None:
        """Close every connection; the last one of all processes folds the WAL file into the database.

        Closing again does nothing.
        """
        self._reader.dispose()
        with self._mutex:
            if self._closed:
                return
            self._closed = True
            self._wait_for_lock()
            try:
                self._writer.dispose()
            finally:
                os.close(self._lock)

    def _wait_for_lock(self) -> None:
        deadline = time.monotonic() + WRITER_WAIT_MS / 1_000
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise UnavailableError(
                        f"{self.path}: another process has been writing for {WRITER_WAIT_MS / 1_000:.0f} s"
                    ) from None
                time.sleep(_POLL_MS / 1_000)  # flock cannot wait with a deadline
            else:
                return


def upsert(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], *, update: Sequence[str]
) -> None:
    """Insert rows, or overwrite the columns `update` of those whose primary key is there."""
    if not rows:
        return
    statement = sqlite.insert(table)  # PostgreSQL has the same construct under its own dialect
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
    connection.execute(sqlite.insert(table).on_conflict_do_nothing(), list(rows))


def chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Slices that fit an IN list."""
    for start in range(0, len(values), MOST_VARIABLES):
        yield values[start : start + MOST_VARIABLES]


def wal_reset_bug(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite has the WAL-reset bug, so that only the file lock keeps the ledger sound."""
    return version < (3, 51, 3) and not (3, 44, 6) <= version < (3, 45) and not (3, 50, 7) <= version < (3, 51)


def _sqlite_engine(url: sa.URL, *, writes: bool) -> sa.Engine:
    engine = sa.create_engine(
        url,
        poolclass=QueuePool,
        pool_size=1 if writes else 4,
        max_overflow=0 if writes else 16,
        connect_args={"check_same_thread": False, "isolation_level": None},
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        for pragma in (
            f"busy_timeout={WRITER_WAIT_MS}",
            "foreign_keys=ON",
            "mmap_size=0",  # a torn page must be an error, not a SIGBUS
            "temp_store=MEMORY",
            *(("journal_mode=WAL", "synchronous=FULL") if writes else ("query_only=ON", "wal_autocheckpoint=0")),
        ):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # the driver would begin at the first INSERT only, and take the write lock in mid-transaction
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sa.exc.OperationalError as refused:
        raise UnavailableError(f"{path}: {refused.orig}") from refused
    except sa.exc.DatabaseError as broken:
        if isinstance(broken, (sa.exc.IntegrityError, sa.exc.ProgrammingError, sa.exc.DataError)):
            raise  # ours, not the disk's
        raise UnavailableError(f"{path}: is no sound database: {broken.orig}") from broken
