"""Runs are a function of the set of events, and windows never lie in quiet hours."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from hub_records import NOW_MS, event
from hypothesis import given
from hypothesis import strategies as st

from edgewise.ids import ItemId
from edgewise.profile.state import DAY_MS
from edgewise.records import EventRecord, Touch
from hub.data_audit.needs import BUILT_IN
from hub.journeys.runs import FORGOTTEN_MS, Run, did_since, runs_of
from hub.journeys.timing import MINUTE_MS, quiet_of, timezone_of, window
from hub.mail.quiet import NEVER_QUIET, quiet_until
from hub.site.checking_journeys import SHIPPED
from hub.site.journey_file import JourneyFile, QuietHours, Trigger

CART = Trigger("Product Added", unless=["Ticket Opened"])
ORDERS = Trigger("Order Completed", unless=["Order Refunded"])
NAMES = ("Product Added", "Product Removed", "Order Completed", "Product Viewed", "Ticket Opened", "Email Opened")


def deed(number: int, name: str, minute: int, item: str = "a") -> EventRecord:
    return event(number, name=name, time_ms=NOW_MS + minute * MINUTE_MS, touches=(Touch(ItemId(item)),))


deeds = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 60), st.sampled_from("ab")), max_size=14).map(
    lambda told: [deed(number, *each) for number, each in enumerate(told)]
)


@given(deeds, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(events: list[EventRecord], shuffler: object) -> None:
    shuffled = list(events)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    for trigger in (CART, ORDERS):
        assert runs_of(shuffled, trigger) == runs_of(events, trigger)


@given(deeds)
def test_carts_follow_each_other_and_an_ordered_one_goes_on_no_more(events: list[EventRecord]) -> None:
    runs = runs_of(events, CART)
    assert all(run.began_ms <= run.last_ms for run in runs)
    assert all(run.anchor in run.anchors for run in runs)
    assert all(run.ended for run in runs[:-1]), "only the last one can go on"
    for run in runs:
        ordered = any(each.name == "Order Completed" and each.time_ms > run.last_ms for each in events)
        assert run.ended or not ordered


def the_run(*events: EventRecord) -> Run:
    (run,) = runs_of(events, CART)
    return run


def test_what_ends_a_cart() -> None:
    added = deed(0, "Product Added", 0)
    assert the_run(added).ended == ""
    assert the_run(added, deed(1, "Order Completed", 5)).ended == "ordered"
    assert the_run(added, deed(1, "Product Removed", 5)).ended == "emptied"
    assert the_run(added, deed(1, "Product Removed", 5, "b")).ended == "", "another one"
    assert the_run(added, deed(1, "Ticket Opened", 5)).ended == "done"
    assert the_run(added, deed(1, "Email Opened", 5)).last_ms == added.time_ms, "to read a mail is no visit"
    forgotten = FORGOTTEN_MS // MINUTE_MS + 1
    assert len(runs_of([added, deed(1, "Product Added", forgotten)], CART)) == 2


def test_a_product_that_no_catalogue_has_fills_and_empties_a_cart() -> None:
    unknown = event(0, name="Product Added", touches=())
    assert the_run(unknown).ended == ""
    assert the_run(unknown, event(1, name="Product Removed", touches=())).ended == "emptied"


def test_a_cart_counts_only_with_what_the_journey_waits_for() -> None:
    checkout = Trigger("Checkout Started", per="cart")
    added = deed(0, "Product Added", 0)
    assert runs_of([added], checkout) == []
    (run,) = runs_of([added, deed(1, "Checkout Started", 3)], checkout)
    assert run.anchor == added.message_id


def test_each_order_is_a_run_until_it_is_refunded() -> None:
    orders = [deed(0, "Order Completed", 0), deed(1, "Order Completed", 10)]
    assert [run.ended for run in runs_of(orders, ORDERS)] == ["", ""]
    assert [run.ended for run in runs_of([*orders, deed(2, "Order Refunded", 5)], ORDERS)] == ["done", ""]
    assert did_since(orders, {"Order Completed"}, orders[1].time_ms)
    assert not did_since(orders, {"Order Completed"}, orders[1].time_ms + 1)


@given(
    st.integers(NOW_MS, NOW_MS + 400 * DAY_MS),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]),
    st.integers(1, 120),
    st.integers(1, 60),
)
def test_a_mail_is_due_outside_of_quiet_hours_and_its_time_ends_there_too(
    due_ms: int, zone: str, within: int, behind: int
) -> None:
    quiet = quiet_of(JourneyFile(quiet_hours=QuietHours("21:00", "08:00")), zone)
    trigger = Trigger("Product Added", within_minutes=within, after_quiet_minutes=behind)
    found = window(due_ms, trigger, quiet)
    assert due_ms <= found.due_ms <= found.not_after_ms
    assert quiet_until(quiet, found.due_ms) is None
    if quiet_until(quiet, due_ms) is None:
        assert found.due_ms == due_ms
        assert found.not_after_ms >= due_ms + within * MINUTE_MS
    else:
        assert found.not_after_ms == found.due_ms + behind * MINUTE_MS
        assert dt.datetime.fromtimestamp(found.due_ms / 1_000, ZoneInfo(zone)).hour == 8
    assert window(due_ms, trigger, NEVER_QUIET) == (due_ms, due_ms + within * MINUTE_MS)


def test_the_latest_time_zone_that_there_is_holds() -> None:
    def said(number: int, zone: str) -> EventRecord:
        return event(number, body=f'{{"context":{{"timezone":"{zone}"}}}}'.encode())

    assert timezone_of([], "Europe/Berlin") == "Europe/Berlin"
    assert timezone_of([said(1, "Asia/Tokyo"), said(2, "America/New_York")], "UTC") == "America/New_York"
    assert timezone_of([said(1, "Asia/Tokyo"), said(2, "Mars/Olympus"), said(3, "../etc")], "UTC") == "Asia/Tokyo"
    assert timezone_of([event(1, body=b"{"), event(2, body=b"[]")], "UTC") == "UTC"


def test_journeys_that_need_say_nothing_are_those_whose_needs_are_built_in() -> None:
    assert set(SHIPPED) == set(BUILT_IN)
