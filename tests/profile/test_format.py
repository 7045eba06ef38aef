"""Profiles of an older format, byte for byte as it was written, are read and go on."""

from pathlib import Path

import msgspec
import pytest
from strategies_profile import SUBJECT

from edgewise.consent import Grants
from edgewise.events import Kind
from edgewise.ids import ItemId, MessageId, Producer, SubjectId
from edgewise.profile.merge import merge
from edgewise.profile.reduce import fold
from edgewise.profile.sketch import hash64
from edgewise.profile.state import (
    FORMAT,
    MAX_VALUES,
    Impression,
    LastTouch,
    Orders,
    Profile,
    Trait,
    decode_profile,
    encode_profile,
)
from edgewise.records import EventRecord, Touch

FORMAT_1 = Path(__file__).with_name("format_1.msgpack").read_bytes()
START_MS = 1_700_000_000_000
DAY_MS = 86_400_000
NODE = Producer("n1/1/0")


def test_a_profile_of_format_1_is_brought_up_with_all_that_it_held() -> None:
    profile = decode_profile(FORMAT_1)
    assert msgspec.msgpack.decode(FORMAT_1)["format"] == 1
    assert profile == Profile(
        format=FORMAT,
        applied={NODE: 6},
        first_ms=START_MS,
        last_ms=START_MS + 4 * DAY_MS,
        seen_ms=START_MS + 4 * DAY_MS,
        counts={
            Kind.PAGE: [(19675, 1)],
            Kind.VIEW: [(19675, 1)],
            Kind.ORDER: [(19676, 1), (19678, 1)],
            Kind.IMPRESSION: [(19678, 1)],
            Kind.OTHER: [(19678, 1)],
            Kind.REVIEW: [(19679, 1)],
        },
        affinity={
            "category": {"drinks": [(19675, 1), (19676, 8), (19678, 8), (19679, 4)]},
            "brand": {"x": [(19675, 1), (19676, 8), (19678, 8)]},
        },
        items={ItemId("tea"): LastTouch(START_MS + 4 * DAY_MS, Kind.REVIEW, 4.0)},
        impressions=[Impression(START_MS + 3 * DAY_MS + 5, NODE, 4, ItemId("mug"))],
        spent_minor=[(19676, 900), (19678, 900)],
        traits={"plan": Trait(START_MS + 3 * DAY_MS + 9, NODE, 5, "gold")},
        identifiers={"userId": [SubjectId("a" * 32)]},
        orders=Orders(19676 * DAY_MS, 19678 * DAY_MS, 2),
    )


def test_it_goes_on_as_a_profile_of_this_format_and_merges_with_one() -> None:
    order = EventRecord(
        producer=NODE,
        seq=7,
        subject=SUBJECT,
        message_id=MessageId("m7"),
        type="track",
        name="Order Completed",
        time_ms=START_MS + 5 * DAY_MS,
        received_ms=START_MS + 5 * DAY_MS,
        grants=Grants(personalisation=True),
        touches=(Touch(ItemId("mug"), value_minor=700),),
    )
    profile = fold(decode_profile(FORMAT_1), [order])
    assert (profile.orders.count, profile.orders.last_ms) == (3, START_MS + 5 * DAY_MS)
    assert decode_profile(encode_profile(profile)) == profile
    assert encode_profile(merge(decode_profile(FORMAT_1), Profile())) == encode_profile(decode_profile(FORMAT_1))


def test_a_full_map_of_format_1_goes_on_with_the_same_choice() -> None:
    names = sorted((f"c{number}" for number in range(700)), key=hash64)
    old = {"format": 1, "affinity": {"category": {name: [[19675, 1]] for name in names[:MAX_VALUES]}}}
    profile = decode_profile(msgspec.msgpack.encode(old))
    assert profile.bars == {"category": names[MAX_VALUES - 1]}


def test_the_format_is_written_though_it_is_the_default_and_nothing_else_is() -> None:
    assert msgspec.msgpack.decode(encode_profile(Profile())) == {"format": FORMAT}


@pytest.mark.parametrize("stated", [0, 3])
def test_a_format_of_the_future_is_refused(stated: int) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"profile format .*, this code reads 1 and 2 - at `\$.format`"):
        decode_profile(msgspec.msgpack.encode({"format": stated}))
