"""Erasing a person on a hub: every store, a certificate that names nobody, and no way back."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from hub_records import NODE, NOW_MS, event, payloads

from edgewise.errors import InputError, UnavailableError
from edgewise.ids import BundleVersion, NodeId
from edgewise.reasons import State
from edgewise.subjects import subject_of
from hub.imports.decision_store import decision_paths
from hub.imports.decisions import import_decisions
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger, open_ledger
from hub.ledger.rows import NodeRow
from hub.rights.certificate import INTERRUPTED, Certificates
from hub.rights.erasure import Asked, Eraser
from hub.rights.person import Person, person_named

KEY = b"k" * 32
MAIL = "ann@mail.example"
ANN, HER_MAIL, BO = (
    subject_of(KEY, "anonymousId", "ann"),
    subject_of(KEY, "email", MAIL),
    subject_of(KEY, "userId", "7"),
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as opened:
        her = event(0, subject=ANN, identifiers={"anonymousId": ANN, "email": HER_MAIL})
        opened.store([Batch(NODE, payloads(her, event(1, subject=BO, identifiers={"userId": BO})))], NOW_MS)
        yield opened


def eraser(ledger: Ledger, now_ms: int = NOW_MS) -> Eraser:
    return Eraser(ledger.storage.shelf.folder.parent, ledger, now_ms=lambda: now_ms, entropy=bytes)


def known_node(name: str) -> NodeRow:
    return NodeRow(NodeId(name), State.READY, BundleVersion(1), "d" * 64, 1, True, NOW_MS, NOW_MS)


def asked(person: Person) -> Asked:
    return Asked(person, "officer", NOW_MS)


@pytest.mark.parametrize("name", ["ann", MAIL, f" {MAIL.upper()} ", "email:" + MAIL, ANN, HER_MAIL])
def test_a_person_is_found_by_every_name_of_hers(ledger: Ledger, name: str) -> None:
    person = person_named(ledger, KEY, name)
    assert person.subjects == tuple(sorted((ANN, HER_MAIL)))


def test_a_name_that_two_people_have_is_not_guessed(ledger: Ledger) -> None:
    seven = subject_of(KEY, "anonymousId", "7")
    ledger.store([Batch(NODE, payloads(event(2, subject=seven, identifiers={"anonymousId": seven})))], NOW_MS)
    with pytest.raises(InputError, match="2 people"):
        person_named(ledger, KEY, "7")
    assert person_named(ledger, KEY, "userId:7").subjects == (BO,)
    with pytest.raises(InputError, match="nothing is known"):
        person_named(ledger, KEY, "nobody")
    stranger = person_named(ledger, KEY, "nobody", may_be_unknown=True)
    assert subject_of(KEY, "userId", "nobody") in stranger.subjects


def test_a_certificate_says_what_went_where_and_waits_for_the_nodes(ledger: Ledger, tmp_path: Path) -> None:
    ledger.save_nodes([known_node("n-a"), known_node("n-b")])
    person = person_named(ledger, KEY, MAIL)
    first = eraser(ledger).erase(asked(person))
    assert (first.subjects, first.asked_by, first.number, first.complete) == (person.subjects, "officer", 1, False)
    assert {line.store: line.rows for line in first.stores if line.rows} == {
        "ledger: events": 1,
        "ledger: links": 1,
        "ledger: persons": 2,
        "ledger: profiles": 1,
    }
    (compacted,) = eraser(ledger).compact()
    assert (compacted.compacted_ms, compacted.waiting_for) == (NOW_MS, ("n-a", "n-b"))
    ledger.confirm_erasures(NodeId("n-a"), first.list, 1, NOW_MS + 5)
    ledger.confirm_erasures(NodeId("n-b"), "another list", 7, NOW_MS + 5)
    assert eraser(ledger).status(first.id).waiting_for == ("n-b",)
    ledger.confirm_erasures(NodeId("n-b"), first.list, 2, NOW_MS + 9)
    done = eraser(ledger).status(first.id)
    assert (done.complete, [line.confirmed_ms for line in done.nodes]) == (True, [NOW_MS + 5, NOW_MS + 9])
    assert ledger.audit(what=["profile erase confirmed"])[0].detail["sha256"] == done.sha256
    text = Certificates(tmp_path).file_of(first.id).read_text()
    assert MAIL not in text
    assert "ann" not in text


def test_a_certificate_that_was_changed_is_not_believed(ledger: Ledger, tmp_path: Path) -> None:
    certificate = eraser(ledger).erase(asked(person_named(ledger, KEY, "ann")))
    path = Certificates(tmp_path).file_of(certificate.id)
    changed = msgspec.structs.replace(certificate, asked_by="nobody")
    path.write_bytes(msgspec.json.encode(changed))
    with pytest.raises(UnavailableError, match="was changed"):
        eraser(ledger).status(certificate.id)
    with pytest.raises(InputError, match="no certificate"):
        eraser(ledger).status("0" * 26)
    with pytest.raises(InputError, match="is no certificate"):
        eraser(ledger).status("../keys/subject")


def test_refused_rows_lose_their_values_whoever_they_were_about(ledger: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "sources" / "rejects"
    folder.mkdir(parents=True)
    rows = [
        ["row", "column", "expected", "value"],
        ["3", "phone", "a number", "+49 30 ann's"],
        ["4", "", "7 fields", "x\ny"],
    ]
    with (folder / "crm.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    (folder / "strange.bin").write_bytes(b"\0" + MAIL.encode())
    person = person_named(ledger, KEY, "ann")
    preview = {line.store: line for line in eraser(ledger).preview(person)}
    certificate = eraser(ledger).erase(asked(person))
    lines = {line.store: line for line in certificate.stores}
    assert lines["rejected rows"].rows == 2
    assert lines["rejected rows"] == preview["rejected rows"]
    with (folder / "crm.csv").open(newline="") as file:
        kept = list(csv.reader(file))
    assert kept == [rows[0], ["3", "phone", "(erased)", "(erased)"], ["4", "", "(erased)", "(erased)"]]
    assert (folder / "strange.bin").read_bytes() == b""
    again = eraser(ledger).erase(asked(person))
    assert {line.store: line.rows for line in again.stores}["rejected rows"] == 0


def test_imported_decisions_of_hers_go_and_stay_away(ledger: Ledger, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(f"user,action,propensity,reward\n{MAIL},a,0.5,1\nbo,b,0.5,0\n")
    import_decisions(log, tmp_path)
    eraser(ledger).erase(asked(person_named(ledger, KEY, MAIL)))
    paths = decision_paths(tmp_path, "log")
    assert pq.read_table(paths.table).column("action").to_pylist() == ["b"]
    again = import_decisions(log, tmp_path)
    assert (again.rows, again.unchanged) == (1, True)
    log.write_text(log.read_text() + f"{MAIL},b,0.5,1\n")
    assert import_decisions(log, tmp_path).rows == 1
    assert pq.read_table(paths.table).column("action").to_pylist() == ["b"]


def test_half_written_files_of_programs_that_died_go(ledger: Ledger, tmp_path: Path) -> None:
    import os

    leftover = tmp_path / "decisions" / ".import-x"
    leftover.mkdir(parents=True)
    (leftover / "table").write_bytes(b"ann")
    old_s = NOW_MS / 1_000 - 7_200
    os.utime(leftover, (old_s, old_s))
    eraser(ledger).erase(asked(person_named(ledger, KEY, "ann")))
    assert not leftover.exists()


@pytest.mark.usefixtures("in_sqlite")
def test_a_restored_backup_is_erased_again_before_anybody_is_served(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    with open_ledger(folder) as ledger:
        ledger.store([Batch(NODE, payloads(event(0, subject=ANN, body=b"by-ann")))], NOW_MS)
    log = tmp_path / "log.csv"
    log.write_text(f"user,action,propensity,reward\n{MAIL},a,0.5,1\nbo,b,0.5,0\n")
    import_decisions(log, folder)
    backup = tmp_path / "backup"
    shutil.copytree(folder, backup)
    with open_ledger(folder) as ledger:
        eraser(ledger).erase(asked(Person((ANN,), frozenset({MAIL}))))
        eraser(ledger).compact()
    for name in ("ledger.db", "decisions/log.parquet", "decisions/log.json"):
        shutil.copy(backup / name, folder / name)
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (folder / name).unlink(missing_ok=True)
    ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}")
    try:
        assert ledger.profile(ANN) is not None
        assert ledger.catch_up(folder) == 1
        assert ledger.profile(ANN) is None
        assert ledger.catch_up(folder) == 0
        again = eraser(ledger)
        assert len(again.finish()) == 1
        assert again.is_uncompacted
        again.compact()
        assert (again.finish(), again.is_uncompacted) == ([], False)
        assert b"by-ann" not in (folder / "ledger.db").read_bytes()
        assert pq.read_table(folder / "decisions" / "log.parquet").num_rows == 1
    finally:
        ledger.close()


def test_who_dies_half_way_leaves_a_certificate_that_others_finish(tmp_path: Path) -> None:
    """The ledger had followed when it was killed: rejected rows, decisions, bytes and certificate were left."""
    log = tmp_path / "log.csv"
    log.write_text(f"user,action,propensity,reward\n{MAIL},a,0.5,1\nbo,b,0.5,0\n")
    import_decisions(log, tmp_path)
    rejects = tmp_path / "sources" / "rejects" / "crm.csv"
    rejects.parent.mkdir(parents=True)
    rejects.write_text(f"row,column,value\n3,phone,{MAIL}\n")
    calls = 0

    def killed_when_the_ledger_is_done() -> int:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise KeyboardInterrupt
        return NOW_MS

    with open_ledger(tmp_path) as ledger:
        ledger.store([Batch(NODE, payloads(event(0, subject=ANN, body=b"by-ann")))], NOW_MS)
        dying = Eraser(tmp_path, ledger, now_ms=killed_when_the_ledger_is_done, entropy=bytes)
        with pytest.raises(KeyboardInterrupt):
            dying.erase(asked(Person((ANN,), frozenset({MAIL}))))
        assert ledger.profile(ANN) is None
    assert MAIL in rejects.read_text()
    (stub,) = Certificates(tmp_path).readable()
    assert (stub.erased_ms, stub.asked_by, stub.complete) == (None, "officer", False)
    with open_ledger(tmp_path) as ledger:
        again = eraser(ledger, NOW_MS + 7)
        (done,) = again.finish()
        assert again.is_uncompacted
        (compacted,) = again.compact()
        assert (again.finish(), again.is_uncompacted) == ([], False)
    assert (done.id, done.erased_ms, done.asked_by) == (stub.id, NOW_MS + 7, "officer")
    assert INTERRUPTED in done.notes
    assert compacted.complete
    assert MAIL not in rejects.read_text()
    assert pq.read_table(decision_paths(tmp_path, "log").table).num_rows == 1
    file = tmp_path / "ledger.db"
    assert not file.exists() or b"by-ann" not in file.read_bytes(), "PostgreSQL keeps its own files"


def test_what_was_released_is_searched(ledger: Ledger, tmp_path: Path) -> None:
    blobs = tmp_path / "repository" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "clean").write_bytes(b"f" * 100 + BO.encode())
    assert eraser(ledger).erase(asked(person_named(ledger, KEY, "ann"))).released_hits == 0
    (blobs / "planted").write_bytes(b"0" * 7 + ANN.encode() + b"9")
    certificate = eraser(ledger).erase(asked(Person((ANN,), frozenset())))
    assert (certificate.released_files, certificate.released_hits) == (2, 1)


def test_a_table_without_users_is_left_alone(ledger: Ledger, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("action,propensity,reward\na,0.5,1\n")
    import_decisions(log, tmp_path)
    before = decision_paths(tmp_path, "log").table.read_bytes()
    eraser(ledger).erase(asked(person_named(ledger, KEY, "ann")))
    assert decision_paths(tmp_path, "log").table.read_bytes() == before
