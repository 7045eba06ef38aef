"""The bounded aggregates keep the same members in whatever order they were filled."""

import numpy as np
import pytest
from strategies_profile import START_MS, SUBJECT

from edgewise.consent import Grants
from edgewise.ids import ItemId, MessageId, Producer, SubjectId
from edgewise.profile.merge import merge
from edgewise.profile.reduce import fold
from edgewise.profile.state import (
    MAX_IDENTIFIERS,
    MAX_IMPRESSIONS,
    MAX_ITEMS,
    MAX_TRAITS,
    MAX_VALUES,
    Profile,
    decode_profile,
    encode_profile,
)
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
        touches=(Touch(item=ItemId(f"i{number}"), dimensions={"category": (f"c{number}",)}),),
        traits={f"t{number}": number},
        identifiers={"userId": SubjectId(f"{number:032x}")},
    )


@pytest.mark.parametrize("name", ["Product Viewed", "Promotion Viewed"])
def test_overfull_profiles_are_equal_in_any_order_and_bounded(name: str) -> None:
    events = [event(number, name) for number in range(MAX_ITEMS + 100)]
    shuffled = [events[position] for position in np.random.default_rng(5).permutation(len(events))]
    one, other = fold(Profile(), events), fold(Profile(), shuffled)
    assert encode_profile(one) == encode_profile(other)
    halves = merge(fold(Profile(), shuffled[:300]), fold(Profile(), shuffled[300:]))
    assert encode_profile(halves) == encode_profile(one)
    assert len(one.items) == (MAX_ITEMS if name == "Product Viewed" else 0)
    assert len(one.impressions) == (MAX_IMPRESSIONS if name == "Promotion Viewed" else 0)
    assert len(one.affinity.get("category", {})) == (MAX_VALUES if name == "Product Viewed" else 0)
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
