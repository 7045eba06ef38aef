"""The list of who was erased: durable, numbered, and what a restored backup is held against."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hub_records import NODE, NOW_MS, SUBJECT, event, payloads
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import UnavailableError
from edgewise.ids import SubjectId
from hub.ledger.batch import Batch
from hub.ledger.ledger import open_ledger
from hub.ledger.suppression import SuppressionList

OTHER = SubjectId("6" * 32)


def test_a_list_counts_from_one_and_is_read_by_other_processes(tmp_path: Path) -> None:
    listed = SuppressionList(tmp_path)
    assert (listed.listed().name, listed.listed().entries) == ("", ())
    first = listed.append([OTHER, SUBJECT], time_ms=7, pseudonyms=["p"])
    assert (first.number, first.subjects) == (1, (SUBJECT, OTHER))
    second = SuppressionList(tmp_path).append([SUBJECT], time_ms=8, forever=True)
    assert second.number == 2
    assert listed.listed().entries == (first, second)
    assert len(listed.listed().name) == 32
    assert listed.path.stat().st_mode & 0o777 == 0o600


@given(cut=st.integers(1, 60))
def test_a_torn_line_was_no_erasure(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """Whoever died in the middle of it has deleted nothing yet."""
    folder = tmp_path_factory.mktemp("list")
    listed = SuppressionList(folder)
    first = listed.append([SUBJECT], time_ms=7)
    whole = listed.path.read_bytes()
    listed.append([OTHER], time_ms=8)
    torn = listed.path.read_bytes()[: len(whole) + cut]
    listed.path.write_bytes(torn)
    assert SuppressionList(folder).listed().entries == (first,)
    again = SuppressionList(folder).append([OTHER], time_ms=9)
    assert SuppressionList(folder).listed().entries == (first, again)


@pytest.mark.parametrize("damage", [b'{"number": 3}\n', b"no JSON\n", b'{"number":3,"time_ms":1,"subjects":[]}\n'])
def test_nobody_is_served_from_a_ledger_whose_erasures_are_not_known(tmp_path: Path, damage: bytes) -> None:
    listed = SuppressionList(tmp_path)
    listed.append([SUBJECT], time_ms=7)
    with listed.path.open("ab") as file:
        file.write(damage)
    with pytest.raises(UnavailableError, match="damaged"), open_ledger(tmp_path):
        pass


@pytest.mark.usefixtures("in_sqlite")
def test_a_backup_brings_nobody_back(tmp_path: Path) -> None:
    folder, copy = tmp_path / "hub", tmp_path / "backup.db"
    with open_ledger(folder) as ledger:
        ledger.store([Batch(NODE, payloads(event(0), event(1, subject=OTHER)))], NOW_MS)
    shutil.copy(folder / "ledger.db", copy)
    listed = SuppressionList(folder)
    entry = listed.append([SUBJECT], time_ms=NOW_MS)
    with open_ledger(folder) as ledger:
        assert ledger.profile(SUBJECT) is None
        assert ledger.follow(listed) == {}
        before = ledger.revision()
    for file in folder.glob("ledger.db*"):
        file.unlink()
    shutil.copy(copy, folder / "ledger.db")
    with open_ledger(folder) as ledger:
        assert ledger.profile(SUBJECT) is None
        assert list(ledger.events_of(SUBJECT)) == []
        assert [record.seq for record in ledger.events_of(OTHER)] == [1]
        assert ledger.erased([SUBJECT]) == {SUBJECT: NOW_MS}
        assert ledger.revision() == before
    assert listed.listed().entries == (entry,)


@pytest.mark.usefixtures("in_sqlite")
def test_not_a_byte_of_what_was_deleted_is_left_after_a_scrub(tmp_path: Path) -> None:
    secret = "a-name-in-a-body"
    with open_ledger(tmp_path) as ledger:
        records = [event(seq, body=f"{secret} {seq} {'x' * 900}".encode()) for seq in range(200)]
        ledger.store([Batch(NODE, payloads(*records))], NOW_MS)
        ledger.erase(SUBJECT, NOW_MS)
        ledger.scrub()
        files = [path for path in tmp_path.iterdir() if path.is_file()]
        assert not [path for path in files if secret.encode() in path.read_bytes()]
        assert (tmp_path / "ledger.db-wal").stat().st_size == 0
        ledger.store([Batch(NODE, payloads(event(200)))], NOW_MS)
        assert ledger.stored_seq(NODE) == 200
