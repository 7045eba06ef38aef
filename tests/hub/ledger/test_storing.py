"""What the storing transaction promises: each record once, in its producer's order, whatever is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from hub_records import NODE, NOW_MS, decision, decision_id, event, gap, payloads, preference

from edgewise.events import Kind
from edgewise.ids import ItemId, Producer, SubjectId
from edgewise.profile.preferences import decode_preferences
from edgewise.profile.state import decode_profile
from edgewise.records import Touch
from hub.ledger import tables
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger
from hub.ledger.rows import Totals
from hub.ledger.writing import Mark

pytestmark = pytest.mark.usefixtures("either_database")

SUBJECT = SubjectId("5" * 32)
OTHER_NODE = Producer("n-b/1/0")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.of(tmp_path)
    yield opened
    opened.close()


def store(ledger: Ledger, *records: bytes, producer: Producer = NODE) -> Mark:
    return ledger.store([Batch(producer, records)], NOW_MS).marks[0]


def test_a_batch_is_stored_and_sending_it_again_changes_nothing(ledger: Ledger) -> None:
    batch = payloads(event(0), decision(1), preference(2), event(3))
    assert store(ledger, *batch) == Mark(NODE, 3)
    before = ledger.totals(), ledger.profile(SUBJECT), ledger.revision()
    assert store(ledger, *batch) == Mark(NODE, 3)
    assert (ledger.totals(), ledger.profile(SUBJECT), ledger.revision()) == before
    assert before[0] == Totals(
        events=2, decisions=1, preferences=1, rewards=0, duplicates=0, dropped=0, dead_letters=0, profiles=1
    )
    assert [record.seq for record in ledger.events_of(SUBJECT)] == [0, 3]
    stored = ledger.decision(decision_id(1))
    assert stored == decision(1)


def test_records_behind_a_hole_wait_for_what_is_missing(ledger: Ledger) -> None:
    assert store(ledger, *payloads(event(0))) == Mark(NODE, 0)
    assert store(ledger, *payloads(event(2), event(3))) == Mark(NODE, 0, hole=(1, 2))
    assert store(ledger, *payloads(event(1), event(3))) == Mark(NODE, 1, hole=(2, 3))
    assert store(ledger, *payloads(event(1), event(2), event(3))) == Mark(NODE, 3)


def test_an_unknown_producer_begins_at_0_or_with_a_declared_gap(ledger: Ledger) -> None:
    assert store(ledger, *payloads(event(7))) == Mark(NODE, -1, hole=(0, 7))
    assert store(ledger, *payloads(gap(0, 6), event(7))) == Mark(NODE, 7)
    assert [(row.first_seq, row.last_seq, row.count) for row in ledger.gaps()] == [(0, 6, 7)]


def test_a_gap_that_covers_what_had_arrived_counts_only_what_is_lost(ledger: Ledger) -> None:
    store(ledger, *payloads(event(0), event(1), event(2)))
    assert store(ledger, *payloads(gap(1, 5), event(6))) == Mark(NODE, 6)
    assert [(row.first_seq, row.last_seq, row.count) for row in ledger.gaps()] == [(3, 5, 3)]


def test_a_message_sent_to_two_nodes_is_counted_once(ledger: Ledger) -> None:
    store(ledger, *payloads(event(0, message="m-1")))
    stored = ledger.store([Batch(OTHER_NODE, payloads(event(0, producer=OTHER_NODE, message="m-1")))], NOW_MS)
    assert stored.marks == [Mark(OTHER_NODE, 0)]
    row = ledger.profile(SUBJECT)
    assert row is not None
    profile = decode_profile(row.profile)
    assert [count for _, count in profile.counts[Kind.CLICK]] == [1]
    # the other node must learn that its record is in: it would fold it again on top of the snapshot otherwise
    assert profile.applied == {NODE: 0, OTHER_NODE: 0}
    assert SUBJECT in stored.changed
    assert ledger.totals().duplicates == 1


def test_a_message_repeated_inside_one_transaction_is_counted_once(ledger: Ledger) -> None:
    ledger.store(
        [
            Batch(NODE, payloads(event(0, message="m-1"), event(1, message="m-1"))),
            Batch(OTHER_NODE, payloads(event(0, producer=OTHER_NODE, message="m-1"))),
        ],
        NOW_MS,
    )
    assert (ledger.totals().events, ledger.totals().duplicates) == (1, 2)


def test_preferences_are_folded_apart_from_the_profile(ledger: Ledger) -> None:
    store(ledger, *payloads(preference(0, dial=0)))
    row = ledger.profile(SUBJECT)
    assert row is not None
    assert decode_preferences(row.preferences).dial.value == 0
    assert decode_profile(row.profile).applied == {}


def test_what_may_not_be_tied_to_a_person_moves_no_profile(ledger: Ledger) -> None:
    stored = ledger.store([Batch(NODE, payloads(event(0, subject=SubjectId("")), decision(1, dry_run=True)))], NOW_MS)
    assert stored.changed == frozenset()
    assert ledger.totals().profiles == 0


def test_outcomes_are_joined_by_decision_and_item(ledger: Ledger) -> None:
    shown = decision_id(1)
    bought = (Touch(ItemId("a"), quantity=2, value_minor=500), Touch(ItemId("a"), value_minor=100), Touch(ItemId("b")))
    store(
        ledger,
        *payloads(
            decision(0, number=1),
            event(1, decision_id=shown, touches=(Touch(ItemId("a")),)),
            event(2, decision_id=shown, name="Order Completed", touches=bought),
            event(3, decision_id=shown, name="Promotion Viewed"),
            event(4, decision_id=shown, name="Product Reviewed", touches=(Touch(ItemId("a"), rating=4.5),)),
        ),
    )
    rewards = [(reward.item, reward.kind, reward.value) for reward in ledger.rewards([shown])]
    assert sorted(rewards) == [("a", "click", 1), ("a", "order", 1_100), ("a", "review", 4.5), ("b", "order", 0)]


def test_the_transaction_is_whole_or_nothing(ledger: Ledger) -> None:
    store(ledger, *payloads(event(0)))

    def crash() -> None:
        with ledger.storage.writing() as connection:
            connection.exec_driver_sql("DELETE FROM events")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crash()
    assert ledger.totals().events == len(list(ledger.events())) == 1


def test_erasing_a_subject_leaves_its_numbers_taken(ledger: Ledger) -> None:
    shown = decision_id(1)
    store(ledger, *payloads(decision(0, number=1), event(1, decision_id=shown), preference(2)))
    assert ledger.erase(SUBJECT, NOW_MS) == {
        "rewards": 1,
        "events": 1,
        "decisions": 1,
        "preferences": 1,
        "profiles": 1,
    }
    assert ledger.totals() == Totals(*[0] * 8)
    assert ledger.erased([SUBJECT, SubjectId("6" * 32)]) == {SUBJECT: NOW_MS}
    assert store(ledger, *payloads(event(1), event(2), event(3))) == Mark(NODE, 3)
    assert [record.seq for record in ledger.events_of(SUBJECT)] == [3]


def test_decisions_come_back_in_the_order_of_storing(ledger: Ledger) -> None:
    store(ledger, *payloads(*(decision(seq, number=10 - seq) for seq in range(5))))
    listed = list(ledger.decisions())
    assert [record.seq for _, record in listed] == [0, 1, 2, 3, 4]
    assert [record.seq for _, record in ledger.decisions(after_position=listed[2][0])] == [3, 4]
    assert [record.seq for _, record in ledger.decisions(since_ms=NOW_MS + 1_000, until_ms=NOW_MS + 3_000)] == [1, 2]


def test_records_of_a_subject_stop_where_the_sequence_vector_stops(ledger: Ledger) -> None:
    store(ledger, *payloads(event(0), preference(1), decision(2), event(3)))
    assert [record.seq for record in ledger.records_of(SUBJECT)] == [0, 1, 2, 3]
    assert [record.seq for record in ledger.records_of(SUBJECT, {NODE: 2})] == [0, 1, 2]
    assert ledger.records_of(SUBJECT, {}) == []


def test_events_without_a_number_continue_their_producer(ledger: Ledger) -> None:
    name = Producer("import/history")
    first, known = ledger.append(name, [event(0, message="a"), event(0, message="b"), event(0, message="a")], NOW_MS)
    assert (first.marks, known) == ([Mark(name, 1)], 1)
    again, known = ledger.append(name, [event(0, message="b"), event(0, message="a")], NOW_MS)
    assert (again.marks, known, again.changed) == ([Mark(name, 1)], 2, frozenset())
    more, known = ledger.append(name, [event(0, message="b"), event(0, message="c")], NOW_MS)
    assert (more.marks, known) == ([Mark(name, 2)], 1)
    assert [(record.producer, record.seq) for record in ledger.events_of(SUBJECT)] == [(name, 0), (name, 1), (name, 2)]


@pytest.mark.parametrize(
    "damage", [b"\xc1", msgspec.msgpack.encode({"format": 99}), b"\x81\xa7applied\x81\xa1\x80\x01"]
)
def test_a_damaged_profile_is_rebuilt_from_the_records(ledger: Ledger, damage: bytes) -> None:
    store(ledger, *payloads(event(0), decision(1), preference(2), event(3)))
    store(ledger, *payloads(event(0, producer=OTHER_NODE, message=f"{NODE}:3")), producer=OTHER_NODE)
    sound = ledger.profile(SUBJECT)
    assert sound is not None
    with ledger.storage.writing() as connection:
        connection.execute(sa.update(tables.profiles).values(profile=damage, preferences=damage))
    store(ledger, *payloads(event(4, grants=msgspec.structs.replace(event(4).grants, personalisation=False))))
    store(ledger, *payloads(event(5)))
    repaired = ledger.profile(SUBJECT)
    assert repaired is not None
    folded = decode_profile(repaired.profile)
    assert [count for _, count in folded.counts[Kind.CLICK]] == [3]
    assert folded.applied == {NODE: 5, OTHER_NODE: 0}
    assert repaired.preferences == sound.preferences
