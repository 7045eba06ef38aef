"""A ledger in one SQLite file: the default, for a hub that is one machine."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from typing_extensions import override

from edgewise.errors import InputError, UnavailableError
from hub.lake.shelf import Shelf
from hub.ledger.dialect import WRITER_WAIT_MS, Serving, Storage, already_served, engine_options, refusing

_POLL_MS: Final = 2
_READS: Final = ("query_only=ON", "wal_autocheckpoint=0")
_WRITES: Final = ("page_size=8192", "journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=8192")
"""32 MiB of log before it is folded into the file. After SQLite's 4 MiB, one commit of a busy hub's, every page that
it touched would be flushed twice. Pages of 8 KiB (of new ledgers; an old one keeps its own) hold more whole records:
storing takes a sixth less time than with 4 KiB."""


class SqliteStorage(Storage):
    """One file, its WAL file, and a lock file.

    SQLite before 3.51.3 (but for 3.44.6 and 3.50.7) can corrupt a WAL file when two connections write or
    checkpoint in the same instant (sqlite.org/wal.html#walresetbug). So every writing transaction, with the
    checkpoint that its commit may run, holds a file lock beside the database; readers never checkpoint. It is
    held with sound versions as well: waiting for a lock is fairer than SQLite's own busy polling.
    """

    lake_after_days = 30

    def __init__(self, url: sa.URL) -> None:
        if not url.database or url.database == ":memory:":
            raise InputError(
                f"sqlite:///{url.database or ''} names no file; a ledger in memory would not outlive its process"
            )
        self.path = Path(url.database)
        super().__init__(str(self.path), _lake_beside(self.path))
        self._lock_path = self.path.with_name(self.path.name + ".writer")
        self._closed = False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # what visitors did is nobody else's business on this machine; -wal and -shm take the same mode
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            self._lock = os.open(self._lock_path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as refused:
            raise UnavailableError(f"{self.path}: cannot be opened: {refused.strerror}") from None
        self._writer = _engine(url, self.shelf, writes=True)
        self._reader = _engine(url, self.shelf, writes=False)

    @override
    @contextmanager
    def _turn(self) -> Iterator[sa.Connection]:
        with self._locked(), self._writer.begin() as connection:
            yield connection

    @override
    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.OperationalError as refused:
            raise refusing(self.place, refused) from refused
        except sa.exc.DatabaseError as broken:
            if isinstance(broken, (sa.exc.IntegrityError, sa.exc.ProgrammingError, sa.exc.DataError)):
                raise  # ours, not the disk's
            raise UnavailableError(f"{self.place}: is no sound database: {broken.orig}") from broken

    @override
    def note(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}{_BUG if wal_reset_bug() else ''}"

    @override
    def warning(self) -> str:
        return self.note() if wal_reset_bug() else ""

    @override
    @contextmanager
    def serving(self) -> Iterator[Serving]:
        # a URL may name one file for two data folders, and each hub holds the lock of its own folder only
        path = self.path.with_name(self.path.name + ".server")
        try:
            held = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as refused:
            raise UnavailableError(f"{path}: cannot be opened: {refused.strerror}") from None
        try:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise already_served(self.place) from None
            yield _ServingFile()
        finally:
            os.close(held)

    @override
    def scrub(self) -> None:
        """Fold the WAL file into the database, write that anew without its free pages, and empty the WAL file again."""
        with self._writers_place(), self._explained(), self._locked():
            connection = self._writer.raw_connection()
            try:
                cursor = connection.cursor()
                # in memory the copy of a big ledger would not fit; SQLite unlinks its file before it writes to it
                cursor.execute("PRAGMA temp_store=FILE")
                cursor.execute("VACUUM")
                cursor.execute("PRAGMA temp_store=MEMORY")
                deadline = time.monotonic() + WRITER_WAIT_MS / 1_000
                while cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                    if time.monotonic() > deadline:
                        raise UnavailableError(f"{self.path}: a reader has kept the old pages for too long; try again")
                    time.sleep(_POLL_MS / 1_000)  # a reader's view is still open
            except sqlite3.Error as refused:
                raise UnavailableError(f"{self.path}: {refused}") from refused
            finally:
                connection.close()

    @override
    def close(self) -> None:
        """The last process that closes folds the WAL file into the database."""
        self._reader.dispose()
        with self._mutex:
            if self._closed:
                return
            self._closed = True
            with self._locked():
                self._writer.dispose()
            os.close(self._lock)

    @contextmanager
    def _locked(self) -> Iterator[None]:
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
                break
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)


def _lake_beside(path: Path) -> Path:
    """Old records of a file lie beside it, wherever the data folder is that names it: they belong to the ledger."""
    return path.parent / ("lake" if path.name == "ledger.db" else f"{path.name}.lake")


class _ServingFile(Serving):
    @override
    def renew(self) -> None:
        pass


def wal_reset_bug(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite has the WAL-reset bug, so that only the file lock keeps the ledger sound."""
    return version < (3, 51, 3) and not (3, 44, 6) <= version < (3, 45) and not (3, 50, 7) <= version < (3, 51)


_BUG: Final = (
    " has the WAL-reset bug (sqlite.org/wal.html#walresetbug); the ledger writes and checkpoints under a "
    "file lock, so keep other SQLite tools from writing to it"
)


def _engine(url: sa.URL, shelf: Shelf, *, writes: bool) -> sa.Engine:
    engine = sa.create_engine(
        url,
        poolclass=QueuePool,
        pool_size=1 if writes else 4,
        max_overflow=0 if writes else 16,
        connect_args={"check_same_thread": False, "isolation_level": None},
        execution_options={"shelf": shelf},
        **engine_options(),
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        for pragma in (
            f"busy_timeout={WRITER_WAIT_MS}",
            "foreign_keys=ON",
            "mmap_size=0",  # a torn page must be an error, not a SIGBUS
            "temp_store=MEMORY",
            "secure_delete=ON",  # what was erased is overwritten, not only forgotten
            "cache_size=-65536",  # 64 MiB: indexes of message ids and subjects are written all over
            *(_WRITES if writes else _READS),
        ):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # the driver would begin at the first INSERT only, and take the write lock in mid-transaction
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
