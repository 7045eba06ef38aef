"""The bounded aggregates keep the same members in whatever order they were filled."""

import msgspec
import numpy as np
import pytest
from strategies_profile import START_MS, SUBJECT

from edgewise.consent import Grants
from edgewise.ids import ItemId, MessageId, Producer, SubjectId
from edgewise.profile.cart import MAX_CART_OPERATIONS
from edgewise.profile.merge import merge
from edgewise.profile.reduce import apply, fold
from edgewise.profile.sketch import SKETCH_SIZE, hash64
from edgewise.profile.state import (
    MAX_CURRENCIES,
    MAX_IDENTIFIERS,
    MAX_IMPRESSIONS,
    MAX_ITEMS,
    MAX_TRAITS,
    MAX_VALUES,
    Profile,
    decode_profile,
    encode_profile,
)
from edgewise.profile.tickets import MAX_TICKETS
from edgewise.records import EventRecord, Touch


def event(number: int, name: str) -> EventRecord:
    """One event of its own producer, so that any order is allowed."""
    return EventRecord(
        producer=Producer(f"n{number:05}/1/0"),
        seq=0,
        subject=SUBJECT,
        message_id=MessageId(f"m{number}"),
        type="track",
        name=name,
        time_ms=START_MS + (number * 7919) % 1_000,
        received_ms=START_MS + 2_000,
        grants=Grants(personalisation=True),
        touches=(Touch(item=ItemId(f"i{number}"), value_minor=100, dimensions={"category": (f"c{number}",)}),),
        traits={f"t{number}": number},
        currency=f"{number % 40:02}X",
        engaged_ms=10,
        topics=(f"topic-{number}",),
        ticket=f"ticket-{number}",
        identifiers={"userId": SubjectId(f"{number:032x}")},
    )


@pytest.mark.parametrize(
    "name", ["Product Viewed", "Promotion Viewed", "Product Added", "Offline Purchase", "Ticket Opened"]
)
def test_overfull_profiles_are_equal_in_any_order_and_bounded(name: str) -> None:
    events = [event(number, name) for number in range(MAX_ITEMS + 100)]
    shuffled = [events[position] for position in np.random.default_rng(5).permutation(len(events))]
    one, other = fold(Profile(), events), fold(Profile(), shuffled)
    assert encode_profile(one) == encode_profile(other)
    halves = merge(fold(Profile(), shuffled[:300]), fold(Profile(), shuffled[300:]))
    assert encode_profile(halves) == encode_profile(one)
    is_touch = name in {"Product Viewed", "Product Added", "Offline Purchase"}
    assert len(one.items) == (MAX_ITEMS if is_touch else 0)
    assert len(one.distinct_items) == (SKETCH_SIZE if is_touch else 0)
    assert len(one.impressions) == (MAX_IMPRESSIONS if name == "Promotion Viewed" else 0)
    assert len(one.affinity.get("category", {})) == (MAX_VALUES if is_touch else 0)
    assert len(one.topic_ms) == MAX_VALUES
    assert len(one.spent_elsewhere) == (MAX_CURRENCIES if name == "Offline Purchase" else 0)
    assert len(one.cart.operations if one.cart else ()) == (MAX_CART_OPERATIONS if name == "Product Added" else 0)
    assert len(one.desk.tickets if one.desk else ()) == (MAX_TICKETS if name == "Ticket Opened" else 0)
    assert len(one.traits) == MAX_TRAITS
    assert len(one.identifiers["userId"]) == MAX_IDENTIFIERS


def test_orders_beyond_all_reason_are_folded_and_written_as_any_others() -> None:
    """1e11 a line, as often as a sender likes: sums pass 64 bits, and what cannot be written would stop the worker."""
    line = Touch(item=ItemId("i"), value_minor=10_000_000_000_000)
    orders = [
        EventRecord(
            producer=Producer("n/1/0"),
            seq=seq,
            subject=SUBJECT,
            message_id=MessageId(f"m{seq}"),
            type="track",
            name="Order Completed",
            time_ms=START_MS,
            received_ms=START_MS,
            grants=Grants(personalisation=True),
            touches=(line,) * 200,
        )
        for seq in range(4_700)
    ]
    half = fold(Profile(), orders)
    twice = merge(half, half)
    assert decode_profile(encode_profile(twice)) == twice


def test_a_fold_that_cuts_late_leaves_what_cutting_at_every_event_leaves() -> None:
    """More items and impressions than a fold lets grow before it cuts, one event at a time against all at once."""
    events = [
        event(number, name) for number in range(2 * MAX_ITEMS + 50) for name in ("Product Viewed", "Promotion Viewed")
    ]
    events = [
        msgspec.structs.replace(each, seq=seq, producer=Producer("n/1/0"), traits={}, identifiers={})
        for seq, each in enumerate(events)
    ]
    one_by_one = Profile()
    for each in events[-300:]:
        apply(one_by_one, each)
    assert encode_profile(one_by_one) == encode_profile(fold(Profile(), events[-300:]))
    stepwise = fold(Profile(), events[:-40])
    for each in events[-40:]:
        apply(stepwise, each)
    assert encode_profile(stepwise) == encode_profile(fold(Profile(), events))


def test_a_map_that_is_full_keeps_the_values_with_the_smallest_hash_and_whole_counts_of_them() -> None:
    events = [event(number % 700, "Product Viewed") for number in range(1_400)]
    events = [msgspec.structs.replace(each, seq=seq, producer=Producer("n/1/0")) for seq, each in enumerate(events)]
    kept = fold(Profile(), events).affinity["category"]
    assert set(kept) == set(sorted((f"c{number}" for number in range(700)), key=hash64)[:MAX_VALUES])
    assert {sum(weight for _, weight in days) for days in kept.values()} == {2}


def test_a_trait_that_nobody_vouches_for_replaces_none_that_a_source_gave_in_any_order() -> None:
    given, claimed, repeated = (
        msgspec.structs.replace(event(number, "identify"), type="identify", time_ms=START_MS + number, traits=traits)
        for number, traits in enumerate(({"plan": "gold"}, {"plan": "none", "hobby": "tea"}, {"plan": "free"}))
    )
    given = msgspec.structs.replace(given, vouched=True)
    for events in ([given, claimed, repeated], [repeated, claimed, given]):
        profile = fold(Profile(), events)
        assert {name: trait.value for name, trait in profile.traits.items()} == {"plan": "gold", "hobby": "tea"}
        assert merge(fold(Profile(), events[:1]), fold(Profile(), events[1:])) == profile
        assert decode_profile(encode_profile(profile)) == profile
