"""The file beneath the ledger: opened, migrated, shared between processes, kept from other people's eyes."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from databases import is_sound, mostly_sqlite
from hub_records import NOW_MS, event, payloads

from edgewise.errors import InputError, UnavailableError
from edgewise.ids import Producer, SubjectId
from hub.ledger.batch import Batch
from hub.ledger.canonical import rebuild
from hub.ledger.ledger import Ledger, open_ledger
from hub.ledger.migrate import HEAD, SCRIPTS
from hub.ledger.opening import storage_at
from hub.ledger.place import ledger_url
from hub.ledger.sqlite import wal_reset_bug
from hub.ledger.tables import metadata


@pytest.mark.usefixtures("either_database")
def test_migrations_make_exactly_the_tables_that_the_code_names(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger, ledger.storage.writing() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


@pytest.mark.usefixtures("either_database")
def test_a_ledger_from_before_journeys_is_upgraded_with_its_rows(tmp_path: Path) -> None:
    """As the release before wrote it: the steps up to its own, and what visitors did."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    storage = storage_at(ledger_url(tmp_path), tmp_path / "lake")
    with storage.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0012")
    before = Ledger(storage)
    before.store([Batch(Producer("n-a/1/0"), payloads(event(0), event(1)))], NOW_MS)
    kept = list(before.events())
    profile = before.profile(SubjectId("5" * 32))
    before.close()
    with open_ledger(tmp_path) as after:
        assert list(after.events()) == kept
        assert profile is not None
        assert after.profile(SubjectId("5" * 32)) == profile
        after.store([Batch(Producer("n-a/1/0"), payloads(event(2)))], NOW_MS)
        assert after.totals().events == 3
        with after.storage.writing() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_newest_revision_is_the_one_that_is_looked_for() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


@pytest.mark.usefixtures("either_database")
def test_a_ledger_of_a_newer_edgewise_is_left_alone(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger, ledger.storage.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UnavailableError, match="revision 9999"):
        Ledger.of(tmp_path)


@pytest.mark.parametrize("url", ["", "ledger.db", "sqlite://", "sqlite:///:memory:", "mysql://h/d", "sqlite:///"])
def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(InputError, match=re.escape(url) if url.startswith("sqlite") else "expected"):
        Ledger.open(url)


@pytest.mark.usefixtures("in_sqlite")
def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"this is not SQLite" * 100)
    with pytest.raises(UnavailableError, match=r"ledger\.db.*not a database"):
        Ledger.of(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match="cannot be opened"):
        Ledger.of(tmp_path / "file" / "below")


@pytest.mark.usefixtures("in_sqlite")
def test_only_the_owner_reads_what_visitors_did(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        ledger.store([Batch(Producer("n-a/1/0"), payloads(event(0)))], NOW_MS)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("ledger.db*")}
    assert modes == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.writer"), 0o600)


@pytest.mark.usefixtures("in_sqlite")
def test_an_acknowledged_commit_has_been_flushed(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger, ledger.storage.writing() as connection:
        pragmas = ("journal_mode", "synchronous", "mmap_size")
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    assert values == ["wal", 2, 0]  # 2: FULL, the WAL file is flushed by every commit


def test_readers_cannot_write(tmp_path: Path) -> None:
    with (
        open_ledger(tmp_path) as ledger,
        pytest.raises(UnavailableError, match=r"read-?only"),
        ledger.storage.reading() as connection,
    ):
        connection.exec_driver_sql("DELETE FROM events")


@pytest.mark.usefixtures("either_database")
def test_threads_write_one_after_the_other(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:

        def write(worker: int) -> None:
            name = Producer(f"n-a/1/{worker}")
            for seq in range(20):
                ledger.store([Batch(name, payloads(event(seq, producer=name)))], NOW_MS)

        threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ledger.totals().events == len(list(ledger.events())) == 80
        assert [position for position, _ in ledger.events()] == list(range(1, 81))


_WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from databases import is_sound
from hub_records import NOW_MS, event, payloads
from edgewise.ids import Producer
from hub.ledger.batch import Batch
from hub.ledger.ledger import open_ledger
name = Producer(sys.argv[3])
with open_ledger(Path(sys.argv[2])) as ledger:
    for seq in range(60):
        ledger.store([Batch(name, payloads(event(seq, producer=name)))], NOW_MS)
"""


@mostly_sqlite
@pytest.mark.usefixtures("either_database")
@pytest.mark.process
def test_processes_write_one_after_the_other_while_another_reads(tmp_path: Path) -> None:
    names = [Producer(f"n-{letter}/1/0") for letter in "abc"]
    tests = str(Path(__file__).parents[2])
    with open_ledger(tmp_path) as ledger:
        writers = [
            subprocess.Popen([sys.executable, "-c", _WRITER, tests, str(tmp_path), name], cwd=Path(__file__).parents[3])
            for name in names
        ]
        while any(writer.poll() is None for writer in writers):
            counted = ledger.totals().events
            assert len(list(ledger.events())) >= counted
        assert [writer.returncode for writer in writers] == [0, 0, 0]
        assert ledger.totals().events == 180
        assert [position for position, _ in ledger.events()] == list(range(1, 181))
        stored = ledger.profile(SubjectId("5" * 32))
        assert stored is not None
        with ledger.storage.reading() as connection:
            assert is_sound(connection)
            assert rebuild(connection, SubjectId("5" * 32)) == (stored.profile, stored.preferences)


@pytest.mark.parametrize(
    ("version", "has_bug"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 54, 1), False),
    ],
)
def test_versions_with_the_wal_reset_bug_are_known(version: tuple[int, int, int], has_bug: bool) -> None:  # noqa: FBT001
    assert wal_reset_bug(version) is has_bug


def test_who_waits_for_a_scrub_is_told_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, either_database: str
) -> None:
    assert either_database
    with open_ledger(tmp_path) as ledger:
        monkeypatch.setattr("hub.ledger.dialect.WRITER_WAIT_MS", 10)
        with ledger.storage._writers_place():
            with pytest.raises(UnavailableError, match="another thread has been writing"):
                ledger.store([Batch(Producer("n-a/1/0"), payloads(event(0)))], NOW_MS)
            assert list(ledger.events()) == []
        ledger.store([Batch(Producer("n-a/1/0"), payloads(event(0)))], NOW_MS)
