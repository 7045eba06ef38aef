"""Which carts were left, and what a rule sees of each."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from score_world import granted_event, numbered

from edgewise.ids import ItemId
from edgewise.records import EventRecord, Touch
from hub.site.score_recipe import Abandonment, Reason, WeakRule
from hub.train.history import History
from hub.train.scores.carts import LeftCart, Step, left_carts
from hub.train.scores.weak_labels import RULES, chosen

MINUTE_MS = 60_000
START_MS = 1_767_225_600_000
STEPS = Abandonment(checkout_steps={"1": "account", "2": "shipping", "pay": "payment"})


def touch(item: str, category: str = "mugs", quantity: int = 1) -> tuple[Touch, ...]:
    return (Touch(ItemId(item), quantity, dimensions={"category": (category,)}),)


def told(*calls: tuple[float, str, str, dict[str, Any]], told_as: Abandonment = STEPS) -> list[LeftCart]:
    """The carts of one visitor who did these things at these minutes; somebody else is there for long after."""
    records: list[EventRecord] = [granted_event("other", START_MS + 10**9, "page", "Home")]
    for minute, call, name, said in calls:
        properties = said.pop("properties", {})
        body = msgspec.json.encode({"properties": properties, "context": said.pop("context", {})})
        records.append(granted_event("v", START_MS + int(minute * MINUTE_MS), call, name, body=body, **said))
    return left_carts(History(numbered(records)), told_as)


def fresh(*later: tuple[float, str, str, dict[str, Any]]) -> list[LeftCart]:
    return told((0.0, "track", "Product Added", {"touches": touch("a")}), *later)


def test_a_cart_is_left_when_nothing_follows_for_an_hour() -> None:
    (cart,) = fresh((5, "track", "Cart Viewed", {}))
    assert cart.steps == (Step.ADD, Step.CART)
    assert cart.last_ms == START_MS + 5 * MINUTE_MS


def test_an_ordered_or_emptied_cart_is_not_left() -> None:
    assert not fresh((5, "track", "Order Completed", {"touches": touch("a")}))
    assert not fresh((5, "track", "Product Removed", {"touches": touch("a")}))


def test_what_is_taken_out_in_part_stays_a_cart() -> None:
    (cart,) = told(
        (0, "track", "Product Added", {"touches": touch("a", quantity=3)}),
        (1, "track", "Product Removed", {"touches": touch("a", quantity=1)}),
    )
    assert len(cart.steps) == 2


def test_two_carts_with_a_pause_between_are_two() -> None:
    first, second = fresh(
        (300, "track", "Product Viewed", {"touches": touch("b")}),
        (301, "track", "Product Added", {"touches": touch("b")}),
    )
    assert first.steps == (Step.ADD,)
    assert second.steps == (Step.ADD,), "what lies before the first piece is no part of it"


def test_what_is_done_to_a_visitor_keeps_no_cart_open() -> None:
    (cart,) = fresh((55, "track", "Email Delivered", {}), (100, "track", "Email Delivered", {}))
    assert cart.steps == (Step.ADD,)


def test_a_cart_of_which_the_end_is_not_known_is_left_out() -> None:
    records = numbered([granted_event("v", START_MS, "track", "Product Added", touches=touch("a"))])
    assert not left_carts(History(records), STEPS)


@pytest.mark.parametrize(
    ("call", "name", "properties", "step"),
    [
        ("track", "Checkout Step Viewed", {"step": 2}, Step.SHIPPING_STEP),
        ("track", "Checkout Step Viewed", {"step": 2.0}, Step.SHIPPING_STEP),
        ("track", "Checkout Step Viewed", {"step": "1"}, Step.ACCOUNT_STEP),
        ("track", "Checkout Step Viewed", {"step": 3, "step_name": "pay"}, Step.PAYMENT_STEP),
        ("track", "Checkout Step Viewed", {"step": 9}, Step.CHECKOUT),
        ("track", "Checkout Step Viewed", {}, Step.CHECKOUT),
        ("track", "Products Searched", {"query": "Promo-Code summer"}, Step.COUPON_SOUGHT),
        ("track", "Products Searched", {"query": "size 38"}, Step.QUESTION_PAGE),
        ("track", "Products Searched", {"query": "discounted sizeable mugs"}, Step.OTHER),
        ("track", "Product List Filtered", {"sorts": [{"type": "price", "value": "asc"}]}, Step.PRICE_SORTED),
        ("track", "Product List Viewed", {"sorts": "newest"}, Step.OTHER),
        ("page", "Sign-in", {}, Step.ACCOUNT_PAGE),
        ("page", "", {"path": "/help/sign_up"}, Step.ACCOUNT_PAGE),
        ("page", "", {"path": "/delivery-costs"}, Step.SHIPPING_PAGE),
        ("page", "", {"path": "/delivery"}, Step.QUESTION_PAGE),
        ("page", "Home", {"path": "/"}, Step.OTHER),
        ("track", "Coupon Denied", {}, Step.COUPON_REFUSED),
        ("track", "Ticket Opened", {}, Step.TICKET),
        ("track", "Something of ours", {}, Step.OTHER),
    ],
)
def test_what_an_event_means(call: str, name: str, properties: dict[str, Any], step: Step) -> None:
    (cart,) = fresh((1, call, name, {"properties": properties}))
    assert cart.steps == (Step.ADD, step)


def test_the_page_may_be_in_the_context() -> None:
    (cart,) = fresh((1, "page", "", {"context": {"page": {"path": "/login"}}}))
    assert cart.steps[-1] is Step.ACCOUNT_PAGE


def test_a_shop_has_words_of_its_own() -> None:
    german = Abandonment(words={"shipping": ["versand"]})
    pages = (
        (1, "page", "", {"properties": {"path": "/versand"}}),
        (2, "page", "", {"properties": {"path": "/postage"}}),
    )
    (cart,) = told((0, "track", "Product Added", {"touches": touch("a")}), *pages, told_as=german)
    assert cart.steps == (Step.ADD, Step.SHIPPING_PAGE, Step.OTHER)


def test_alike_is_another_item_of_a_category_in_the_cart() -> None:
    views = [("a", "mugs"), ("b", "mugs"), ("c", "tea")]
    (cart,) = fresh(*((1.0 + n, "track", "Product Viewed", {"touches": touch(*view)}) for n, view in enumerate(views)))
    assert cart.steps == (Step.ADD, Step.VIEW, Step.ALIKE, Step.VIEW)


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b'{"properties": null}'])
def test_a_damaged_or_missing_body_says_nothing(body: bytes) -> None:
    records = numbered(
        [
            granted_event("v", START_MS, "track", "Product Added", touches=touch("a")),
            granted_event("v", START_MS + 1, "track", "Products Searched", body=body),
            granted_event("other", START_MS + 10**9, "page", "Home"),
        ]
    )
    (cart,) = left_carts(History(records), STEPS)
    assert cart.steps == (Step.ADD, Step.OTHER)


# --- rules ----------------------------------------------------------------------------------------------------------
SPEAKS = {
    WeakRule.SHIPPING_EXIT: [Step.ADD, Step.CHECKOUT, Step.SHIPPING_STEP, Step.VIEW],
    WeakRule.SHIPPING_PAGE: [Step.ADD, Step.SHIPPING_PAGE],
    WeakRule.COUPON_SEARCH: [Step.ADD, Step.CART, Step.COUPON_SOUGHT],
    WeakRule.COUPON_REFUSED: [Step.ADD, Step.CART, Step.COUPON_REFUSED],
    WeakRule.ALTERNATIVES: [Step.ADD, *[Step.ALIKE] * 3],
    WeakRule.PRICE_SORTING: [Step.ADD, Step.PRICE_SORTED],
    WeakRule.ACCOUNT_EXIT: [Step.ADD, Step.CHECKOUT, Step.ACCOUNT_PAGE],
    WeakRule.ACCOUNT_UNSOLVED: [Step.ADD, Step.ACCOUNT_PAGE, Step.ACCOUNT_STEP],
    WeakRule.QUESTION_PAGE: [Step.ADD, Step.QUESTION_PAGE],
    WeakRule.TICKET: [Step.ADD, Step.TICKET],
    WeakRule.NO_CART: [Step.ADD, *[Step.VIEW] * 9],
    WeakRule.ONLY_A_LOOK: [Step.ADD, Step.CART],
}
IS_SILENT = {
    WeakRule.SHIPPING_EXIT: [Step.ADD, Step.SHIPPING_STEP, Step.PAYMENT_STEP],
    WeakRule.SHIPPING_PAGE: [Step.ADD, Step.SHIPPING_STEP],
    WeakRule.COUPON_SEARCH: [Step.ADD, Step.COUPON_SOUGHT, Step.COUPON_USED],
    WeakRule.COUPON_REFUSED: [Step.ADD, Step.COUPON_REFUSED, Step.COUPON_USED],
    WeakRule.ALTERNATIVES: [Step.ADD, *[Step.ALIKE] * 2, *[Step.VIEW] * 5],
    WeakRule.PRICE_SORTING: [Step.ADD, Step.OTHER],
    WeakRule.ACCOUNT_EXIT: [Step.ADD, Step.ACCOUNT_PAGE, Step.SIGNED_IN],
    WeakRule.ACCOUNT_UNSOLVED: [Step.ADD, Step.ACCOUNT_PAGE, Step.ACCOUNT_PAGE, Step.SIGNED_IN],
    WeakRule.QUESTION_PAGE: [Step.ADD, Step.TICKET],
    WeakRule.TICKET: [Step.ADD, Step.QUESTION_PAGE],
    WeakRule.NO_CART: [Step.ADD, Step.CART],
    WeakRule.ONLY_A_LOOK: [Step.ADD, *[Step.VIEW] * 4],
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_speaks_where_its_sentence_holds(rule: Any) -> None:
    assert rule.speaks(SPEAKS[rule.name])
    assert not rule.speaks(IS_SILENT[rule.name])
    assert rule.sentence.endswith(".")


def test_every_reason_has_a_rule_and_every_rule_a_name() -> None:
    assert {rule.reason for rule in RULES} == set(Reason)
    assert [rule.name for rule in RULES] == list(WeakRule)
    assert [rule.name for rule in chosen([WeakRule.TICKET, WeakRule.NO_CART])] == [WeakRule.TICKET, WeakRule.NO_CART]
    assert chosen(None) == RULES
