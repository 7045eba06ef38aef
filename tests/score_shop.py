"""An invented shop whose truth is known: who is eager to buy, what goes on where, why each cart is left.

A visitor is eager or reluctant, which neither changes nor is written anywhere: it shows in how often he comes and in
whether he orders. Categories follow each other by a chain. A cart that is not ordered is left for one planted reason,
which shows in most of the deeds that belong to it and, by chance, in a few that do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from score_world import features_of, granted_event, numbered, site_of

from edgewise.events import Kind
from edgewise.ids import ItemId
from edgewise.profile.state import DAY_MS
from edgewise.records import EventRecord, Touch
from hub.site.loading import SiteContents
from hub.site.score_recipe import Reason

START_MS: Final = 1_767_225_600_000
CATEGORIES: Final = ("tea", "coffee", "mugs", "books", "lamps")
STAGES: Final = ("student", "professional", "retired")
ITEMS: Final = 60
SHOWS: Final = 0.85
"""How often a deed that belongs to a reason is done where it holds."""
CHANCE: Final = 0.04
"""How often where it does not."""
EAGER: Final = 0.9
RELUCTANT: Final = 0.1
LEAVING: Final = {"tea": 0.2, "coffee": 0.25, "mugs": 0.8, "books": 0.75, "lamps": 0.2}
"""How often a visitor goes on from a shelf to the next one: where it is likely, to repeat the last is wrong."""
TOPICS: Final = ("shipping", "coupon", "account", "help")


class Shop(NamedTuple):
    """What happened, and what nobody wrote down."""

    records: list[EventRecord]
    reasons: Mapping[tuple[str, int], Reason]
    """(visitor, time of the last deed with the cart) -> why it was left."""
    stages: Mapping[str, str]


def category_of(item: int) -> str:
    """Items go round the categories."""
    return CATEGORIES[item % len(CATEGORIES)]


def simulate(seed: int, *, visitors: int = 300, days: int = 150) -> Shop:
    """Same arguments, same shop."""
    teller = _Teller(np.random.default_rng(seed), days)
    for number in range(visitors):
        teller.visitor(f"v{number}")
    return Shop(numbered(teller.records), teller.reasons, teller.stages)


class _Teller:
    def __init__(self, rng: np.random.Generator, days: int) -> None:
        self.rng, self.days = rng, days
        self.records: list[EventRecord] = []
        self.reasons: dict[tuple[str, int], Reason] = {}
        self.stages: dict[str, str] = {}
        self.now_ms = START_MS
        self.who = ""

    def visitor(self, who: str) -> None:
        self.who = who
        stage = int(self.rng.integers(len(STAGES)))
        self.stages[who] = STAGES[stage]
        eager = EAGER if self.rng.random() < 0.3 else RELUCTANT
        begin = float(self.rng.uniform(0, self.days * 0.4))
        time_ms = START_MS + int(begin * DAY_MS)
        if self.rng.random() < 0.5:  # half of them say it
            self.now_ms = time_ms
            self._tell("identify", "", traits={"stage": STAGES[stage]})
        # Who is not eager comes seldom, and at some time no more.
        while time_ms < START_MS + self.days * DAY_MS:
            self.now_ms = time_ms
            self._visit(eager, stage)
            pause_days = float(self.rng.exponential(3.0 + 14.0 * (1 - eager)))
            if self.rng.random() < 0.06 * (1 - eager):
                break
            time_ms = self.now_ms + int((0.2 + pause_days) * DAY_MS)

    def _visit(self, eager: float, stage: int) -> None:
        category = int((stage + self.rng.choice(3, p=[0.7, 0.2, 0.1])) % len(CATEGORIES))
        item = 0
        for _ in range(1 + int(self.rng.poisson(3))):
            item = category + len(CATEGORIES) * int(self.rng.integers(ITEMS // len(CATEGORIES)))
            self._touch("Product Viewed", item)
            # on to the next shelf, or stay
            goes_on = self.rng.random() < LEAVING[CATEGORIES[category]]
            category = (category + 1) % len(CATEGORIES) if goes_on else category
        if self.rng.random() < 0.25 + 0.5 * eager:
            self._touch("Product Added", item)
            if self.rng.random() < 0.1 + 0.7 * eager:
                self._order(item)
            else:
                reason = list(Reason)[int(self.rng.choice(len(Reason), p=[0.2, 0.15, 0.2, 0.15, 0.15, 0.15]))]
                self._leave(reason, item)
                self.reasons[self.who, self.records[-1].time_ms] = reason

    def _order(self, item: int) -> None:
        self._tell("track", "Cart Viewed", touches=(self._touched(item),))
        self._tell("track", "Checkout Started")
        self._tell("track", "Checkout Step Viewed", {"step": 2})
        self._touch("Order Completed", item)

    def _leave(self, reason: Reason, item: int) -> None:
        """Everything that any reason would have its visitor do, each as likely as the reason makes it."""
        for belongs, deed in self._deeds(item):
            if self.rng.random() < (SHOWS if reason in belongs else CHANCE):
                deed()

    def _deeds(self, item: int) -> Iterator[tuple[set[Reason], Any]]:
        others = [item + len(CATEGORIES) * step for step in (1, 2, 3, 4)]
        yield (
            {Reason.SHIPPING_COST, Reason.COUPON, Reason.ACCOUNT_WALL, Reason.PRICE_COMPARISON},
            lambda: self._tell("track", "Cart Viewed", touches=(self._touched(item),)),
        )
        yield {Reason.QUESTION}, lambda: self._page("Size guide", "help")
        yield {Reason.QUESTION}, lambda: self._tell("track", "Ticket Opened", ticket=f"t{len(self.records)}")
        yield {Reason.PRICE_COMPARISON}, lambda: self._tell("track", "Product List Filtered", {"sorts": "price asc"})
        yield (
            {Reason.PRICE_COMPARISON},
            lambda: self._look(others),
        )
        yield {Reason.COUPON}, lambda: self._tell("track", "Products Searched", {"query": "coupon code"})
        yield {Reason.COUPON}, lambda: self._page("Coupons", "coupon")
        yield {Reason.COUPON}, lambda: self._tell("track", "Coupon Denied")
        yield {Reason.SHIPPING_COST}, lambda: self._page("Shipping", "shipping")
        yield {Reason.SHIPPING_COST, Reason.ACCOUNT_WALL}, lambda: self._tell("track", "Checkout Started")
        yield {Reason.SHIPPING_COST}, lambda: self._tell("track", "Checkout Step Viewed", {"step": 2})
        yield {Reason.ACCOUNT_WALL}, lambda: self._page("Sign-in", "account")
        yield {Reason.ACCOUNT_WALL}, lambda: self._page("Register", "account")

    def _look(self, items: list[int]) -> None:
        for item in items:
            self._touch("Product Viewed", item % ITEMS)

    def _page(self, name: str, topic: str) -> None:
        engaged_ms = 5_000 + int(self.rng.integers(40_000))
        self._tell("page", name, {"path": f"/{name.lower().replace(' ', '-')}"}, topics=(topic,), engaged_ms=engaged_ms)

    def _touch(self, name: str, item: int) -> None:
        self._tell("track", name, touches=(self._touched(item),))

    def _touched(self, item: int) -> Touch:
        price_minor = 500 + 50 * item
        return Touch(ItemId(f"i{item}"), value_minor=price_minor, dimensions={"category": (category_of(item),)})

    def _tell(self, call: str, name: str, properties: Mapping[str, Any] | None = None, **said: Any) -> None:
        self.now_ms += 5_000 + int(self.rng.integers(60_000))
        body = msgspec.json.encode({"properties": dict(properties or {}), "context": {}})
        self.records.append(granted_event(self.who, self.now_ms, call, name, body=body, **said))


def _counts(days: int, *kinds: Kind) -> list[dict[str, Any]]:
    return [
        {"name": f"{kind}s_{days}d", "type": "window_count", "kind": str(kind), "days": days, "sentence": ""}
        for kind in kinds
    ]


FEATURES: Final[list[dict[str, Any]]] = [
    *_counts(30, Kind.VIEW, Kind.ADD, Kind.ORDER),
    *_counts(2, Kind.VIEW, Kind.SEARCH, Kind.CART, Kind.CHECKOUT, Kind.PAGE, Kind.TICKET_OPENED),
    {"name": "days_since_order", "type": "days_since_order"},
    {"name": "days_since_visit", "type": "days_since_visit"},
    {"name": "visits_30d", "type": "visits", "days": 30},
    {"name": "active_days_30d", "type": "active_days", "days": 30},
    {"name": "cart_size", "type": "cart_size"},
    {"name": "spent_90d", "type": "spent", "days": 90},
    *features_of({"category": CATEGORIES}, half_life_days=14.0, recent=(1,)),
    *({"name": f"time_{topic}", "type": "topic_seconds", "topic": topic, "days": 2} for topic in TOPICS),
    {"name": "item_price", "type": "item_attribute", "attribute": "price", "purpose": None},
]
SCORES: Final[dict[str, dict[str, Any]]] = {
    "propensity": {"predicts": {"tells": "purchase", "days": 14}},
    "churn": {"predicts": {"tells": "churn", "days": 21}, "calendar": {"every_days": 7, "active_days": 60}},
    "intent": {"predicts": {"tells": "next_category"}},
    "why_left": {"predicts": {"tells": "abandonment", "checkout_steps": {"2": "shipping"}}},
    "stage": {"predicts": {"tells": "trait", "trait": "stage"}},
}


def write_site(folder: Path, scores: Mapping[str, dict[str, Any]] = SCORES) -> SiteContents:
    """The shop's site, with these scores."""
    items = {f"i{item}": {"category": category_of(item), "price": 5.0 + 0.5 * item} for item in range(ITEMS)}
    return site_of(folder, FEATURES, items, scores)
