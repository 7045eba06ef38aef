"""Which shown slot an outcome belongs to: the one that it names, else the last time the visitor was shown the item.

    names a decision that showed the item  -> that slot, in the placement that it names, or the first by name
    is a refund                            -> where the visitor's last order of the item went, if anywhere
    else                                   -> the last exposure of the item to the person before it, in any placement,
                                              or in the one that it names, at most `window_hours` ago

Last touch, because it can be told from what is logged and counts every outcome once over all placements; shares among
several exposures would need a model of what each of them did.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from edgewise.events import Kind
from edgewise.ids import DecisionId, ItemId, PlacementName, SubjectId
from edgewise.records import ANONYMOUS
from hub.rewards.definition import NO_ITEM, Outcome
from hub.rewards.exposures import Exposure

HOUR_MS: Final = 3_600_000
PersonOf = Callable[[SubjectId], SubjectId]
"""Any subject of a person -> one that is the same for all of them."""


class Place(NamedTuple):
    """A slot of an exposure. Sorts by time, then by decision and placement: the same for any order of arrival."""

    exposed_ms: int
    decision_id: DecisionId
    placement: PlacementName
    position: int
    """In the exposure's slots, from 0."""


class NoItem(Exception):  # noqa: N818  # reads as what happened
    """An outcome names a decision that showed several items, and none of them."""


class Attribution:
    """Exposures by decision, and by person and item. Ask in the order of time: refunds follow the orders before."""

    def __init__(
        self,
        exposures: Mapping[DecisionId, Iterable[Exposure]],
        person_of: PersonOf,
        window_ms: int,
        *,
        outcomes: Iterable[Outcome],
    ) -> None:
        """`outcomes` are those that it will be asked for: what nobody did anything with is not looked up."""
        self._by_decision = {
            decision_id: sorted(placed, key=lambda exposure: exposure.placement)
            for decision_id, placed in exposures.items()
        }
        self._person_of = person_of
        self._window_ms = window_ms
        self._shown: dict[tuple[SubjectId, ItemId], list[Place]] = {}
        self._ordered: dict[tuple[SubjectId, ItemId], Place | None] = {}
        sought = {
            (person_of(outcome.subject), outcome.item)
            for outcome in outcomes
            if outcome.subject != ANONYMOUS and outcome.item != NO_ITEM
        }
        for placed in self._by_decision.values():
            for exposure in placed:
                if exposure.was_seen and exposure.record.subject != ANONYMOUS:
                    person = person_of(exposure.record.subject)
                    for position, slot in enumerate(exposure.slots):
                        if (key := (person, slot.item)) in sought:
                            self._shown.setdefault(key, []).append(_place(exposure, position))
        for places in self._shown.values():
            places.sort()

    def place_of(self, outcome: Outcome) -> Place | None:
        """Where it belongs; None: nowhere. Raises NoItem."""
        key = None if outcome.subject == ANONYMOUS else (self._person_of(outcome.subject), outcome.item)
        place = self._named(outcome)
        if place is None and key is not None and outcome.item != NO_ITEM:
            is_refund = outcome.kind == Kind.REFUND
            place = self._ordered.get(key) if is_refund else self._last(key, outcome)
        if key is not None and outcome.kind == Kind.ORDER:
            self._ordered[key] = place
        return place

    def _named(self, outcome: Outcome) -> Place | None:
        if outcome.decision_id is None:
            return None
        for exposure in self._by_decision.get(outcome.decision_id, ()):
            if outcome.placement in (None, exposure.placement):
                position = _position(exposure, outcome.item)
                if position is not None:
                    return _place(exposure, position)
        return None

    def _last(self, key: tuple[SubjectId, ItemId], outcome: Outcome) -> Place | None:
        places = self._shown.get(key, [])
        for index in range(bisect_right(places, outcome.time_ms, key=lambda place: place.exposed_ms) - 1, -1, -1):
            if places[index].exposed_ms < outcome.time_ms - self._window_ms:
                break
            if outcome.placement in (None, places[index].placement):
                return places[index]
        return None


def _position(exposure: Exposure, item: ItemId) -> int | None:
    """Which slot is meant; None: another item. Raises NoItem.

    Where nothing of ours was shown, whatever names the decision is what came of that.
    """
    items = [slot.item for slot in exposure.slots if slot.item != NO_ITEM]
    if not items:
        return 0
    if item != NO_ITEM:
        return items.index(item) if item in items else None
    if len(items) > 1:
        raise NoItem
    return 0


def _place(exposure: Exposure, position: int) -> Place:
    return Place(exposure.exposed_ms, exposure.decision_id, exposure.placement, position)
