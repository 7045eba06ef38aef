"""What a personal code gives, to how many, and until when. Part of policy.json, so that every node can say it.

The total is not a node's to keep: it spends only numbers that the hub has leased to it (`edgewise.codes.stock`), and
the hub redeems each number once.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, NewType

import msgspec
from msgspec import Meta

from edgewise.ids import CollectionName
from edgewise.money import digits_of

PromotionName = NewType("PromotionName", str)

MOST_CODES: Final = (1 << 30) - 1
"""Numbers that a code can carry; also the greatest total."""
MOST_VALID_DAYS: Final = 366

WhenOut = Literal["hide", "without"]
"""Where no code can be promised, an item of the promotion is not shown, or shown without one."""


class Discount(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a code takes off an order: exactly one of the three."""

    percent: Annotated[float, Meta(gt=0, le=100)] | None = None
    amount: Annotated[float, Meta(gt=0)] | None = None
    """In the site's currency."""
    free_shipping: bool = False

    @property
    def is_one(self) -> bool:
        """Whether just one is said."""
        return [self.percent is not None, self.amount is not None, self.free_shipping].count(True) == 1

    def text(self, currency: str) -> str:
        """For a page: `15 %`, `5.00 EUR`, `free shipping`."""
        if self.percent is not None:
            return f"{self.percent:g} %"
        if self.amount is not None:
            return f"{self.amount:.{digits_of(currency)}f} {currency}"
        return "free shipping"


class Promotion(msgspec.Struct, frozen=True, omit_defaults=True):
    """One campaign of codes. Times in milliseconds since the epoch, UTC."""

    discount: Discount
    total: Annotated[int, Meta(ge=1, le=MOST_CODES)]
    """At most so many codes are redeemed, ever. Lowering it stops new ones; what was promised is kept."""
    per_person: Annotated[int, Meta(ge=1, le=1_000)] = 1
    """At most so many are redeemed by one person, as far as the hub knows who is the same."""
    valid_days: Annotated[int, Meta(ge=1, le=MOST_VALID_DAYS)] = 14
    """A code holds until the end of that day (UTC) after it was promised."""
    starts_ms: int | None = None
    ends_ms: int | None = None
    """No code is promised from then on, and none holds."""
    minimum_order: Annotated[float, Meta(ge=0)] = 0.0
    """In the site's currency."""
    collection: CollectionName | None = None
    """For the shop: which items it is for; None: all. The hub does not look into orders."""
    when_out: WhenOut = "hide"
    generation: Annotated[int, Meta(ge=1, le=31)] = 1
    """Of the key that signs its codes. Raised when a key may be known to strangers: codes of earlier keys end."""

    def is_open(self, now_ms: int) -> bool:
        """Whether codes are promised now."""
        return (self.starts_ms is None or self.starts_ms <= now_ms) and (self.ends_ms is None or now_ms < self.ends_ms)
