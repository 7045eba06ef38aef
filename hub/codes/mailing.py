"""Codes in mails: the hub promises out of the same budget as nodes do, one number at a time, when a mail is written.

A mail whose fate stays open, or that is written again, costs a number; its place in the total comes back when the
lease ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from edgewise.bundle.promotions import Promotion, PromotionName
from edgewise.codes.code import day_end_ms, day_of, write_code
from edgewise.errors import EdgewiseError
from edgewise.ids import ItemId, NodeId, SubjectId
from edgewise.profile.state import DAY_MS
from edgewise.promises import Promise
from hub.codes.book import CodeBook
from hub.ledger.code_leases import Held
from hub.ledger.ledger import Ledger

MAIL: Final = NodeId("hub-mail")
"""By this name the hub leases from itself; no node is called so."""


class MailCodes:
    """Promises codes for one hub's mails."""

    def __init__(self, ledger: Ledger, book: CodeBook, entropy: Callable[[int], bytes]) -> None:
        self._ledger = ledger
        self._book = book
        self._entropy = entropy

    def unpromised(self, offers: Mapping[PromotionName, Promotion], now_ms: int) -> tuple[PromotionName, ...]:
        """Promotions of which nothing is left, or whose time it is not."""
        if not offers:
            return ()
        free = {budget.promotion: budget.free for budget in self._ledger.budgets()}
        return tuple(
            name
            for name, promotion in offers.items()
            if not promotion.is_open(now_ms) or free.get(name, promotion.total) <= 0
        )

    def promise(self, shown: Mapping[ItemId, PromotionName], subject: SubjectId, now_ms: int) -> dict[ItemId, Promise]:
        """Codes for the items of one mail, one a promotion; none where the last number went meanwhile."""
        made = {name: self._promise(name, subject, now_ms) for name in dict.fromkeys(shown.values())}
        return {item: promise for item, name in shown.items() if (promise := made[name]) is not None}

    def _promise(self, name: PromotionName, subject: SubjectId, now_ms: int) -> Promise | None:
        incarnation = self._entropy(16).hex()
        try:
            lent = self._book.lend(MAIL, incarnation, [], {name: 1})
            lease = next((lease for lease in lent.leases if lease.promotion == name), None)
            key = next((key for key in lent.keys if key.promotion == name), None)
            if lease is None or key is None:
                return None
            # Durable before use: from here on the number counts as promised.
            self._book.lend(MAIL, incarnation, [Held(lease.id, incarnation, 1, finished=True)], {})
        except EdgewiseError:
            return None
        promotion = self._book.terms()[name]
        last_day = min(lease.last_day, day_of(now_ms + promotion.valid_days * DAY_MS))
        ends_ms = day_end_ms(last_day)
        if promotion.ends_ms is not None:
            ends_ms = min(ends_ms, promotion.ends_ms)
        return Promise(name, lease.first, write_code(key, lease.first, last_day, subject), ends_ms)
