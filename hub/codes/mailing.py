"""Codes in mails: the hub promises out of the same budget as nodes do, one number a mail and promotion.

The lease's name is made of the mail's key (`lease_of_mail`), so that a mail that is written again, after a crash or
because its receiver was busy, comes with the number that it had. The number of a mail that is never sent comes back
when its lease ends.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgewise.bundle.promotions import Promotion, PromotionName
from edgewise.codes.code import day_end_ms, day_of, write_code
from edgewise.errors import EdgewiseError
from edgewise.ids import ItemId, SubjectId
from edgewise.profile.state import DAY_MS
from edgewise.promises import Promise
from hub.codes.book import CodeBook
from hub.ledger.code_leases import MAIL, lease_of_mail
from hub.ledger.ledger import Ledger


class MailCodes:
    """Promises codes for one hub's mails. `mail` is a mail's key in the outbox."""

    def __init__(self, ledger: Ledger, book: CodeBook) -> None:
        self._ledger = ledger
        self._book = book

    def unpromised(
        self, offers: Mapping[PromotionName, Promotion], mail: str, now_ms: int
    ) -> tuple[PromotionName, ...]:
        """Promotions of which nothing is left for this mail, or whose time it is not."""
        if not offers:
            return ()
        free = {budget.promotion: budget.free for budget in self._ledger.budgets()}
        return tuple(
            name
            for name, promotion in offers.items()
            if not promotion.is_open(now_ms)
            or (free.get(name, promotion.total) <= 0 and not self._ledger.is_code_lent(lease_of_mail(mail, name)))
        )

    def promise(
        self, shown: Mapping[ItemId, PromotionName], subject: SubjectId, mail: str, now_ms: int
    ) -> dict[ItemId, Promise]:
        """Codes for the items of one mail, one a promotion; none where the last number went meanwhile."""
        made = {name: self._promise(name, subject, mail, now_ms) for name in dict.fromkeys(shown.values())}
        return {item: promise for item, name in shown.items() if (promise := made[name]) is not None}

    def _promise(self, name: PromotionName, subject: SubjectId, mail: str, now_ms: int) -> Promise | None:
        try:
            found = self._book.promise_one(lease_of_mail(mail, name), name, MAIL)
        except EdgewiseError:
            return None
        if found is None:
            return None
        lease, key = found
        promotion = self._book.terms()[name]
        last_day = min(lease.last_day, day_of(now_ms + promotion.valid_days * DAY_MS))
        ends_ms = day_end_ms(last_day)
        if promotion.ends_ms is not None:
            ends_ms = min(ends_ms, promotion.ends_ms)
        return Promise(name, lease.first, write_code(key, lease.first, last_day, subject), ends_ms)
