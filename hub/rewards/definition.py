"""From an event to outcomes, and from outcomes to one number, as a placement's reward definition says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from edgewise.bundle.policy import Policy
from edgewise.bundle.rewards import RewardDefinition, Worth
from edgewise.decision import NOTHING
from edgewise.events import KIND_OF, Kind, kind_of
from edgewise.ids import DecisionId, ItemId, MessageId, PlacementName, SubjectId
from edgewise.records import EventRecord, Touch

CLICKED: Final = RewardDefinition({Kind.CLICK.value: 1.0}, aggregate="max")
"""Where a placement says nothing. The largest, and not the sum: a visitor who clicks twice wants it once."""
NO_ITEM: Final = NOTHING
"""Of an outcome that names a decision and no item; of a slot that stayed empty."""


def definition_in(policy: Policy, placement: PlacementName) -> RewardDefinition:
    """What the policy says of the placement; CLICKED where it says nothing, or has no such placement."""
    known = policy.placements.get(placement)
    return CLICKED if known is None or known.reward is None else known.reward


def weighs_refunds(definition: RewardDefinition) -> bool:
    """Whether any of its events undoes an order."""
    return any(said == Kind.REFUND or KIND_OF.get(said) is Kind.REFUND for said in definition.events)


class Outcome(NamedTuple):
    """What one event says of one item. Tuples sort by time, then message: the order of arrival plays no part."""

    time_ms: int
    message_id: MessageId
    item: ItemId
    said: str
    """The key of the definition that it fell under: a kind, or an event's name."""
    kind: str
    value: float
    """In the kind's own unit (`hub.ledger.rewards`)."""
    worth: float
    subject: SubjectId
    decision_id: DecisionId | None
    placement: PlacementName | None


def outcomes_of(event: EventRecord, definition: RewardDefinition) -> list[Outcome]:
    """One outcome an item that the event touches; lines of one item are added up.

    An event without items is one outcome of NO_ITEM, a review with too few stars is none. Whether `worth` is a finite
    number is for whoever joins to see.
    """
    kind = kind_of(event.type, event.name)
    said = event.name if event.name in definition.events else kind.value
    weight = definition.events.get(said)
    if weight is None:
        return []
    worth = weight if isinstance(weight, Worth) else Worth(each=weight)
    by_item: dict[ItemId, list[Touch]] = {}
    for touch in event.touches:
        by_item.setdefault(touch.item, []).append(touch)
    if not by_item:
        by_item[NO_ITEM] = []
    return [
        Outcome(
            time_ms=event.time_ms,
            message_id=event.message_id,
            item=item,
            said=said,
            kind=kind.value,
            value=_value(kind, touches, event.currency),
            worth=_worth(worth, touches, event.currency),
            subject=event.subject,
            decision_id=event.decision_id,
            placement=event.placement,
        )
        for item, touches in by_item.items()
        if worth.at_least is None or _stars(touches) >= worth.at_least
    ]


def aggregated(definition: RewardDefinition, outcomes: Sequence[Outcome]) -> float:
    """The reward of one shown item: of what came in time, in the order of time; the default where nothing did."""
    if not outcomes:
        return definition.default
    worths = [outcome.worth for outcome in outcomes]
    match definition.aggregate:
        case "earliest":
            return worths[0]
        case "latest":
            return worths[-1]
        case "max":
            return max(worths)
        case "mean":
            return math.fsum(worths) / len(worths)
        case "sum":
            return math.fsum(worths)


def _worth(worth: Worth, touches: Sequence[Touch], currency: str) -> float:
    return worth.each + worth.per_minor * (_money(touches, currency) if worth.per_minor else 0.0)


def _money(touches: Sequence[Touch], currency: str) -> float:
    """In minor units of the site's currency; what was paid in another is not added."""
    return 0.0 if currency else float(sum(touch.value_minor * touch.quantity for touch in touches))


def _value(kind: Kind, touches: Sequence[Touch], currency: str) -> float:
    match kind:
        case Kind.ADD | Kind.REMOVE:
            return float(sum(touch.quantity for touch in touches))
        case Kind.ORDER | Kind.REFUND:
            return _money(touches, currency)
        case Kind.REVIEW:
            return _stars(touches)
        case _:
            return float(max(1, len(touches)))


def _stars(touches: Sequence[Touch]) -> float:
    """Of several lines the last one that has any counts: stars are not added up. 0: none has."""
    return next((touch.rating for touch in reversed(touches) if touch.rating is not None), 0.0)
