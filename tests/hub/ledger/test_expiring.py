"""Deleting by age: what remains is what profiles are made of, and no number is given out again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from databases import mostly_sqlite
from hub_records import NODE, NOW_MS, SUBJECT, decision, decision_id, event, payloads
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.ids import Producer
from edgewise.profile.reduce import fold
from edgewise.profile.state import DAY_MS, Profile, decode_profile, encode_profile
from edgewise.records import EventRecord
from hub.ledger.batch import Batch
from hub.ledger.canonical import rebuild
from hub.ledger.ledger import Ledger, open_ledger
from hub.ledger.rows import ContactRow
from hub.rights.retaining import Retained, steps
from hub.rights.retention import Cutoffs, Retention, in_force
from hub.site.files import RetentionFile
from hub.site.kept_retention import keep_retention
from hub.sources.document import Retention as SourceRetention

pytestmark = pytest.mark.usefixtures("either_database")
CRM = Producer("import/crm")
NOWHERE = Path("/nowhere")
"""A data folder without files."""


def run(ledger: Ledger, retention: Retention, *, now_ms: int, dry_run: bool = False) -> Retained:
    retained = Retained()
    for _ in steps(ledger, retention, NOWHERE, retained, now_ms=now_ms, dry_run=dry_run):
        pass
    return retained


def old(seq: int, days: int, **changes: Any) -> EventRecord:
    """An event of so many days ago."""
    return event(seq, time_ms=NOW_MS - days * DAY_MS, received_ms=NOW_MS, **changes)


@mostly_sqlite
@given(ages=st.lists(st.integers(0, 20), min_size=1, max_size=12), limit=st.integers(1, 20))
@settings(max_examples=25)
def test_a_profile_is_what_the_remaining_events_make_of_it(
    tmp_path_factory: pytest.TempPathFactory, ages: list[int], limit: int
) -> None:
    records = [old(seq, days) for seq, days in enumerate(ages)]
    remaining = [record for record, days in zip(records, ages, strict=True) if days <= limit]
    with open_ledger(tmp_path_factory.mktemp("ledger")) as ledger:
        ledger.store([Batch(NODE, payloads(*records))], NOW_MS)
        retention = Retention(site=RetentionFile(events_days=limit))
        planned = run(ledger, retention, now_ms=NOW_MS, dry_run=True)
        assert len(list(ledger.events())) == len(records)
        retained = run(ledger, retention, now_ms=NOW_MS)
        assert retained == planned
        assert retained.events == len(records) - len(remaining)
        assert list(ledger.events_of(SUBJECT)) == remaining
        assert ledger.totals().events == len(remaining)
        row = ledger.profile(SUBJECT)
        assert row is not None
        profile = decode_profile(row.profile)
        assert profile.applied == {NODE: len(records) - 1}  # a node may hold any of them as pending
        profile.applied = fold(Profile(), remaining).applied
        assert encode_profile(profile) == encode_profile(fold(Profile(), remaining))
        with ledger.storage.reading() as connection:
            assert rebuild(connection, SUBJECT) == (row.profile, row.preferences)
        assert run(ledger, retention, now_ms=NOW_MS).total == 0
        ledger.store([Batch(NODE, payloads(*records))], NOW_MS)
        assert list(ledger.events_of(SUBJECT)) == remaining


def test_a_source_s_own_word_holds_for_it(tmp_path: Path) -> None:
    retention = Retention(
        site=RetentionFile(events_days=10),
        sources={"crm": SourceRetention(days=100), "shop": SourceRetention(days=5)},
    )
    with open_ledger(tmp_path) as ledger:
        ledger.store([Batch(NODE, payloads(old(0, 50)))], NOW_MS)
        for name in ("crm", "shop", "other"):
            ledger.append(Producer(f"import/{name}"), [old(0, 50, message=f"{name}-50")], NOW_MS)
        ledger.append(Producer("hook/shop"), [old(0, 8, message="hook-8"), old(1, 3, message="hook-3")], NOW_MS)
        assert run(ledger, retention, now_ms=NOW_MS).events == 4
        assert {record.message_id for _, record in ledger.events()} == {"crm-50", "hook-3"}


@pytest.mark.parametrize("is_old", [False, True])
def test_single_fields_go_and_the_rest_of_the_event_stays(tmp_path: Path, *, is_old: bool) -> None:
    body = json.dumps({"context": {}, "properties": {"phone": "1", "plan": "gold"}}).encode()
    said: dict[str, Any] = {
        "type": "identify",
        "name": "",
        "traits": {"phone": "1", "plan": "gold"},
        "body": body,
        "touches": (),
    }
    retention = Retention(sources={"crm": SourceRetention(fields={"phone": 30})})
    with open_ledger(tmp_path) as ledger:
        ledger.append(CRM, [old(0, 40, message="a", **said), old(1, 20, message="b", **said)], NOW_MS)
        assert _traits(ledger) == {"phone": "1", "plan": "gold"}
        if is_old:
            assert ledger.lake.compact(before_ms=NOW_MS * 2, now_ms=NOW_MS * 2, least_records=1).records == 2
        assert run(ledger, retention, now_ms=NOW_MS).fields == 2
        if is_old:  # what came out of the lake goes back, once it is enough
            assert ledger.lake.compact(before_ms=NOW_MS * 2, now_ms=NOW_MS * 2, least_records=2).records == 0
            assert ledger.lake.compact(before_ms=NOW_MS * 2, now_ms=NOW_MS * 2, least_records=1).records == 1
            assert ledger.lake.compact(before_ms=NOW_MS * 2, now_ms=NOW_MS * 2, least_records=1).records == 0
        first, second = ledger.events_of(SUBJECT)
        assert first.traits == {"plan": "gold"}
        assert json.loads(first.body)["properties"] == {"plan": "gold"}
        assert (second.traits, second.body) == ({"phone": "1", "plan": "gold"}, body)
        assert run(ledger, retention, now_ms=NOW_MS + 20 * DAY_MS).fields == 2
        assert _traits(ledger) == {"plan": "gold"}
        assert run(ledger, retention, now_ms=NOW_MS + 20 * DAY_MS).total == 0


def _traits(ledger: Ledger) -> Mapping[str, object]:
    row = ledger.profile(SUBJECT)
    assert row is not None
    return {name: trait.value for name, trait in decode_profile(row.profile).traits.items()}


def test_a_click_that_is_too_old_takes_what_it_brought_along(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        clicks = [old(1, 9, decision_id=decision_id(0)), old(2, 1, decision_id=decision_id(0))]
        ledger.store([Batch(NODE, payloads(decision(0, number=0), *clicks))], NOW_MS)
        assert run(ledger, Retention(site=RetentionFile(events_days=5)), now_ms=NOW_MS).events == 1
        assert [reward.message_id for reward in ledger.rewards([decision_id(0)])] == [clicks[1].message_id]
        assert ledger.totals().rewards == 1


def test_a_file_that_is_imported_again_brings_nothing_back_that_was_too_old(tmp_path: Path) -> None:
    rows = [old(0, 40, message="a"), old(1, 20, message="b")]
    with open_ledger(tmp_path) as ledger:
        ledger.append(CRM, rows, NOW_MS)
        assert run(ledger, Retention(site=RetentionFile(events_days=30)), now_ms=NOW_MS).events == 1
        stored, known = ledger.append(CRM, rows, NOW_MS)
        assert (stored.counts, known) == ({}, 2)
        run(ledger, Retention(), now_ms=NOW_MS)
        assert ledger.append(CRM, rows, NOW_MS)[0].counts["events"] == 1  # nothing is too old any more


def test_the_vault_forgets_sources_that_are_no_more(tmp_path: Path) -> None:
    moments = {"crm": 40, "gone": 40, "young": 10}
    with open_ledger(tmp_path) as ledger:
        ledger.keep_contacts(
            [ContactRow(name, "k", SUBJECT, {"x": "y"}, NOW_MS - n * DAY_MS) for name, n in moments.items()]
        )
        retention = Retention(site=RetentionFile(contacts_days=30), sources={"crm": SourceRetention(days=100)})
        assert run(ledger, retention, now_ms=NOW_MS).contacts == 1
        assert ledger.contact_sources() == ["crm", "young"]


def test_refused_deliveries_go_by_their_own_age(tmp_path: Path) -> None:
    """Rows are added to their file every day, so it is never old."""
    rejects = tmp_path / "sources" / "rejects" / "shop.csv"
    rejects.parent.mkdir(parents=True)
    head, young = "received,digest,row,value\n", "2023-11-14T00:00:00.000+00:00,d,2,y\n"
    rejects.write_text(f"{head}2023-09-01T00:00:00.000+00:00,d,1,x\n{young}")
    imported = rejects.with_name("crm.csv")
    imported.write_text("row,column,value\n1,phone,x\n")
    for path in (rejects, imported):
        os.utime(path, (NOW_MS / 1_000, NOW_MS / 1_000))
    with open_ledger(tmp_path) as ledger:
        for dry_run in (True, False):
            retained = Retained()
            for _ in steps(ledger, Retention(), tmp_path, retained, now_ms=NOW_MS, dry_run=dry_run):
                pass
            assert (retained.reject_rows, retained.reject_files) == (1, 0)
    assert rejects.read_text() == head + young
    assert imported.exists()


def test_decisions_and_what_came_of_them_go_together(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        shown = [decision(0, number=0, time_ms=NOW_MS - 9 * DAY_MS), decision(1, number=1)]
        clicks = [event(2, decision_id=decision_id(0)), event(3, decision_id=decision_id(1))]
        ledger.store([Batch(NODE, [*payloads(*shown, *clicks), b"nothing of use"])], NOW_MS)
        retention = Retention(site=RetentionFile(decisions_days=5, dead_letters_days=2))
        retained = run(ledger, retention, now_ms=NOW_MS + 3 * DAY_MS)
        assert (retained.decisions, retained.dead_letters, retained.events) == (1, 1, 0)
        assert [record.decision_id for _, record in ledger.decisions()] == [decision_id(1)]
        assert [reward.decision_id for reward in ledger.rewards([decision_id(0), decision_id(1)])] == [decision_id(1)]
        totals = ledger.totals()
        assert (totals.decisions, totals.rewards, totals.dead_letters) == (1, 1, 0)


def test_many_events_are_looked_at_in_bounded_steps(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        ledger.store([Batch(NODE, payloads(*(old(seq, seq % 3) for seq in range(90))))], NOW_MS)
        cutoffs = Cutoffs(Retention(site=RetentionFile(events_days=1)), NOW_MS + 1)
        position: int | None = 0
        seen = []
        while position is not None:
            expired = ledger.expire_events(cutoffs, after_position=position, at_once=7, now_ms=NOW_MS)
            seen.append(expired.events)
            position = expired.position
        assert max(seen) <= 7
        assert sum(seen) == 60
        assert ledger.totals().events == 30


def test_what_is_in_force_is_what_was_applied(tmp_path: Path) -> None:
    assert in_force(tmp_path) == Retention()
    said = RetentionFile(events_days=7)
    assert keep_retention(tmp_path, said)
    assert not keep_retention(tmp_path, said)
    assert in_force(tmp_path) == Retention(site=said)
