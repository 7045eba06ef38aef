"""What it is worth that a visitor wanted an item: one outcome, or several with weights.

A shop wants orders more than clicks, and no order that comes back. Where a recipe weighs kinds of events, every kind
with a weight above 0 is learned from; `refund` is taken off the order that it undoes. Judged is always the outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgewise.events import Kind
from edgewise.ids import ItemId
from edgewise.records import EventRecord
from hub.site.recipes import Outcome, Rewarded
from hub.train.history import History, kind_of_event


class Rewards:
    """Weights of kinds, and the orders that were undone."""

    def __init__(self, outcome: Outcome, weights: Mapping[Rewarded, float] | None = None) -> None:
        """Without weights the outcome alone counts, 1. Stars that the outcome asks for are asked of every review."""
        self.outcome = outcome
        self._weights: dict[str, float] = {str(kind): worth for kind, worth in (weights or {}).items()}
        self._undone: set[tuple[int, ItemId]] = set()

    def learn_refunds(self, history: History, *, judged_from: int) -> None:
        """Find the orders that came back: the visitor's latest earlier order of the item that has not come back yet.

        An order before deed `judged_from` is undone by refunds before it only: a model that is judged on what came
        later must not know of it.
        """
        if not self._weights.get(Kind.REFUND):
            return
        open_orders: dict[tuple[int, ItemId], list[int]] = {}
        for number, deed in enumerate(history.deeds):
            record = deed.record
            if not isinstance(record, EventRecord):
                continue
            kind = kind_of_event(record)
            if kind is Kind.ORDER:
                for touch in record.touches:
                    open_orders.setdefault((deed.visitor, touch.item), []).append(number)
            elif kind is Kind.REFUND:
                for touch in record.touches:
                    earlier = open_orders.get((deed.visitor, touch.item))
                    if earlier:
                        ordered = earlier.pop()
                        if ordered >= judged_from or number < judged_from:
                            self._undone.add((ordered, touch.item))

    def outcomes(self, history: History, since: int, most: int) -> list[int]:
        """Numbers of the deeds from `since` on in which something was wanted; the latest `most` of them."""
        found = [
            number
            for number in range(since, len(history))
            if isinstance(record := history.deeds[number].record, EventRecord) and self.gains(number, record)
        ]
        return found[-most:]

    def gains(self, number: int, record: EventRecord) -> dict[ItemId, float]:
        """Item -> what it is worth that it was wanted in the deed `number`; only what is above 0."""
        kind = kind_of_event(record)
        if not self._weights:
            return dict.fromkeys(wanted_items(record, self.outcome), 1.0)
        weight = self._weights.get(kind, 0.0)
        least = self.outcome.at_least if kind is Kind.REVIEW else None
        found: dict[ItemId, float] = {}
        for touch in record.touches if weight > 0 else ():
            if least is None or (touch.rating is not None and touch.rating >= least):
                undone = self._weights.get(Kind.REFUND, 0.0) if (number, touch.item) in self._undone else 0.0
                if weight + undone > 0:
                    found[touch.item] = weight + undone
        return found

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of events that have a say."""
        return tuple(self._weights) or (self.outcome.kind,)

    def of_all(self, said: Iterable[tuple[Kind, float | None]]) -> float:
        """What all that came of one shown item is worth, each kind once; 0 where it is not wanted in the end."""
        if not self._weights:
            return float(any(self.outcome.counts(kind, rating) for kind, rating in said))
        least = self.outcome.at_least
        kinds = {
            kind
            for kind, rating in said
            if kind is not Kind.REVIEW or least is None or (rating is not None and rating >= least)
        }
        return max(0.0, sum(self._weights.get(kind, 0.0) for kind in sorted(kinds)))


def outcomes_of(history: History, outcome: Outcome, since: int, most: int) -> list[int]:
    """Numbers of the deeds, from `since` on, with the outcome; the latest `most` of them."""
    return Rewards(outcome).outcomes(history, since, most)


def wanted_items(record: object, outcome: Outcome) -> list[ItemId]:
    """The items that an event says were wanted; none for any other record."""
    if not isinstance(record, EventRecord):
        return []
    kind = kind_of_event(record)
    return [touch.item for touch in record.touches if outcome.counts(kind, touch.rating)]
