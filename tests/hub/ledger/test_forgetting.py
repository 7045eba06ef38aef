"""Erasing people from the ledger: everywhere, for good, and nobody else; what comes too late stays out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hub_records import NODE, NOW_MS, decision, decision_id, event, payloads, preference

from edgewise.consent import Consent, ConsentState
from edgewise.ids import Producer, SubjectId
from edgewise.profile.preferences import decode_preferences
from edgewise.profile.reduce import fold
from edgewise.profile.state import Profile, decode_profile, encode_profile
from edgewise.records import Record, encode_record
from hub.ledger import tables
from hub.ledger.batch import Batch
from hub.ledger.canonical import rebuild
from hub.ledger.forgetting import KEPT, erase, personal_tables
from hub.ledger.ledger import Ledger, open_ledger
from hub.ledger.rows import AuditEntry, Change
from hub.ledger.storing import ERASED_LANE
from hub.ledger.suppression import SuppressionList

pytestmark = pytest.mark.usefixtures("either_database")
ANN, MAIL, DEVICE, BO = (SubjectId(digit * 32) for digit in "abcd")
IMPERSONAL = {
    "code_denials",
    "code_keys",
    "code_leases",
    "code_promotions",
    "code_redemptions",  # numbers of codes; who redeemed them stands in code_holders
    "code_revocations",
    "counters",
    "fact_moments",
    "fact_sheets",
    "facts",
    "gaps",  # numbers without a record
    "identity_rules",
    "journey_switches",
    "learning_leases",
    "learning_steps",
    "learning_switches",
    "learning_turns",
    "models",
    "node_erasures",
    "nodes",
    "partitions",
    "producers",
    "ramp_steps",
    "releases",
    "source_runs",
}
FOUND_OTHERWISE = {"dead_letters", "rewards"}
"""By their payload, by their decision."""
OTHER_NODE = Producer("n-b/1/0")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as opened:
        yield opened


def store(ledger: Ledger, *records: Record | bytes, name: Producer = NODE) -> None:
    sent = [record if isinstance(record, bytes) else encode_record(record) for record in records]
    ledger.store([Batch(name, sent)], NOW_MS)


def into_the_lake(ledger: Ledger) -> None:
    """Every record becomes an old one, whose content lies in a Parquet file."""
    moved = ledger.lake.compact(before_ms=NOW_MS + 10**9, now_ms=NOW_MS + 10**9, least_records=1)
    assert moved.records


def rows(ledger: Ledger) -> dict[str, list[Any]]:
    """Every row of every table, to be compared."""
    with ledger.storage.reading() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(sa.select(table))))
            for table in tables.metadata.sorted_tables
        }


def test_every_table_is_known_to_hold_people_or_not_to() -> None:
    """Whoever adds a table says so: by a column that names a subject, or here."""
    personal = {table.name for table, _ in personal_tables()}
    assert personal | KEPT | FOUND_OTHERWISE | IMPERSONAL == set(tables.metadata.tables)
    assert not IMPERSONAL & (personal | KEPT)


def test_a_person_goes_from_every_table_and_his_neighbour_stays(ledger: Ledger, tmp_path: Path) -> None:
    known = {"anonymousId": ANN, "email": MAIL}
    store(
        ledger,
        event(0, subject=ANN, identifiers=known),
        decision(1, subject=ANN, number=1),
        event(2, subject=BO, decision_id=decision_id(9)),
        event(3, subject=ANN, decision_id=decision_id(1)),
        preference(4, subject=ANN),
        event(5, subject=ANN, message=f"{NODE}:0"),
        b"damaged, and it names " + ANN.encode(),
        b"damaged, and it names " + BO.encode(),
    )
    ledger.record(AuditEntry("officer", "profile merge", ANN, {"with": MAIL}), NOW_MS)
    before = rows(ledger)
    members = ledger.members_of(ANN)
    assert members == (ANN, MAIL)
    preview = ledger.erasable(members)
    assert rows(ledger) == before
    listed = SuppressionList(tmp_path)
    entry = listed.append(members, time_ms=NOW_MS + 10_000)
    gone = ledger.follow(listed)[entry.number]
    assert gone == preview
    assert {name: removed.rows for name, removed in gone.items()} == {
        "audit": 1,
        "dead_letters": 1,
        "decisions": 1,
        "duplicates": 1,
        "events": 2,
        "links": 1,
        "persons": 2,
        "preferences": 1,
        "profiles": 1,
        "rewards": 1,
    }
    after = rows(ledger)
    left = {name: found for name, found in after.items() if name not in {"erasures", "audit"}}
    assert not [row for found in left.values() for row in found if ANN in row or MAIL in row]
    assert [record.seq for record in ledger.events_of(BO)] == [2]
    assert ledger.erased([ANN, MAIL, BO]) == {ANN: NOW_MS + 10_000, MAIL: NOW_MS + 10_000}
    assert ledger.stored_seq(NODE) == 7
    assert ledger.audit(what=["profile merge"])[0].subject == "erased"


@pytest.mark.parametrize("is_old", [False, True])
def test_what_he_did_on_a_shared_device_goes_and_its_profile_is_folded_anew(ledger: Ledger, *, is_old: bool) -> None:
    """The device joins nobody, because two users were seen on it; his visits on it name him all the same."""
    his = event(0, subject=DEVICE, identifiers={"anonymousId": DEVICE, "userId": ANN})
    theirs = event(1, subject=DEVICE, identifiers={"anonymousId": DEVICE, "userId": BO})
    nobodys = event(2, subject=DEVICE)
    store(ledger, his, theirs, nobodys)
    assert ledger.members_of(ANN) == (ANN,)
    if is_old:
        into_the_lake(ledger)
    ledger.erase(ANN, NOW_MS)
    assert [record.seq for record in ledger.events_of(DEVICE)] == [1, 2]
    assert sum(partition.records for partition in ledger.lake.partitions()) == (2 if is_old else 0)
    row = ledger.profile(DEVICE)
    assert row is not None
    assert row.profile == encode_profile(fold(Profile(), [theirs, nobodys]))


@pytest.mark.parametrize("is_old", [False, True])
def test_two_users_share_a_phone_and_only_one_of_them_goes(ledger: Ledger, *, is_old: bool) -> None:
    """What Bo did is his, whatever number he gave; only the number of her whom it names goes."""
    phone = MAIL
    known = {"userId": BO, "phone": phone}
    hers, his = (event(seq, subject=who, identifiers={**known, "userId": who}) for seq, who in enumerate((ANN, BO)))
    on_a_device = event(2, subject=DEVICE, identifiers={**known, "anonymousId": DEVICE})
    store(ledger, hers, his, on_a_device)
    if is_old:
        into_the_lake(ledger)
    with ledger.storage.writing() as connection:
        erase(connection, [ANN, phone], NOW_MS + 10_000, forever=False, keeps_later=False)
    ledger.scrub()
    late = event(3, subject=BO, identifiers=known)
    store(ledger, late, preference(4, subject=BO))
    ledger.append(Producer("import/crm"), [event(0, subject=BO, identifiers=known)], NOW_MS)
    assert ledger.erased([ANN, BO, DEVICE, phone]) == dict.fromkeys((ANN, phone), NOW_MS + 10_000)
    assert [record.identifiers for record in ledger.events_of(BO)] == [{"userId": BO}] * 3
    assert [record.identifiers for record in ledger.events_of(DEVICE)] == [{"userId": BO, "anonymousId": DEVICE}]
    row = ledger.profile(BO)
    assert row is not None
    left = [msgspec.structs.replace(each, identifiers={"userId": BO}) for each in (his, late)]
    imported = event(0, subject=BO, identifiers={"userId": BO}, producer=Producer("import/crm"))
    assert row.profile == encode_profile(fold(Profile(), [*left, imported]))
    assert ledger.members_of(BO) == tuple(sorted((BO, DEVICE)))
    found = rows(ledger)
    kept = {name: each for name, each in found.items() if name not in KEPT}
    assert not [row for some in kept.values() for row in some if phone in row]
    for path in ledger.storage.shelf.folder.rglob("*.parquet"):
        assert phone not in str(pq.read_table(path).to_pylist())


def test_erasing_a_crowded_address_harms_none_of_the_crowd(ledger: Ledger) -> None:
    """Hundreds write `info@`; it is nobody's, and none of them is erased with it, now or when he is seen again."""
    crowd = [SubjectId(f"{number:032x}") for number in range(300)]
    store(
        ledger, *(event(seq, subject=who, identifiers={"userId": who, "email": MAIL}) for seq, who in enumerate(crowd))
    )
    ledger.erase(MAIL, NOW_MS + 10**9)
    assert [len(list(ledger.events_of(who))) for who in crowd] == [1] * 300
    store(ledger, *(event(300 + seq, subject=who, identifiers={"email": MAIL}) for seq, who in enumerate(crowd)))
    assert [[each.identifiers for each in ledger.events_of(who)] for who in crowd] == [
        [{"userId": who}, {}] for who in crowd
    ]
    assert ledger.erased(crowd) == {}


def test_a_denial_counts_that_somebody_gave_before_his_address_was_erased(ledger: Ledger) -> None:
    """Consent must not fail open: who is named beside the erased is not erased."""
    ledger.erase(MAIL, NOW_MS + 10_000)
    store(ledger, event(0, subject=DEVICE, identifiers={"anonymousId": DEVICE, "email": MAIL}))
    denied = Consent(personalisation=ConsentState.DENIED)
    store(ledger, preference(1, subject=DEVICE, dial=None, consent=denied))
    row = ledger.profile(DEVICE)
    assert row is not None
    assert decode_preferences(row.preferences).stored_consent.personalisation is ConsentState.DENIED


def test_a_record_that_comes_too_late_takes_its_number_and_nothing_else(ledger: Ledger) -> None:
    ledger.erase(ANN, NOW_MS + 5_000)
    old, new = event(0, subject=ANN), event(9, subject=ANN, producer=OTHER_NODE)
    by_mail = event(1, subject=DEVICE, identifiers={"anonymousId": DEVICE, "email": ANN})
    store(ledger, old, by_mail, decision(2, subject=ANN), preference(3, subject=ANN))
    assert ledger.stored_seq(NODE) == 3
    assert [(gap.first_seq, gap.lane) for gap in ledger.gaps()] == [(seq, ERASED_LANE) for seq in range(4)]
    assert list(ledger.events()) == []
    assert ledger.profile(ANN) is None
    device = ledger.profile(DEVICE)
    assert device is not None
    assert decode_profile(device.profile).applied == {NODE: 1}  # its node has the visit pending
    assert encode_profile(decode_profile(device.profile)) == encode_profile(Profile(applied={NODE: 1}))
    assert ledger.erased([DEVICE]) == {}
    revision = ledger.revision()
    store(ledger, *(event(seq, subject=ANN, producer=OTHER_NODE) for seq in range(9)), new, name=OTHER_NODE)
    assert [record.seq for record in ledger.events_of(ANN)] == [6, 7, 8, 9]  # who comes back begins anew
    assert ledger.revision() > revision


def test_old_records_go_out_of_their_files_as_well(ledger: Ledger, tmp_path: Path) -> None:
    store(ledger, event(0, subject=ANN, body=b"her-secret"), event(1, subject=BO), event(2, subject=ANN))
    into_the_lake(ledger)
    listed = SuppressionList(tmp_path)
    entry = listed.append([ANN], time_ms=NOW_MS + 10_000)
    gone = ledger.follow(listed)[entry.number]
    assert (gone["events"].rows, gone["lake"].rows, gone["lake"].files) == (2, 2, 1)
    (partition,) = ledger.lake.partitions()
    assert (partition.records, partition.is_stale) == (1, False)
    assert [record.seq for record in ledger.events_of(BO)] == [1]
    for path in ledger.storage.shelf.folder.rglob("*.parquet"):
        assert ANN not in str(pq.read_table(path).to_pylist())


def test_nodes_that_hold_a_late_record_are_told_once_more(ledger: Ledger) -> None:
    ledger.erase(ANN, NOW_MS + 5_000)
    told = ledger.changed_since(ledger.changed_since(_first())[-1])
    assert told == []
    stored = ledger.store([Batch(NODE, payloads(event(0, subject=ANN)))], NOW_MS)
    assert stored.changed == {ANN}
    assert [change.subject for change in ledger.changed_since(_first())] == [ANN]
    assert ledger.changed_since(_first())[0].revision == stored.revision


def test_a_late_record_of_somebody_who_has_come_back_moves_his_profile_past_it(ledger: Ledger) -> None:
    """His node has it pending; the next snapshot must contain it, or it would count there for ever."""
    ledger.erase(ANN, NOW_MS + 5_000)
    back = event(0, subject=ANN, producer=OTHER_NODE, time_ms=NOW_MS + 6_000)
    store(ledger, back, name=OTHER_NODE)
    stored = ledger.store([Batch(NODE, payloads(event(0, subject=ANN)))], NOW_MS)
    assert stored.changed == {ANN}
    row = ledger.profile(ANN)
    assert row is not None
    assert row.revision == stored.revision
    profile = decode_profile(row.profile)
    assert profile.applied == {NODE: 0, OTHER_NODE: 0}
    profile.applied.pop(NODE)
    assert encode_profile(profile) == encode_profile(fold(Profile(), [back]))
    with ledger.storage.reading() as connection:
        assert rebuild(connection, ANN) == (row.profile, row.preferences)


def test_for_ever_keeps_nothing_that_happens_later_either(ledger: Ledger, tmp_path: Path) -> None:
    listed = SuppressionList(tmp_path)
    listed.append([ANN], time_ms=NOW_MS, forever=True)
    ledger.follow(listed)
    store(ledger, event(0, subject=ANN, time_ms=NOW_MS + 10**9))
    assert list(ledger.events()) == []
    imported, known = ledger.append(Producer("import/crm"), [event(0, subject=ANN, time_ms=NOW_MS + 10**9)], NOW_MS)
    assert (imported.counts, known) == ({}, 1)


@pytest.mark.parametrize("is_old", [False, True])
def test_what_a_visitor_did_after_he_asked_stays(ledger: Ledger, tmp_path: Path, *, is_old: bool) -> None:
    """The node was away when he asked, and he has come back before the hub heard of it."""
    before = event(0, subject=ANN, identifiers={"anonymousId": ANN, "email": MAIL})
    after = event(9, subject=ANN)
    store(ledger, before, *(event(seq, subject=BO) for seq in range(1, 9)), after)
    if is_old:
        into_the_lake(ledger)
    listed = SuppressionList(tmp_path)
    listed.append([ANN, MAIL], time_ms=NOW_MS + 5_000, keeps_later=True)
    ledger.follow(listed)
    assert [record.seq for record in ledger.events_of(ANN)] == [9]
    row = ledger.profile(ANN)
    assert row is not None
    assert row.profile == encode_profile(fold(Profile(), [after]))
    assert ledger.members_of(ANN) == (ANN,)
    assert decode_profile(row.profile).applied == {NODE: 9}


def _first() -> Change:
    return Change(0, SubjectId(""))
