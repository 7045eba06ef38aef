"""Codes that orders came with: by the shop's own call, or by `Order Completed` with `coupon` once it is stored.

What an order event says has happened already: where its code is not good the order stands, the denial is counted and
logged, and settling it is the shop's. A shop that wants to know before calls the hub, or any node.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from edgewise.codes.code import letters_of
from edgewise.errors import MALFORMED
from edgewise.ids import SubjectId
from edgewise.records import EventRecord
from edgewise.subjects import subject_of
from hub.codes.book import CodeBook, Purchase, Verdict
from hub.ledger.ledger import Ledger
from hub.log import Log

ORDER: Final = "Order Completed"
_MOST_COUPONS: Final = 20
"""Of one order that are looked at."""


class Followed(NamedTuple):
    """What one look at new events came to."""

    redeemed: int = 0
    denied: int = 0


class Redeemer:
    """Knows who a person is, and hands codes to the book."""

    def __init__(self, ledger: Ledger, book: CodeBook, subject_key: Callable[[], bytes], log: Log) -> None:
        self._ledger = ledger
        self._book = book
        self._subject_key = subject_key
        self._log = log

    def subjects_of(self, names: Mapping[str, str]) -> list[SubjectId]:
        """Everybody that a person goes by; `names` are kinds of identifiers and what they are."""
        key = self._subject_key()
        return self._all([subject_of(key, kind, name) for kind, name in names.items()])

    def redeem(self, text: str, purchase: Purchase, names: Mapping[str, str]) -> Verdict:
        """Redeem a code for a person that a shop names. Raises as `CodeBook.redeem`."""
        return self._book.redeem(text, purchase, self.subjects_of(names))

    def follow(self) -> Followed:
        """Redeem the codes of orders that were stored since the last look; each order once, however often it is read.

        Raises UnavailableError when the ledger is away; then the next look goes on where this one ended.
        """
        ledger, redeemed, denied = self._ledger, 0, 0
        until, after = ledger.revision(), ledger.code_cursor()
        if after >= until:
            return Followed()
        if ledger.budgets():  # nobody has a code before numbers were lent
            for position, order in ledger.events_called(ORDER, after_position=after, until_position=until):
                for verdict in self._take(order):
                    redeemed += verdict.is_new
                    denied += verdict.denial is not None
                ledger.move_code_cursor(position)
        ledger.move_code_cursor(until)
        return Followed(redeemed, denied)

    def _take(self, order: EventRecord) -> Iterator[Verdict]:
        said = _properties(order)
        coupons = _coupons(said)
        if not coupons:
            return
        subjects = self._all([order.subject, *order.identifiers.values()])
        number = said.get("order_id") or said.get("orderId") or order.message_id
        purchase = Purchase(str(number), order.time_ms, _value(said), "event")
        for coupon in coupons:
            verdict = self._book.redeem(coupon, purchase, subjects)
            if verdict.denial is not None:
                self._log.warning(
                    "an order came with a code that is not accepted",
                    promotion=None if verdict.code is None else verdict.code.promotion,
                    reason=verdict.denial.value,
                    order=str(number)[:80],
                )
            yield verdict

    def _all(self, subjects: Sequence[SubjectId]) -> list[SubjectId]:
        named = list(dict.fromkeys(subject for subject in subjects if subject))
        people = self._ledger.people_of(named) if named else {}
        return list(dict.fromkeys([*named, *(member for members in people.values() for member in members)]))


def _properties(order: EventRecord) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(order.body).get("properties") if order.body else {}
    except (AttributeError, *MALFORMED):
        return {}
    return said if isinstance(said, dict) else {}


def _coupons(said: Mapping[str, Any]) -> list[str]:
    """Of the order, and of its products; only what can be a code of ours."""
    products = said.get("products")
    found = [said.get("coupon")]
    if isinstance(products, list):
        found += [product.get("coupon") for product in products if isinstance(product, dict)]
    texts = dict.fromkeys(text for text in found if isinstance(text, str) and letters_of(text) is not None)
    return list(texts)[:_MOST_COUPONS]


def _value(said: Mapping[str, Any]) -> float | None:
    """What was bought, before the discount; None where the event does not say."""
    for name in ("subtotal", "revenue", "total"):
        amount = _number(said.get(name))
        if amount is not None:
            return amount + (_number(said.get("discount")) or 0.0)
    return None


def _number(given: Any) -> float | None:
    """None for what is none, and for a whole number that no float holds: one order must not hold up all later ones."""
    if isinstance(given, bool) or not isinstance(given, int | float) or abs(given) > sys.float_info.max:
        return None
    return float(given)
