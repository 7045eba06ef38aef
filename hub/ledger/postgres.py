"""A ledger in a schema of a PostgreSQL database: for a hub whose data must outlive its machine.

Each data folder has a schema of its own, so that hubs of several sites, the demo or a trial on one server never write
into each other's ledgers.
"""

from __future__ import annotations

import re
import threading
import time
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from psycopg.types.string import StrDumper
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from typing_extensions import override

from edgewise.errors import EdgewiseError, InputError, UnavailableError
from hub.ledger.dialect import WRITER_WAIT_MS, Serving, Storage, already_served, engine_options, refusing

OLDEST_VERSION: Final = 14
"""Major version; older ones get no corrections any more (postgresql.org/support/versioning)."""
STATEMENT_MS: Final = 600_000
"""A statement that takes longer hangs: pages are small, and a migration or a scrub lifts the bound."""
IDLE_MS: Final = 120_000
"""A writer that stops in mid-transaction, its process suspended, loses its place after this."""
CONNECT_S: Final = 10
SCHEMA: Final = r"[a-z_][a-z0-9_]{0,62}"

_POLL_MS: Final = 20
_WRITER: Final = 0x65647765
_SERVER: Final = 0x65647766
_REFUSED: Final = frozenset({"42501", "42P01", "3F000"})
"""insufficient_privilege, undefined_table, invalid_schema_name: SQLAlchemy takes them for mistakes in the statement,
but these statements are right where nobody has taken a right or a table away."""


class _TextDumper(StrDumper):
    """PostgreSQL keeps no NUL in a text. Ids with one are refused at intake; in remarks it becomes U+FFFD."""

    @override
    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)


class PostgresStorage(Storage):
    """Writers queue at an advisory lock, which the server itself frees when one dies. Readers see a snapshot."""

    lake_after_days = None
    """Files on the hub's disk would not outlive its machine."""

    def __init__(self, url: sa.URL, place: str, lake_dir: Path | None = None) -> None:
        """`place` is the URL without its password."""
        url = url.set(drivername="postgresql+psycopg")
        schema = url.query.get("schema", "public")
        if not isinstance(schema, str) or not re.fullmatch(SCHEMA, schema):
            raise InputError(f"schema {str(schema)[:80]!r} of a database URL; expected lower-case letters, digits, _")
        self._url = url.difference_update_query(["schema"])
        self._schema = schema
        super().__init__(place, lake_dir)
        self._key = zlib.crc32(schema.encode()) - (1 << 31)
        try:
            self._writer = self._engine(writes=True)
            self._reader = self._engine(writes=False)
        except (sa.exc.SQLAlchemyError, TypeError, ValueError):
            # what is said may quote the URL, and that the password
            raise InputError(f"{self.place}: a parameter of this database URL is wrong") from None
        self._version = ""
        # a ledger that nobody closed: a server has only so many connections
        weakref.finalize(self, _close, self._writer, self._reader)
        try:
            self._look()
        except EdgewiseError:
            self.close()
            raise

    @override
    @contextmanager
    def _turn(self) -> Iterator[sa.Connection]:
        with self._writer.begin() as connection:
            # READ COMMITTED: statements behind the lock see what the last holder committed
            self._lock(connection)
            yield connection

    @override
    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.OperationalError as refused:
            if isinstance(refused.orig, psycopg.errors.LockNotAvailable):
                raise UnavailableError(
                    f"{self.place}: another process has been writing for {WRITER_WAIT_MS / 1_000:.0f} s"
                ) from refused
            raise refusing(self.place, refused) from refused
        except sa.exc.DBAPIError as wrong:
            if refused_or_broken(wrong):
                raise refusing(self.place, wrong) from wrong
            raise

    @override
    def note(self) -> str:
        return f"PostgreSQL {self._version}"

    @override
    def warning(self) -> str:
        return ""

    @override
    @contextmanager
    def serving(self) -> Iterator[Serving]:
        held = _ServingLock(self)
        try:
            yield held
        finally:
            held.close()

    @override
    def scrub(self) -> None:
        """Write every table anew without its dead rows; the server's own log of writes (WAL) is its operator's.

        Rows that somebody may still see would be copied like living ones, so it waits until nobody does.
        """
        self._wait_for_views()
        with self._writers_place(), self._explained(), self._writer.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            parameters = {"classid": _WRITER, "objid": self._key}
            connection.execute(sa.text("SELECT pg_advisory_lock(:classid, :objid)"), parameters)
            try:
                connection.exec_driver_sql("SET statement_timeout = 0")
                for table in sa.inspect(connection).get_table_names():
                    connection.exec_driver_sql(f'VACUUM (FULL) "{table}"')
            finally:
                # RESET would bring back the server's own bound, which is none
                connection.exec_driver_sql(f"SET statement_timeout = {STATEMENT_MS}")
                connection.execute(sa.text("SELECT pg_advisory_unlock(:classid, :objid)"), parameters)

    def _wait_for_views(self) -> None:
        """Until no snapshot, transaction or replication slot is older than now.

        Raises UnavailableError that names one which is there still after WRITER_WAIT_MS.
        """
        deadline = time.monotonic() + WRITER_WAIT_MS / 1_000
        with self._explained(), self.connect() as connection:
            now = connection.execute(_NEXT_TRANSACTION).scalar_one()
            while (older := connection.execute(_OLDER_VIEWS, {"now": now}).scalars().first()) is not None:
                if time.monotonic() > deadline:
                    raise UnavailableError(
                        f"{self.place}: {older} may still see what was deleted, so its bytes cannot go yet"
                    )
                time.sleep(_POLL_MS / 1_000)  # the server tells nobody when a snapshot ends

    @override
    def close(self) -> None:
        self._reader.dispose()
        with self._mutex:
            self._writer.dispose()

    def connect(self) -> sa.Connection:
        """A connection outside of any transaction."""
        return self._reader.connect().execution_options(isolation_level="AUTOCOMMIT")

    def _lock(self, connection: sa.Connection) -> None:
        connection.execute(_LOCK, {"classid": _WRITER, "objid": self._key})

    def _make_schema(self, connection: psycopg.Connection[Any]) -> None:
        # IF NOT EXISTS alone is a race: both would look, and the second fail
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (_WRITER, self._key))
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"')

    def _look(self) -> None:
        """Connect. Raises UnavailableError for a server that is away or refuses, InputError for an unfit one."""
        with self._explained(), self._writer.begin() as connection:
            said = connection.exec_driver_sql(
                "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),"
                " current_setting('server_version')"
            )
            number, encoding, self._version = said.one()
        if number < OLDEST_VERSION * 10_000:
            raise InputError(f"{self.place}: PostgreSQL {self._version}; expected {OLDEST_VERSION} or newer")
        if encoding != "UTF8":
            raise InputError(f"{self.place}: a database in {encoding}; expected one in UTF8")

    def _engine(self, *, writes: bool) -> sa.Engine:
        settings = {
            "search_path": f'"{self._schema}"',
            "lock_timeout": WRITER_WAIT_MS,
            "statement_timeout": STATEMENT_MS,
            "idle_in_transaction_session_timeout": IDLE_MS,
            "default_transaction_read_only": "off" if writes else "on",
            "synchronous_commit": "on",
        }
        engine = sa.create_engine(
            self._url,
            poolclass=QueuePool,
            pool_size=1 if writes else 4,
            max_overflow=0 if writes else 16,
            pool_pre_ping=True,  # the server may have been restarted since
            isolation_level="READ COMMITTED" if writes else "REPEATABLE READ",
            connect_args={
                "connect_timeout": CONNECT_S,
                "application_name": "edgewise",
                "keepalives_idle": 30,
                "keepalives_interval": 10,
                "keepalives_count": 3,
            },
            execution_options={"shelf": self.shelf},
            hide_parameters=True,  # rows of visitors do not belong in an error
            **engine_options(),
        )

        # before SQLAlchemy's own look at a first connection: what it finds as the schema then, it keeps
        @sa.event.listens_for(engine, "connect", insert=True)
        def prepare(connection: psycopg.Connection[Any], _entry: ConnectionPoolEntry) -> None:
            connection.adapters.register_dumper(str, _TextDumper)
            connection.autocommit = True  # a setting made inside a transaction would be undone with it
            # not by `options` of the connection: poolers in front of a server do not pass those on
            calls = ", ".join(["set_config(%s, %s, false)"] * len(settings))
            said = [text for name, value in settings.items() for text in (name, str(value))]
            there = connection.execute(
                f"SELECT (SELECT 1 FROM pg_namespace WHERE nspname = %s), {calls}",  # noqa: S608  # placeholders only
                (self._schema, *said),
            ).fetchone()
            if writes and there is not None and there[0] is None:
                self._make_schema(connection)
            connection.autocommit = False

        return engine


class _ServingLock(Serving):
    """An advisory lock that lasts as long as its connection; a server that restarts has forgotten it."""

    def __init__(self, storage: PostgresStorage) -> None:
        self._storage = storage
        self._connection: sa.Connection | None = None
        self._guard = threading.Lock()
        self.renew()

    @override
    def renew(self) -> None:
        with self._guard, self._storage._explained():  # noqa: SLF001  # of this module
            if self._connection is not None:
                try:
                    self._connection.exec_driver_sql("SELECT 1")
                except sa.exc.OperationalError:
                    self._drop()
                else:
                    return
            connection = self._storage.connect()
            parameters = {"classid": _SERVER, "objid": self._storage._key}  # noqa: SLF001
            if not connection.execute(_TRY_LOCK, parameters).scalar_one():
                connection.close()
                raise already_served(self._storage.place)
            self._connection = connection

    def close(self) -> None:
        with self._guard:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            # closed for good, not handed back to the pool: the lock goes with it
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def _close(*engines: sa.Engine) -> None:
    for engine in engines:
        engine.dispose()


def refused_or_broken(wrong: sa.exc.DBAPIError) -> bool:
    """Whether an error is the server's or its operator's, not one of our statements."""
    if isinstance(wrong, (sa.exc.InternalError, sa.exc.InterfaceError)) or wrong.connection_invalidated:
        return True
    return getattr(wrong.orig, "sqlstate", None) in _REFUSED


@compiles(sa.Text, "postgresql")
def _text(_type: sa.Text, _compiler: Any, type_expression: Any = None, **_: Any) -> str:
    """Text sorts by its bytes, as in SQLite and in Python: what a page ends with must not depend on a locale."""
    return 'TEXT COLLATE "C"' if isinstance(type_expression, sa.Column) else "TEXT"


_LOCK: Final = sa.text("SELECT pg_advisory_xact_lock(:classid, :objid)")
_NEXT_TRANSACTION: Final = sa.text("SELECT CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS xid) AS text)")
_OLDER_VIEWS: Final = sa.text("""
    SELECT 'session ' || pid || ' (' || application_name || ')' FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND greatest(
        age(backend_xid),
        CASE WHEN datname IS NULL OR datname = current_database() THEN age(backend_xmin) END
    ) > age(CAST(:now AS xid))
    UNION ALL SELECT 'the replication slot ' || slot_name FROM pg_replication_slots
    WHERE age(xmin) > age(CAST(:now AS xid))
    UNION ALL SELECT 'the prepared transaction ' || gid FROM pg_prepared_xacts
    WHERE age(transaction) > age(CAST(:now AS xid))
""")
"""What keeps rows that were deleted before the transaction `now`, as VACUUM sees it: snapshots of this database and
running transactions of all."""
_TRY_LOCK: Final = sa.text("SELECT pg_try_advisory_lock(:classid, :objid)")
