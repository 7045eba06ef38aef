"""What came of a shown item, as far as an event says itself: it names the decision and touches an item.

Joining what names no decision (same visitor and item, within a window), and weighing kinds into one reward, need a
placement's definition of reward; both read what is kept here.
"""

from __future__ import annotations

from typing import Final

from edgewise.events import Kind, kind_of
from edgewise.ids import ItemId
from edgewise.records import EventRecord, Touch
from hub.ledger.rows import RewardRow

REWARDING: Final = frozenset({Kind.VIEW, Kind.CLICK, Kind.ADD, Kind.ORDER, Kind.REVIEW})


def rewards_of(event: EventRecord) -> list[RewardRow]:
    """One row an item. The value is in the kind's own unit.

    `view`, `click`: times; `add`: pieces; `order`: money in minor units of the site's currency, 0 in any other;
    `review`: stars, 0 where there are none.
    Lines of one item are summed, the stars of a review are not.
    """
    kind = kind_of(event.type, event.name)
    if event.decision_id is None or kind not in REWARDING:
        return []
    values: dict[ItemId, float] = {}
    for touch in event.touches:
        before = 0.0 if kind is Kind.REVIEW else values.get(touch.item, 0.0)
        values[touch.item] = before + _value(kind, touch, event.currency)
    return [
        RewardRow(
            decision_id=event.decision_id,
            item=item,
            message_id=event.message_id,
            placement=event.placement,
            kind=kind.value,
            value=value,
            time_ms=event.time_ms,
        )
        for item, value in values.items()
    ]


def _value(kind: Kind, touch: Touch, currency: str) -> float:
    match kind:
        case Kind.ADD:
            return float(touch.quantity)
        case Kind.ORDER:
            return 0.0 if currency else float(touch.value_minor * touch.quantity)
        case Kind.REVIEW:
            return touch.rating or 0.0
        case _:
            return 1.0
