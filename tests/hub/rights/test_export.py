"""The export of a person: complete, and it says itself what it is."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import msgspec
import pytest
from hub_process import edgewise, make_site
from hub_records import NODE, NOW_MS, decision, decision_id, event, payloads, preference

from edgewise.subjects import subject_of
from hub.imports.decisions import import_decisions
from hub.keys import KeyFolder
from hub.ledger.batch import Batch
from hub.ledger.forgetting import NAMED, personal_tables
from hub.ledger.ledger import open_ledger
from hub.ledger.rows import ContactRow
from hub.rights.export import encoded, export_of
from hub.rights.person import Person, person_named
from hub.rights.stores import stores

KEY = b"k" * 32
ANN, MAIL = subject_of(KEY, "anonymousId", "ann"), subject_of(KEY, "email", "ann@mail.example")
BODY = msgspec.json.encode({"context": {}, "properties": {"order_id": "o-7"}})


def test_everything_that_an_erasure_would_remove_is_in_it(tmp_path: Path) -> None:
    shown = decision_id(1)
    records = (
        event(0, subject=ANN, identifiers={"anonymousId": ANN, "email": MAIL}, body=BODY),
        decision(1, subject=ANN, number=1),
        event(2, subject=ANN, decision_id=shown),
        preference(3, subject=ANN, less=("western",)),
        event(4, subject=ANN, message=f"{NODE}:0"),
        event(5),
        b"damaged, and it names " + ANN.encode(),
    )
    with open_ledger(tmp_path) as ledger:
        sent = [each if isinstance(each, bytes) else payloads(each)[0] for each in records]
        ledger.store([Batch(NODE, sent)], NOW_MS)
        ledger.state_merge(ANN, MAIL, who="officer", reason="same address", now_ms=NOW_MS)
        ledger.keep_contacts([ContactRow("crm", "k1", ANN, {"surname": "Finch"}, NOW_MS)])
        person = person_named(ledger, KEY, "ann")
        exported = export_of(ledger, person, data_dir=tmp_path, now_ms=NOW_MS)
        erasable = ledger.erasable(person.subjects)
    said = json.loads(encoded(exported))
    assert said["subjects"] == sorted([ANN, MAIL])
    assert [each["said"] for each in said["events"]] == [json.loads(BODY), None]
    assert {each["source"] for each in said["events"]} == {NODE}
    assert [(each["decision_id"], each["outcomes"][0]["kind"]) for each in said["decisions"]] == [(shown, "click")]
    assert [each["less"] for each in said["statements"]] == [["western"]]
    assert said["preferences"]["less"][1] == ["western"]
    assert set(said["profile"]["items"]) == {"film-0", "film-2"}
    assert said["tables"]["contact_records"][0]["fields"] == {"surname": "Finch"}
    assert said["tables"]["identity_statements"][0]["reason"] == "same address"
    assert said["sources"] == {NODE: 4}
    assert said["retention"]["site"]["rejects_days"] == 30
    separate = {"events", "decisions", "preferences", "profiles", "duplicates", "passed_marks"}
    assert set(said["tables"]) == {table.name for table, _ in personal_tables()} - separate | {
        "dead_letters",
        "mail_suppressed",
    }
    for table, removed in erasable.items():
        if table in said["tables"]:
            assert len(said["tables"][table]) == removed.rows, table


def test_it_knows_what_an_erasure_finds_elsewhere(tmp_path: Path) -> None:
    """On a device that she shares, in an imported log, among refused rows; and not what others did."""
    address = "ann@mail.example"
    device, bo = subject_of(KEY, "anonymousId", "shared"), subject_of(KEY, "userId", "bo")
    past = tmp_path / "past.csv"
    past.write_text(f"user,action,propensity,reward\n{address},a,0.5,1\nbo,b,0.5,0\n")
    data_dir = tmp_path / "hub"
    import_decisions(past, data_dir)
    rejects = data_dir / "sources" / "rejects" / "crm.csv"
    rejects.parent.mkdir(parents=True)
    rejects.write_text(f"row,column,value\n3,mail,<{address.upper()}>\n4,mail,jo{address}\n5,name,Finch\n")
    records = (
        event(0, subject=device, identifiers={"anonymousId": device, "email": MAIL}),
        event(1, subject=device, identifiers={"anonymousId": device, "userId": bo}),
        event(2, subject=bo, identifiers={"userId": bo, "email": MAIL}, body=BODY),
    )
    with open_ledger(data_dir) as ledger:
        ledger.store([Batch(NODE, payloads(*records))], NOW_MS)
        person = Person((MAIL,), frozenset({address, "Finch"}))
        said = json.loads(encoded(export_of(ledger, person, data_dir=data_dir, now_ms=NOW_MS)))
        erasable = ledger.erasable(person.subjects)
        counted = {store.name: store.count(person).rows for store in stores(data_dir, now_ms=NOW_MS)}
    assert [each["seq"] for each in said["events"]] == [0]
    assert [each["kinds"] for each in said["named"]] == [["email"]]
    assert (len(said["events"]), len(said["named"])) == (erasable["events"].rows, erasable[NAMED].rows)
    logged = said["stores"]["imported decisions"]
    assert [(row["log"], row["action"]) for row in logged] == [("past", "a")]
    assert counted["imported decisions"] == 1
    assert said["stores"]["rejected rows"] == [
        {"file": "crm.csv", "row": "3", "column": "mail", "value": f"<{address.upper()}>"}
    ]


def test_an_export_describes_itself(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        ledger.store([Batch(NODE, payloads(event(0, subject=ANN)))], NOW_MS)
        exported = export_of(ledger, person_named(ledger, KEY, ANN), data_dir=tmp_path, now_ms=NOW_MS)
    said = json.loads(encoded(exported))
    described = said["$schema"]["$defs"]["Exported"]["properties"]
    assert set(described) == set(said) - {"$schema"}


def test_the_command_writes_a_file_for_its_owner_and_says_so_in_the_audit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_site(tmp_path)
    ann = subject_of(KeyFolder(tmp_path).secrets().subject_key, "anonymousId", "ann")
    with open_ledger(tmp_path) as ledger:
        ledger.store([Batch(NODE, payloads(event(0, subject=ann)))], NOW_MS)
    out = tmp_path / "ann.json"
    words = ("profile", "export", "ann", "--data-dir", tmp_path, "--by", "officer")
    told = edgewise(capsys, *words, "--out", out, "--json").told
    assert told == {"file": str(out), "subjects": 1, "events": 1}
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert json.loads(edgewise(capsys, *words, "--json").stdout)["subjects"] == [ann]
    assert json.loads(edgewise(capsys, *words).stdout)["subjects"] == [ann], "without a file it is printed"
    assert "nothing is known" in edgewise(capsys, "profile", "export", "bo", "--data-dir", tmp_path, "--json").stderr
    with open_ledger(tmp_path) as ledger:
        assert [(row.who, row.subject) for row in ledger.audit(what=["profile export"])] == [("officer", ann)] * 3


def test_erasing_asks_first_and_prints_a_certificate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_site(tmp_path)
    ann = subject_of(KeyFolder(tmp_path).secrets().subject_key, "anonymousId", "ann")
    with open_ledger(tmp_path) as ledger:
        ledger.store([Batch(NODE, payloads(event(0, subject=ann)))], NOW_MS)
    words = ("profile", "erase", "ann", "--data-dir", tmp_path, "--by", "officer")
    asked = edgewise(capsys, *words)
    assert asked.code == 1
    assert "ledger: events" in asked.stdout
    assert "say --yes" in asked.stderr
    done = edgewise(capsys, *words, "--yes", "--json").told
    assert (done["asked_by"], done["complete"], done["subjects"]) == ("officer", True, [ann])
    shown = edgewise(capsys, "profile", "erase", "--status", done["id"], "--data-dir", tmp_path)
    assert shown.code == 0
    assert done["sha256"] in shown.stdout
    assert edgewise(capsys, *words, "--yes").code == 1  # nothing is known of her any more
    assert edgewise(capsys, *words, "--status", done["id"]).code == 1
    forever = edgewise(capsys, *words, "--yes", "--forever", "--json").told
    assert forever["forever"]


def test_what_is_too_old_goes_when_it_is_told_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_ledger(tmp_path) as ledger:
        ledger.store([Batch(NODE, [*payloads(event(0)), b"of no use"])], NOW_MS)
    words = ("data", "retain", "--data-dir", tmp_path, "--by", "officer", "--json")
    planned = edgewise(capsys, *words, "--dry-run").told
    assert (planned["dead_letters"], planned["events"], planned["dry_run"]) == (1, 0, True)
    assert edgewise(capsys, *words).told["dead_letters"] == 1
    assert edgewise(capsys, *words).told["dead_letters"] == 0
    with open_ledger(tmp_path) as ledger:
        assert ledger.dead_letters() == []
        assert [row.detail["dead_letters"] for row in ledger.audit(what=["data retain"])] == [0, 1]
