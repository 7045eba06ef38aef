"""What properties say of items, money, time and tickets."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.bundle.catalogue import AttributeValue
from edgewise.errors import InputError
from edgewise.ids import ItemId
from edgewise.touches import MOODS, MOST_ENGAGED_MS, Said, said_of

CATALOGUE: dict[ItemId, dict[str, AttributeValue]] = {
    ItemId("tea"): {"category": "drinks", "topic": "tea", "price": 4.5},
    ItemId("free"): {"price": 0.0},
}


def said(name: str, *, call: str = "track", currency: str = "USD", **properties: Any) -> Said:
    return said_of(call, name, properties, CATALOGUE.get, site_currency=currency)


def test_money_without_a_currency_is_the_sites_and_in_its_minor_unit() -> None:
    for currency, minor in (("USD", 1250), ("JPY", 12), ("KWD", 12_500)):
        told = said("Order Completed", currency=currency, products=[{"product_id": "x", "price": 12.5}])
        assert (told.currency, told.touches[0].value_minor) == ("", minor)


def test_the_sites_own_currency_needs_no_name_and_another_keeps_its_own() -> None:
    line: dict[str, Any] = {"products": [{"product_id": "tea", "price": "700"}]}
    own = said_of("track", "Order Completed", {**line, "currency": " usd "}, CATALOGUE.get)
    other = said_of("track", "Order Completed", {**line, "currency": "JPY"}, CATALOGUE.get)
    assert (own.currency, own.touches[0].value_minor, own.touches[0].listed_minor) == ("", 70_000, 0)
    assert (other.currency, other.touches[0].value_minor, other.touches[0].listed_minor) == ("JPY", 700, 450)


@pytest.mark.parametrize("stated", ["euro", "E", "12", 978, ["EUR"], True])
def test_what_is_no_currency_is_refused_with_its_place(stated: Any) -> None:
    with pytest.raises(InputError) as refused:
        said_of("track", "Product Viewed", {"product_id": "tea", "currency": stated}, CATALOGUE.get)
    assert [problem.path for problem in refused.value.problems] == ["$.properties.currency"]


def test_the_catalogues_price_is_written_down_where_the_event_says_none() -> None:
    assert said("Product Viewed", product_id="tea").touches[0].listed_minor == 450
    assert said("Product Viewed", product_id="tea", price=5).touches[0].listed_minor == 0
    assert said("Product Viewed", product_id="free").touches[0].listed_minor == 0
    assert said("Product Viewed", product_id="strange").touches[0].listed_minor == 0


@pytest.mark.parametrize(
    ("properties", "engaged_ms"),
    [
        ({"engagedMs": 1_500}, 1_500),
        ({"engagement_time_msec": "1500"}, 1_500),
        ({"engaged_ms": 1e11}, MOST_ENGAGED_MS),
        ({"engagedMs": -5}, 0),
        ({"duration": 2.5}, 2_500),
        ({"duration": "PT3M"}, 0),
        ({"duration": float("inf")}, 0),
        ({}, 0),
    ],
)
def test_time_spent_is_read_from_what_others_call_it(properties: dict[str, Any], engaged_ms: int) -> None:
    assert said("Home", call="page", topic=["tea", "milk"], **properties).engaged_ms == engaged_ms


def test_a_duration_of_anything_else_is_no_time_of_the_visitor() -> None:
    assert said("Flight Booked", duration=7_200).engaged_ms == 0


def test_topics_are_the_items_where_it_has_some() -> None:
    assert said("Content Viewed", content_id="tea", topic="milk", engagedMs=10).topics == ()
    assert said("Content Viewed", content_id="strange", engagedMs=10).topics == ()
    assert said("Home", call="page", topic="milk", engagedMs=10).topics == ("milk",)
    assert said("Home", call="page", topic="milk").topics == ()


def test_a_ticket_has_an_id_a_topic_and_a_mood() -> None:
    told = said("Ticket Opened", ticket_id=77, topic="delivery", mood="Bad")
    assert (told.ticket, told.topics, told.mood) == ("77", ("delivery",), -1.0)
    assert said("Ticket Closed", ticketId="77", mood=0.25) == Said((), "", 0, (), "77", 0.25)
    assert said("Product Viewed", ticket_id="77", mood="bad") == Said((), "", 0, (), "", None)


@pytest.mark.parametrize("mood", ["ecstatic", 2, -1.5, True, float("nan"), ["bad"]])
def test_what_is_no_mood_is_refused_with_what_was_expected(mood: Any) -> None:
    with pytest.raises(InputError, match="from -1 to 1, or one of angry") as refused:
        said("Ticket Opened", ticket_id="1", mood=mood)
    assert [problem.path for problem in refused.value.problems] == ["$.properties.mood"]


@given(
    st.sampled_from(["Product Viewed", "Ticket Opened", "Order Completed"]),
    st.dictionaries(
        st.sampled_from(
            ["product_id", "price", "quantity", "currency", "engagedMs", "duration", "topic", "ticket_id", "mood"]
        ),
        st.none() | st.text(max_size=5) | st.integers() | st.floats() | st.booleans() | st.lists(st.text(), max_size=2),
    ),
)
def test_whatever_properties_hold_is_read_or_refused(name: str, properties: dict[str, Any]) -> None:
    try:
        told = said_of("track", name, properties, CATALOGUE.get)
    except InputError:
        return
    assert 0 <= told.engaged_ms <= MOST_ENGAGED_MS
    assert told.mood is None or -1 <= told.mood <= 1
    assert set(MOODS.values()) == {-1.0, 0.0, 1.0}
