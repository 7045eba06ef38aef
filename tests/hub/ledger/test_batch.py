"""Payloads in their producer's order: where numbers are missing or wrong, and what cannot be stored at all."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hub_records import NODE, decision, event, gap, payloads, preference
from hypothesis import given
from hypothesis import strategies as st

from edgewise.ids import ItemId, MessageId, NodeId, PlacementName, Producer, SubjectId
from edgewise.records import EventRecord, Touch
from hub.ledger.batch import (
    MOST_GAP,
    MOST_MINOR,
    Batch,
    fault_in_words,
    fault_of,
    follow,
    node_batch,
    number_from,
    parts_of,
    place,
)

GARBAGE = b"\xc1"


def numbers(*sent: bytes) -> list[tuple[int | None, int | None]]:
    return [(one.first_seq, one.last_seq) for one in place(Batch(NODE, sent))]


def test_records_tell_their_numbers_and_gaps_tell_two() -> None:
    assert numbers(*payloads(event(4), gap(5, 8), decision(9))) == [(4, 4), (5, 8), (9, 9)]


def test_a_payload_without_a_number_gets_it_from_its_neighbours() -> None:
    assert numbers(GARBAGE, GARBAGE, *payloads(event(7))) == [(5, 5), (6, 6), (7, 7)]
    assert numbers(*payloads(gap(2, 6)), GARBAGE, GARBAGE) == [(2, 6), (7, 7), (8, 8)]
    assert numbers(GARBAGE, GARBAGE) == [(None, None)] * 2
    assert [one.first_seq for one in number_from(place(Batch(NODE, [GARBAGE, GARBAGE])), 3)] == [3, 4]


def test_a_record_of_another_producer_is_a_dead_letter_in_its_place() -> None:
    stranger = event(9, producer=Producer("n-b/1/0"))
    placed = place(Batch(NODE, payloads(event(4), stranger, event(6))))
    assert [(one.first_seq, one.record is None) for one in placed] == [(4, False), (5, True), (6, False)]
    assert "n-b/1/0" in placed[1].fault


def test_a_record_with_a_wrong_field_still_tells_its_number() -> None:
    [one] = place(Batch(NODE, [payloads(event(4))[0].replace(b"track", b"\xa0rack")]))
    assert (one.first_seq, one.record) == (4, None)


def test_an_unreadable_gap_covers_what_is_missing_before_it() -> None:
    broken = payloads(gap(2, 6))[0].replace(b"impression", b"impress\xffon")
    followed = follow(place(Batch(NODE, [*payloads(event(0), event(1)), broken, *payloads(event(7))])), mark=-1)
    assert [(one.first_seq, one.last_seq) for one in followed.accepted] == [(0, 0), (1, 1), (2, 6), (7, 7)]
    assert followed.mark == 7


@pytest.mark.parametrize(
    ("seqs", "mark", "dead", "after", "hole"),
    [
        pytest.param([3, 4, 5], 2, [], 5, None, id="what follows"),
        pytest.param([1, 2, 3], 2, [], 3, None, id="sent again"),
        pytest.param([1, 2], 5, [], 5, None, id="all of it sent again"),
        pytest.param([4, 5], 2, [], 2, (3, 4), id="a hole before it"),
        pytest.param([3, 5], 2, [], 3, (4, 5), id="a hole at its end"),
        pytest.param([3, 5, 6], 2, [], 3, (4, 5), id="a hole in it"),
        pytest.param([3, 90, 5], 2, [4], 5, None, id="a number too high"),
        pytest.param([90, 4, 5], 2, [3], 5, None, id="a first number too high"),
        pytest.param([3, 1, 5], 2, [4], 5, None, id="a number too low"),
        pytest.param([0, 4, 5], 2, [3], 5, None, id="a first number too low"),
    ],
)
def test_one_number_out_of_its_place_is_wrong_and_a_missing_one_is_missing(
    seqs: list[int], mark: int, dead: list[int], after: int, hole: tuple[int, int] | None
) -> None:
    followed = follow(place(Batch(NODE, payloads(*map(event, seqs)))), mark)
    assert [one.first_seq for one in followed.accepted if one.record is None] == dead
    assert [one.first_seq for one in followed.accepted] == list(range(mark + 1, after + 1))
    assert (followed.mark, followed.hole) == (after, hole)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"seq": -1}, "seq -1"),
        ({"seq": 2**62}, "seq 4611686018427387904"),
        ({"message_id": MessageId("")}, "empty message id"),
        ({"message_id": MessageId("m" * 513)}, "513 characters"),
        ({"name": "a\0b"}, "NUL"),
        ({"placement": PlacementName("\0")}, "NUL"),
        ({"time_ms": -1}, "time -1 ms"),
        ({"received_ms": 2**48}, "time 281474976710656 ms"),
        ({"touches": (Touch(ItemId("a\0")),)}, "NUL"),
        ({"touches": (Touch(ItemId("a"), quantity=2, value_minor=MOST_MINOR),)}, "$.touches[0]"),
        ({"touches": (Touch(ItemId("a"), rating=math.nan),)}, "rating nan"),
        ({"touches": (Touch(ItemId("a"), quantity=2**63),)}, "$.touches[0]"),
        ({"touches": (Touch(ItemId("a"), listed_minor=MOST_MINOR + 1),)}, "$.touches[0]"),
        ({"engaged_ms": -1}, "$.engaged_ms"),
        ({"engaged_ms": 3_600_001}, "$.engaged_ms"),
        ({"mood": math.nan}, "$.mood"),
        ({"currency": "euro"}, "$.currency"),
        ({"ticket": "t\0"}, "NUL"),
        ({"topics": ("x" * 513,)}, "513 characters"),
        ({"identifiers": {"userId": SubjectId("\0")}}, "NUL"),
        ({"identifiers": {"k" * 513: SubjectId("u")}}, "513 characters"),
        ({"touches": (Touch(ItemId("a"), rating=math.inf),)}, "rating inf"),
    ],
)
def test_what_a_database_cannot_hold_is_named(changes: dict[str, Any], fault: str) -> None:
    assert fault in fault_of(msgspec.structs.replace(event(0), **changes))


def test_other_records_have_bounds_too() -> None:
    assert "empty decision id" in fault_of(decision(0, decision_id=""))
    assert "bundle version" in fault_of(decision(0, bundle_version=2**62))
    assert "NUL" in fault_of(preference(0, subject=SubjectId("\0")))
    assert "a gap of 1 records, 5 to 4" in fault_of(gap(5, 5).__class__(NODE, 5, 4, "debug", 1))
    assert not any(fault_of(record) for record in (event(0), decision(1), preference(2), gap(3, 4)))


@pytest.mark.parametrize("mark", [-1, 41])
def test_a_gap_longer_than_any_true_one_takes_one_number(mark: int) -> None:
    first = mark + 1
    for begin in {0, first}:
        last = first + MOST_GAP
        too_long, after = gap(begin, last), event(first + 1)
        followed = follow(place(Batch(NODE, payloads(too_long, after))), mark)
        assert [(one.first_seq, one.last_seq, one.record) for one in followed.accepted] == [
            (first, first, None),
            (first + 1, first + 1, after),
        ]
        assert f"a gap up to {last}, expected at most {MOST_GAP} numbers" in followed.accepted[0].fault
        followed = follow(place(Batch(NODE, payloads(gap(begin, last - 1)))), mark)
        assert (followed.mark, followed.accepted[0].fault) == (last - 1, ""), "the longest true one"


def test_an_unreadable_gap_longer_than_any_true_one_takes_one_number() -> None:
    broken = payloads(gap(2, 2**61))[0].replace(b"impression", b"impress\xffon")
    followed = follow(place(Batch(NODE, [*payloads(event(0), event(1)), broken])), mark=-1)
    assert [(one.first_seq, one.last_seq) for one in followed.accepted] == [(0, 0), (1, 1), (2, 2)]


def test_a_gap_counts_no_more_than_it_spans() -> None:
    """The sum of counts is kept in 64 bits."""
    assert "a gap of 3 records, 3 to 4" in fault_of(msgspec.structs.replace(gap(3, 4), count=3))


def test_a_producer_is_a_node_or_an_import() -> None:
    assert node_batch(NodeId("n-a"), 3, 1, []).producer == "n-a/3/1"
    assert parts_of(Producer("n-a/3/1")) == ("n-a", 3, 1)
    assert parts_of(Producer("import/history")) == ("import", None, None)


@given(
    text=st.text(max_size=3) | st.sampled_from(["", "\0", "x" * 512, "x" * 513]),
    number=st.sampled_from([0, 1, -1, 10**5, 10**8, 10**13, 2**47, 2**48, 2**62 - 1, 2**62, 2**63 - 1]),
    where=st.sampled_from(["subject", "message", "type", "name", "decision_id", "placement", "item", "none"]),
    which=st.sampled_from(["seq", "time_ms", "received_ms", "value_minor", "quantity", "none"]),
    rating=st.none() | st.floats(),
)
def test_the_quick_look_at_an_event_passes_nothing_that_the_whole_look_refuses(
    text: str, number: int, where: str, which: str, rating: float | None
) -> None:
    touched: dict[str, Any] = {which: number} if which in {"value_minor", "quantity"} else {}
    touch = Touch(ItemId(text if where == "item" else "film-1"), rating=rating, **touched)
    changes: dict[str, Any] = {"touches": (touch,)}
    if where not in {"item", "none"}:
        changes["message_id" if where == "message" else where] = text
    if which in {"seq", "time_ms", "received_ms"}:
        changes[which] = number
    record = msgspec.structs.replace(event(3), **changes)
    assert fault_of(record) == fault_in_words(record)


def test_the_quick_look_knows_every_field_of_an_event() -> None:
    """Whoever adds a field decides whether `batch._is_plain` must look at it, and then names it here."""
    free = {"producer", "grants", "traits", "body", "vouched"}  # compared, enumerated, or without a bound of their own
    looked_at = {"seq", "subject", "message_id", "type", "name", "time_ms", "received_ms", "touches", "decision_id"}
    looked_at |= {"placement", "identifiers", "currency", "engaged_ms", "topics", "ticket", "mood"}
    assert set(EventRecord.__struct_fields__) == free | looked_at
    assert set(Touch.__struct_fields__) == {"item", "quantity", "value_minor", "listed_minor", "rating", "dimensions"}
