"""What counts as shown, and how often."""

from typing import Any

import pytest
from hub_records import decision, event
from hypothesis import given
from hypothesis import strategies as st

from edgewise.events import Kind
from edgewise.ids import DecisionId, ItemId, Producer, ulid
from edgewise.profile.impressions import AHEAD_MS, of_decision, of_event
from edgewise.profile.merge import merge
from edgewise.profile.reduce import fold
from edgewise.profile.state import Profile, encode_profile
from edgewise.recorded import counted
from edgewise.records import DecisionRecord, EventRecord, Touch

MADE_MS = 1_700_000_000_000
DECISION = DecisionId(ulid(MADE_MS, b"0123456789"))
MUG = ItemId("mug")


def seen(seq: int = 0, name: str = "Promotion Viewed", of: str | None = DECISION, **changes: Any) -> Profile:
    """The profile of who has said so."""
    fields: dict[str, Any] = {
        "touches": (Touch(MUG),),
        "time_ms": MADE_MS + 5_000,
        "received_ms": MADE_MS + 5_000,
        **changes,
    }
    return fold(Profile(), [event(seq, name=name, decision_id=of, **fields)])


def made(**changes: Any) -> Profile:
    fields: dict[str, Any] = {"decision_id": DECISION, "time_ms": MADE_MS, "impressions": (MUG,), **changes}
    return fold(Profile(), [decision(0, **fields)])


@pytest.mark.parametrize("name", ["Promotion Viewed", "Content Viewed", "Email Delivered", "Email Sent"])
def test_what_was_decided_and_who_says_that_it_was_seen_are_one_impression(name: str) -> None:
    assert seen(3, name).impressions == seen(7, name).impressions == made().impressions
    assert len(made().impressions) == 1


def test_two_decisions_in_one_moment_are_two() -> None:
    other = DecisionId(ulid(MADE_MS, b"9876543210"))
    records = [decision(0, decision_id=DECISION, time_ms=MADE_MS, impressions=(MUG,))]
    records.append(decision(1, decision_id=other, time_ms=MADE_MS, impressions=(MUG,)))
    assert len(fold(Profile(), records).impressions) == 2


def test_what_a_page_shows_without_a_decision_counts_each_time() -> None:
    each = [event(seq, name="Promotion Viewed", touches=(Touch(MUG),)) for seq in range(2)]
    assert len(fold(Profile(), each).impressions) == 2


def test_a_look_at_content_that_nobody_decided_is_no_impression() -> None:
    assert seen(name="Content Viewed", of=None).impressions == []
    assert seen(name="Product Viewed").impressions == []
    assert seen(name="Content Viewed", type="page").impressions == []


def test_a_look_at_what_was_decided_says_of_taste_what_a_look_says() -> None:
    assert seen(name="Content Viewed").items[MUG].kind is Kind.VIEW
    assert seen(name="Promotion Viewed").items == {}


@pytest.mark.parametrize("of", ["of-somebody-else", ulid(MADE_MS + 5_000 + AHEAD_MS + 1, b"0123456789")])
def test_an_id_that_no_decision_can_have_leaves_what_the_event_says_by_itself(of: str) -> None:
    one = event(4, name="Promotion Viewed", decision_id=of, touches=(Touch(MUG),), received_ms=MADE_MS + 5_000)
    (impression,) = of_event(one)
    assert (impression.time_ms, impression.said_by, impression.seq) == (one.time_ms, one.producer, 4)


@pytest.mark.parametrize("is_deferred", [True, False])
def test_a_decision_that_waits_to_be_seen_counts_nothing(*, is_deferred: bool) -> None:
    of = decision(0, decision_id=DECISION, time_ms=MADE_MS, impressions=counted((MUG,), {}, is_deferred=is_deferred))
    assert [impression.item for impression in of_decision(of)] == [MUG] * (not is_deferred)


TOLD = st.lists(st.sampled_from(["Promotion Viewed", "Content Viewed", "Product Viewed"]), max_size=4)


@given(TOLD, TOLD, st.booleans(), st.data())
def test_in_any_order_and_any_split_a_decision_and_who_tells_of_it_are_one(
    here: list[str],
    there: list[str],
    is_deferred: bool,  # noqa: FBT001  # hypothesis gives it
    data: st.DataObject,
) -> None:
    fields: dict[str, Any] = {"touches": (Touch(MUG),), "decision_id": DECISION, "received_ms": MADE_MS + 9_000}
    shown = counted((MUG,), {}, is_deferred=is_deferred)
    first: list[EventRecord | DecisionRecord] = [
        decision(0, decision_id=DECISION, time_ms=MADE_MS, impressions=shown),
        *(event(seq, name=name, time_ms=MADE_MS + seq, **fields) for seq, name in enumerate(here, 1)),
    ]
    other = Producer("n-2/1/0")
    second: list[EventRecord | DecisionRecord] = [
        event(seq, name=name, producer=other, time_ms=MADE_MS, **fields) for seq, name in enumerate(there)
    ]
    cut = data.draw(st.integers(0, len(second)))
    woven = fold(Profile(), [*second[:cut], *first, *second[cut:]])
    assert encode_profile(woven) == encode_profile(fold(fold(Profile(), first), second))
    assert encode_profile(woven) == encode_profile(merge(fold(Profile(), first), fold(Profile(), second)))
    says = {"Promotion Viewed", "Content Viewed"} & {*here, *there}
    assert [impression.item for impression in woven.impressions] == [MUG] * bool(says or not is_deferred)
