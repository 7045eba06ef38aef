"""What is read from a profile: rates, worth, visits, prices, carts, tickets, and the session's part of them."""

import math

import msgspec
import pytest
from strategies_profile import START_MS, SUBJECT

from edgewise.consent import Grants
from edgewise.events import Kind
from edgewise.ids import ItemId, MessageId, Producer
from edgewise.profile.cart import CartLine, lines_of, value_minor_of
from edgewise.profile.habits import Worth, active_days, distinct, price_octave, visits, worth
from edgewise.profile.rates import EMAIL_RESPONSE, Rate, rate_of
from edgewise.profile.read import session_view, shares_of
from edgewise.profile.reduce import fold
from edgewise.profile.state import DAY_MS, MAX_ITEMS, MAX_VALUES, Profile
from edgewise.profile.tickets import open_tickets
from edgewise.records import EventRecord, Touch

TODAY_MS = START_MS // DAY_MS * DAY_MS
MINUTE_MS = 60_000


def event(name: str, time_ms: int, *touches: Touch, call: str = "track") -> EventRecord:
    return EventRecord(
        producer=Producer("n/1/0"),
        seq=0,
        subject=SUBJECT,
        message_id=MessageId("m"),
        type=call,
        name=name,
        time_ms=time_ms,
        received_ms=START_MS,
        grants=Grants(personalisation=True),
        touches=touches,
    )


def profile_of(*events: EventRecord) -> Profile:
    return fold(Profile(), [msgspec.structs.replace(each, seq=seq) for seq, each in enumerate(events)])


def test_a_rate_begins_at_its_prior_and_follows_what_is_tried() -> None:
    assert rate_of({}, EMAIL_RESPONSE, TODAY_MS) == 0.2
    mails = [event("Email Delivered", TODAY_MS + minute) for minute in range(10)]
    opened = [event("Email Opened", TODAY_MS + minute) for minute in range(5)]
    assert rate_of(profile_of(*mails, *opened).counts, EMAIL_RESPONSE, TODAY_MS) == 6 / 15
    assert math.isnan(rate_of({}, Rate(Kind.ORDER, Kind.ADD, 30), TODAY_MS))


def test_segments_email_events_each_have_a_kind_of_their_own() -> None:
    names = ["Delivered", "Opened", "Link Clicked", "Bounced", "Marked as Spam"]
    counted = profile_of(*(event(f"Email {name}", TODAY_MS) for name in names), event("Unsubscribed", TODAY_MS)).counts
    kinds = ["delivered", "opened", "clicked", "bounced", "spam", "unsubscribed"]
    assert set(counted) == {Kind(f"email_{kind}") for kind in kinds}


def test_worth_is_recency_frequency_and_money_less_refunds() -> None:
    line = Touch(ItemId("tea"), quantity=2, value_minor=500)
    bought = [event("Order Completed", TODAY_MS - days * DAY_MS, line) for days in (3, 20, 200)]
    back = event("Order Refunded", TODAY_MS - DAY_MS, Touch(ItemId("tea"), value_minor=500))
    returned = event("Offline Purchase", TODAY_MS - 2 * DAY_MS, Touch(ItemId("tea"), quantity=-1, value_minor=100))
    profile = profile_of(*bought, back, returned)
    assert worth(profile, TODAY_MS, 30) == Worth(3.0, 3, 1_400)
    assert profile.orders.count == 3, "a receipt that only takes back is no order"
    nobody = worth(Profile(), TODAY_MS, 30)
    assert math.isnan(nobody.recency_days)
    assert nobody[1:] == (0, 0)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        ([0, 10, 39], 1),
        ([0, 60], 2),
        ([5, 34, 63, 92], 1),  # never as much as half an hour apart
        ([-5, 5], 1),  # over midnight
        ([-200, 5], 2),
        ([], 0),
    ],
)
def test_visits_end_with_a_pause(minutes: list[int], expected: int) -> None:
    profile = profile_of(*(event("Home", TODAY_MS + minute * MINUTE_MS, call="page") for minute in minutes))
    assert visits(profile, TODAY_MS, 90) == expected


def test_a_visit_over_midnight_began_yesterday_and_made_two_days_active() -> None:
    late = [event("Home", TODAY_MS + minute * MINUTE_MS, call="page") for minute in (-10, 10)]
    profile = profile_of(*late, event("Email Delivered", TODAY_MS + DAY_MS))
    assert (visits(profile, TODAY_MS, 1), visits(profile, TODAY_MS, 2)) == (0, 1)
    assert (active_days(profile, TODAY_MS, 1), active_days(profile, TODAY_MS, 2)) == (1, 2)
    assert (profile.seen_ms, profile.last_ms) == (TODAY_MS + 10 * MINUTE_MS, TODAY_MS + DAY_MS)


def test_prices_weigh_as_much_as_their_touch_says_of_taste() -> None:
    viewed = event("Product Viewed", TODAY_MS, Touch(ItemId("a"), value_minor=300))
    bought = event("Order Completed", TODAY_MS, Touch(ItemId("b"), listed_minor=5_000))
    assert price_octave(profile_of(viewed).price_bands) == 8.5
    assert price_octave(profile_of(viewed, bought).price_bands) == (8.5 + 8 * 12.5) / 9
    assert math.isnan(price_octave({}))


def test_time_is_shared_among_topics() -> None:
    page = event("Home", TODAY_MS, call="page")
    long, short = (
        msgspec.structs.replace(page, engaged_ms=ms, topics=topics)
        for ms, topics in ((9_000, ("tea",)), (3_000, ("milk", "milk")))
    )
    assert shares_of(profile_of(long, short).topic_ms, TODAY_MS, 30.0) == {"tea": 0.75, "milk": 0.25}


def test_a_cart_holds_what_was_put_in_since_it_was_last_cleared_or_seen() -> None:
    tea, mug = Touch(ItemId("tea"), quantity=2, value_minor=450), Touch(ItemId("mug"), value_minor=900)
    events = [
        event("Product Added", TODAY_MS + 1, mug),
        event("Cart Viewed", TODAY_MS + 2, tea),
        event("Product Added", TODAY_MS + 3, mug),
        event("Product Removed", TODAY_MS + 4, Touch(ItemId("tea"))),
        event("Product Removed", TODAY_MS + 5, Touch(ItemId("never"))),
        event("Product Added to Wishlist", TODAY_MS + 6, Touch(ItemId("pot"))),
    ]
    cart = profile_of(*events).cart
    assert lines_of(cart) == {ItemId("tea"): CartLine(1, 450), ItemId("mug"): CartLine(1, 900)}
    assert value_minor_of(cart) == 1_350
    assert lines_of(profile_of(*events, event("Order Completed", TODAY_MS + 7, tea)).cart) == {}
    assert len(lines_of(profile_of(*events, event("Offline Purchase", TODAY_MS + 7, tea)).cart)) == 2
    assert lines_of(None) == {}


def test_tickets_are_open_until_they_are_closed_and_the_last_mood_holds() -> None:
    opened = msgspec.structs.replace(event("Ticket Opened", TODAY_MS), ticket="7", topics=("delivery",), mood=-1.0)
    other = msgspec.structs.replace(event("Ticket Opened", TODAY_MS + 1), ticket="8", mood=0.5)
    closed = msgspec.structs.replace(event("Ticket Closed", TODAY_MS + 2), ticket="7")
    desk = profile_of(closed, other, opened).desk
    assert desk is not None
    assert desk.mood is not None
    assert (list(open_tickets(desk)), desk.mood.value) == (["8"], 0.5)
    again = msgspec.structs.replace(opened, time_ms=TODAY_MS + 3)
    assert open_tickets(profile_of(closed, other, opened, again).desk)["7"].topic == "delivery"
    assert open_tickets(None) == {}


def test_different_things_are_counted_exactly_and_beyond_the_bounds_about() -> None:
    few = profile_of(*(event("Product Viewed", TODAY_MS, Touch(ItemId(f"i{n % 7}"))) for n in range(30)))
    assert (distinct(few, "items"), distinct(few, "category")) == (7, 0)
    many = profile_of(
        *(
            event("Product Viewed", TODAY_MS, Touch(ItemId(f"i{n}"), dimensions={"category": (f"c{n}",)}))
            for n in range(5_000)
        )
    )
    assert (len(many.items), len(many.affinity["category"])) == (MAX_ITEMS, MAX_VALUES)
    # five standard errors: sketches of 256 and 512 hashes
    assert distinct(many, "items") == pytest.approx(5_000, rel=5 / math.sqrt(254))
    assert distinct(many, "category") == pytest.approx(5_000, rel=5 / math.sqrt(510))


def test_a_session_has_its_own_part_of_the_cart_and_nothing_of_before() -> None:
    mug, tea = Touch(ItemId("mug"), value_minor=900), Touch(ItemId("tea"), value_minor=450)
    before, now = event("Product Added", TODAY_MS, mug), event("Product Added", TODAY_MS + DAY_MS, tea)
    session = session_view(profile_of(before, now), TODAY_MS + DAY_MS + MINUTE_MS)
    assert list(lines_of(session.cart)) == ["tea"]
    assert (session.counts, session.orders.count, session.slots, session.price_bands) == ({}, 0, [], {})
    assert session_view(profile_of(before), TODAY_MS + DAY_MS).cart is None
