"""A ledger in PostgreSQL: what a server, unlike a file, can do to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
import sqlalchemy as sa
from hub_records import NODE, NOW_MS, SUBJECT, event, payloads

from edgewise.errors import InputError, UnavailableError
from edgewise.ids import NodeId, Producer, SubjectId
from edgewise.reasons import State
from hub.ledger import postgres as module
from hub.ledger import tables
from hub.ledger.batch import Batch
from hub.ledger.dialect import TakenError
from hub.ledger.ledger import Ledger, open_ledger
from hub.ledger.place import VARIABLE, ledger_url
from hub.ledger.rows import AuditEntry, NodeRow

SECRET = "xyzzy-plugh"


@pytest.fixture
def url(postgres: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The server, named by the variable, as an operator would."""
    monkeypatch.setenv(VARIABLE, postgres)
    return postgres


@pytest.fixture
def ledger(url: str, tmp_path: Path) -> Iterator[Ledger]:
    assert url
    with open_ledger(tmp_path / "hub") as opened:
        yield opened


def cut(url: str) -> None:
    """What a restart of the server does to its clients."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'edgewise' AND pid <> pg_backend_pid()"
        )


def with_user(url: str, user: str, password: str = "") -> str:
    parsed = sa.make_url(url).set(username=user, password=password or None)
    return parsed.render_as_string(hide_password=False)


def store(ledger: Ledger, *seqs: int, producer: Producer = NODE) -> None:
    ledger.store([Batch(producer, payloads(*(event(seq, producer=producer) for seq in seqs)))], NOW_MS)


def test_every_data_folder_has_a_ledger_of_its_own(url: str, tmp_path: Path) -> None:
    assert url
    with open_ledger(tmp_path / "a") as first, open_ledger(tmp_path / "b") as second:
        store(first, 0, 1)
        store(second, 0)
        assert (first.totals().events, second.totals().events) == (2, 1)
    with open_ledger(tmp_path / "a") as again:
        assert again.totals().events == 2
        assert again.storage.note().startswith("PostgreSQL ")


def test_a_command_finds_the_ledger_of_a_hub_that_a_file_configured(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    hub = Ledger.of(tmp_path, postgres)
    store(hub, 0)
    hub.close()
    with open_ledger(tmp_path) as ledger:
        assert ledger.totals().events == 1


def test_a_password_is_neither_written_down_nor_said(url: str, tmp_path: Path) -> None:
    named = with_user(url, "postgres", SECRET)
    opened = Ledger.of(tmp_path, named)
    opened.close()
    assert SECRET not in (tmp_path / "ledger.json").read_text()
    assert SECRET not in opened.storage.place
    away = with_user(url, "postgres", SECRET).split("?")[0] + f"?host={quote(str(tmp_path))}&password={SECRET}"
    with pytest.raises(UnavailableError, match="No such file") as refused:
        Ledger.of(tmp_path / "other", away)
    assert SECRET not in str(refused.value)
    for wrong in (
        f"postgresql://u:{SECRET}@h:port/d",
        f"mysql://u:{SECRET}@h/d",
        f"postgresql://u:{SECRET}@h",
        SECRET + "@",
    ):
        with pytest.raises(InputError, match="expected") as unfit:
            ledger_url(tmp_path / "third", wrong)
        assert SECRET not in str(unfit.value)


def test_a_database_that_is_not_there_is_named(url: str, tmp_path: Path) -> None:
    missing = sa.make_url(url).set(database="nowhere").render_as_string()
    with pytest.raises(UnavailableError, match=r'database "nowhere" does not exist') as refused:
        Ledger.of(tmp_path, missing)
    assert "\n" not in str(refused.value)


def test_a_user_who_may_not_make_tables_is_told_so(url: str, tmp_path: Path) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN")
    with pytest.raises(UnavailableError, match="permission denied"):
        Ledger.of(tmp_path, with_user(url, "guest"))


def test_a_database_in_another_encoding_is_refused(url: str, tmp_path: Path) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS latin")
        connection.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'")
    with pytest.raises(InputError, match=r"LATIN1; expected one in UTF8"):
        Ledger.of(tmp_path, sa.make_url(url).set(database="latin").render_as_string())


def test_a_ledger_in_sqlite_is_not_left_behind_unnoticed(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with open_ledger(tmp_path) as before:
        store(before, 0)
    with pytest.raises(InputError, match="would begin empty"):
        Ledger.of(tmp_path, postgres)
    with open_ledger(tmp_path) as after:
        assert after.totals().events == 1


def test_a_ledger_is_not_left_for_another_database_unless_it_is_said(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    Ledger.of(tmp_path, postgres).close()
    remembered = (tmp_path / "ledger.json").read_bytes()
    other = sa.make_url(postgres).set(database="other").render_as_string(hide_password=False)
    for wrong in (other, f"{postgres}?schema=other", f"sqlite:///{tmp_path / 'ledger.db'}"):
        with pytest.raises(InputError, match=r"ledger\.json says that this hub's ledger lies there"):
            ledger_url(tmp_path, wrong)
    assert (tmp_path / "ledger.json").read_bytes() == remembered
    assert "u:w@" in ledger_url(tmp_path, with_user(postgres, "u", "w"))
    (tmp_path / "ledger.json").unlink()
    assert "/other" in ledger_url(tmp_path, other)
    with pytest.raises(InputError, match=r"ledger\.json says"):
        ledger_url(tmp_path, postgres)


def test_a_scrub_waits_for_whoever_sees_what_was_deleted(
    postgres: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(ledger, 0)
    monkeypatch.setattr("hub.ledger.postgres.WRITER_WAIT_MS", 10)
    with psycopg.connect(postgres, application_name="dump") as dump:
        dump.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        dump.execute("SELECT 1")
        ledger.erase(SUBJECT, NOW_MS)
        with pytest.raises(UnavailableError, match=r"session \d+ \(dump\) may still see"):
            ledger.scrub()
    ledger.scrub()
    with ledger.storage.writing() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "10min"


def test_storing_goes_on_after_the_server_was_restarted(url: str, ledger: Ledger) -> None:
    store(ledger, 0)
    cut(url)
    store(ledger, 1)
    cut(url)
    assert [record.seq for _, record in ledger.events()] == [0, 1]


def test_a_transaction_that_the_server_cuts_off_leaves_nothing(url: str, ledger: Ledger) -> None:
    with pytest.raises(UnavailableError), ledger.storage.writing() as connection:  # noqa: PT012  # it dies within
        connection.execute(sa.insert(tables.counters), {"name": "half", "value": 1})
        cut(url)
        connection.execute(sa.insert(tables.counters), {"name": "whole", "value": 1})
    with ledger.storage.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.counters)).scalar_one() == 0


def test_a_writer_that_waits_too_long_says_for_whom(
    url: str, tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert url
    monkeypatch.setattr(module, "WRITER_WAIT_MS", 100)
    with open_ledger(tmp_path / "hub") as other, ledger.storage.writing():
        with pytest.raises(UnavailableError, match="another process has been writing"):
            store(other, 0)
        assert other.totals().events == 0  # readers do not wait


def test_positions_have_no_holes_whoever_writes(tmp_path: Path, ledger: Ledger) -> None:
    def write(worker: int) -> None:
        name = Producer(f"n-a/1/{worker}")
        with open_ledger(tmp_path / "hub") as own:
            for seq in range(10):
                store(own, seq, producer=name)

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [position for position, _ in ledger.events()] == list(range(1, 31))


def test_one_hub_serves_a_ledger(url: str, tmp_path: Path, ledger: Ledger) -> None:
    with open_ledger(tmp_path / "hub") as other:
        with ledger.storage.serving() as right:
            right.renew()
            with pytest.raises(TakenError, match="another hub serves"), other.storage.serving():
                pass
            cut(url)  # the server has forgotten who serves
            right.renew()
            cut(url)
            with other.storage.serving(), pytest.raises(TakenError):
                right.renew()
        with other.storage.serving():
            pass


def test_hubs_of_different_folders_may_share_a_server(url: str, tmp_path: Path, ledger: Ledger) -> None:
    assert url
    with open_ledger(tmp_path / "other") as other, ledger.storage.serving(), other.storage.serving():
        pass


def test_readers_cannot_write_and_see_one_moment(ledger: Ledger) -> None:
    with pytest.raises(UnavailableError, match="read-only"), ledger.storage.reading() as connection:
        connection.execute(sa.delete(tables.events))
    count = sa.select(sa.func.count()).select_from(tables.events)
    with ledger.storage.reading() as connection:
        before = connection.execute(count).scalar_one()
        store(ledger, 0)
        assert connection.execute(count).scalar_one() == before == 0
    assert ledger.totals().events == 1


def test_text_that_people_wrote_may_hold_anything(ledger: Ledger) -> None:
    told = "a\0b \N{SNOWMAN} \U0001f600"
    ledger.record(AuditEntry("ann", told, "x", {told: [told, 2**63 - 1, -(2**63)]}), NOW_MS)
    node = NodeRow(NodeId("n-a"), State.READY, 3, "d" * 64, 1, True, 1, 2, nack_detail=told)  # type: ignore[arg-type]
    ledger.save_nodes([node])
    (row,) = ledger.audit()
    assert row.what == told.replace("\0", "\ufffd")
    assert row.detail == {told: [told, 2**63 - 1, -(2**63)]}
    assert ledger.nodes()[0].nack_detail == told.replace("\0", "\ufffd")
    assert ledger.profile(SubjectId("a\0b")) is None


def test_text_sorts_by_its_bytes(ledger: Ledger) -> None:
    names = [Producer(f"import/{name}") for name in ("b", "A", "ä", "a", "_", "Z", "-", "aa", "a-b")]
    for name in names:
        store(ledger, 0, producer=name)
    assert [row.producer for row in ledger.producers()] == sorted(names)


def test_numbers_of_64_bits_come_back(ledger: Ledger) -> None:
    with ledger.storage.writing() as connection:
        connection.execute(sa.insert(tables.counters), {"name": "most", "value": 2**63 - 1})
        connection.execute(sa.insert(tables.counters), {"name": "least", "value": -(2**63)})
        found = connection.execute(sa.select(tables.counters.c.value).order_by(tables.counters.c.value)).scalars()
        assert list(found) == [-(2**63), 2**63 - 1]
