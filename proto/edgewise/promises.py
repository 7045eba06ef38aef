"""What a promised code adds to the content that a page renders: `code`, `codeExpires`, `discount`.

The engine never sees a code. It is told of which promotions none can be promised (`Question.unpromised`), and decides
without their items; whoever answers then adds the codes to what was decided, so that a decision can be made again
without promising anything.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from edgewise.bundle.catalogue import Item
from edgewise.bundle.promotions import Promotion, PromotionName
from edgewise.ids import ItemId


class Promise(NamedTuple):
    """A code that a person was promised."""

    promotion: PromotionName
    number: int
    text: str
    """The code as it is written."""
    ends_ms: int
    """The first moment at which it does not hold any more."""


Promises = Mapping[ItemId, Promise]
"""Items that are shown with a code."""
NO_PROMISES: Final[Promises] = {}
"""Nobody writes to it."""


def promised_content(
    content: Mapping[str, Any], promise: Promise, promotion: Promotion, currency: str
) -> dict[str, Any]:
    """The content of an item with its code; a content has none of these keys itself (`site check`)."""
    return {
        **content,
        "code": promise.text,
        "codeExpires": dt.datetime.fromtimestamp(promise.ends_ms / 1_000, dt.UTC).isoformat().replace("+00:00", "Z"),
        "discount": promotion.discount.text(currency),
    }


def items_of_promotions(items: Iterable[Item]) -> dict[PromotionName, frozenset[ItemId]]:
    """Promotion -> the items that name it."""
    found: dict[PromotionName, set[ItemId]] = {}
    for item in items:
        if item.promotion is not None:
            found.setdefault(item.promotion, set()).add(item.id)
    return {name: frozenset(ids) for name, ids in found.items()}
