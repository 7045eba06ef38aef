"""Carts that were left: what a visitor did from the first piece in the cart on, step by step.

A cart is left when nothing happened for as long as the recipe says; one that was ordered, or emptied, is not. A step is
what one event means for the reasons; everything that a rule may look at is here, so that a rule is a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from edgewise.errors import MALFORMED
from edgewise.events import DONE_TO, Kind
from edgewise.ids import ItemId
from edgewise.records import EventRecord
from hub.site.score_recipe import Abandonment
from hub.train.history import History, kind_of_event
from hub.train.scores.moments import MINUTE_MS


class Step(StrEnum):
    """What one event means for the reasons why a cart is left."""

    ADD = "add"
    VIEW = "view"
    ALIKE = "alike"
    """Another item than those in the cart, of a category that is in the cart."""
    CART = "cart"
    CHECKOUT = "checkout"
    ACCOUNT_STEP = "account_step"
    SHIPPING_STEP = "shipping_step"
    PAYMENT_STEP = "payment_step"
    STEP_DONE = "step_done"
    ACCOUNT_PAGE = "account_page"
    SHIPPING_PAGE = "shipping_page"
    COUPON_SOUGHT = "coupon_sought"
    COUPON_USED = "coupon_used"
    COUPON_REFUSED = "coupon_refused"
    PRICE_SORTED = "price_sorted"
    QUESTION_PAGE = "question_page"
    TICKET = "ticket"
    SIGNED_IN = "signed_in"
    OTHER = "other"


class _Body(msgspec.Struct, frozen=True):
    properties: dict[str, Any] | None = None
    context: dict[str, Any] | None = None


_bodies = msgspec.json.Decoder(_Body)


class LeftCart(NamedTuple):
    """One cart, from the first piece put in to the last thing that its visitor did."""

    visitor: int
    deed: int
    """The last one, as a number in the history."""
    last_ms: int
    steps: tuple[Step, ...]


WORDS: Final[Mapping[str, Sequence[str]]] = {
    "account": ("login", "signin", "signup", "register", "account"),
    "shipping": ("shipping", "shippingcost", "shippingcosts", "deliverycost", "deliverycosts", "postage"),
    "coupon": ("coupon", "coupons", "voucher", "vouchers", "promocode", "discount", "discounts", "discountcode"),
    "question": ("size", "sizes", "sizeguide", "sizing", "delivery", "payment", "returns", "faq", "help", "contact"),
}
"""What paths, page names and searches hold; hyphens and underscores do not count (`sign-in` is `signin`)."""
_PAGES: Final = {
    "account": Step.ACCOUNT_PAGE,
    "coupon": Step.COUPON_SOUGHT,
    "shipping": Step.SHIPPING_PAGE,
    "question": Step.QUESTION_PAGE,
}
"""In the order in which they are looked for: what is about a cost is no question."""
_STEPS: Final = {"account": Step.ACCOUNT_STEP, "shipping": Step.SHIPPING_STEP, "payment": Step.PAYMENT_STEP}
_NAMED: Final = {
    "Product Added": Step.ADD,
    "Cart Viewed": Step.CART,
    "Checkout Started": Step.CHECKOUT,
    "Checkout Step Completed": Step.STEP_DONE,
    "Payment Info Entered": Step.PAYMENT_STEP,
    "Coupon Entered": Step.COUPON_SOUGHT,
    "Coupon Applied": Step.COUPON_USED,
    "Coupon Denied": Step.COUPON_REFUSED,
    "Ticket Opened": Step.TICKET,
    "Signed In": Step.SIGNED_IN,
    "Signed Up": Step.SIGNED_IN,
    "Account Created": Step.SIGNED_IN,
}
"""Segment's e-commerce and B2B names, and our own of tickets."""
_LISTS: Final = frozenset({"Product List Viewed", "Product List Filtered"})
_APART: Final = re.compile(r"[^a-z0-9_-]+")
_JOINTS: Final = str.maketrans("", "", "-_")


def left_carts(history: History, told: Abandonment) -> list[LeftCart]:
    """Every cart that was left, oldest first. The history must hold the bodies of its events."""
    idle_ms = told.idle_minutes * MINUTE_MS
    found: list[LeftCart] = []
    for visitor, own in enumerate(history.by_visitor()):
        found += _of_visitor(history, told, visitor, own, idle_ms)
    return sorted(found, key=lambda cart: (cart.last_ms, cart.visitor))


def _of_visitor(history: History, told: Abandonment, visitor: int, own: list[int], idle_ms: int) -> Iterator[LeftCart]:
    reader = _Reader(told)
    steps: list[Step] = []
    last, last_ms = -1, 0
    for number in own:
        moment_ms, _, record = history.deeds[number]
        if not isinstance(record, EventRecord) or kind_of_event(record) in DONE_TO:
            continue
        if steps and moment_ms - last_ms > idle_ms:
            yield LeftCart(visitor, last, last_ms, tuple(steps))
            steps, reader = [], _Reader(told)
        step = reader.read(record)
        if steps or step is Step.ADD:
            steps.append(step)
            last, last_ms = number, moment_ms
        if record.name == "Order Completed" or reader.is_empty:
            steps, reader = [], _Reader(told)
    if steps and history.deeds[-1].moment_ms - last_ms > idle_ms:
        yield LeftCart(visitor, last, last_ms, tuple(steps))


class _Reader:
    """Tells what an event means, given what lies in the cart."""

    def __init__(self, told: Abandonment) -> None:
        self._told = told
        own = {str(about): words for about, words in told.words.items()}
        self._words = {about: frozenset(own.get(about, words)) for about, words in WORDS.items()}
        self._cart: dict[ItemId, int] = {}
        self._categories: set[str] = set()

    @property
    def is_empty(self) -> bool:
        """Nothing is in the cart."""
        return not self._cart

    def read(self, record: EventRecord) -> Step:
        """The step; what it puts into the cart, or takes out, is remembered."""
        kind = kind_of_event(record)
        self._carry(record, kind)
        named = _NAMED.get(record.name) if record.type == "track" else None
        if named is not None:
            return named
        if kind in {Kind.VIEW, Kind.CLICK} and record.touches:
            return Step.ALIKE if self._is_alike(record) else Step.VIEW
        return self._of_properties(record, kind, _properties(record))

    def _of_properties(self, record: EventRecord, kind: Kind, properties: Mapping[str, Any]) -> Step:
        if record.name == "Checkout Step Viewed":
            stated = _number_free(properties.get("step_name", properties.get("step")))
            return _STEPS.get(self._told.checkout_steps.get(stated, ""), Step.CHECKOUT)
        if record.name in _LISTS:
            is_by_price = "price" in str(properties.get("sorts", properties.get("sort", ""))).lower()
            return Step.PRICE_SORTED if is_by_price else Step.OTHER
        if kind is Kind.SEARCH:
            return self._about(str(properties.get("query", "")))
        if kind is Kind.PAGE:
            return self._about(f"{record.name} {properties.get('path', '')} {properties.get('title', '')}")
        return Step.OTHER

    def _carry(self, record: EventRecord, kind: Kind) -> None:
        if record.name == "Product Added":
            for touch in record.touches:
                self._cart[touch.item] = self._cart.get(touch.item, 0) + touch.quantity
                self._categories.update(touch.dimensions.get("category", ()))
        elif kind is Kind.REMOVE:
            for touch in record.touches:
                left = self._cart.get(touch.item, 0) - touch.quantity
                if left > 0:
                    self._cart[touch.item] = left
                else:
                    self._cart.pop(touch.item, None)

    def _is_alike(self, record: EventRecord) -> bool:
        return any(
            touch.item not in self._cart and not self._categories.isdisjoint(touch.dimensions.get("category", ()))
            for touch in record.touches
        )

    def _about(self, text: str) -> Step:
        words = {word.translate(_JOINTS) for word in _APART.split(text.lower())}
        return next((step for about, step in _PAGES.items() if words & self._words[about]), Step.OTHER)


def _properties(record: EventRecord) -> Mapping[str, Any]:
    """What the call said, with the page's path where only its context has it; nothing where no body was kept."""
    try:
        body = _bodies.decode(record.body) if record.body else _Body()
    except MALFORMED:
        return {}
    page = (body.context or {}).get("page")
    return {"path": page.get("path", "") if isinstance(page, dict) else "", **(body.properties or {})}


def _number_free(stated: object) -> str:
    """`2.0` and 2 are the step "2"."""
    return f"{stated:g}" if isinstance(stated, float) else str(stated)
