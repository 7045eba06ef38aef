"""What a dsjson log came to, in the numbers that VW's own `--dsjson` metrics state of the same file."""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime
from typing import NamedTuple

import msgspec

from hub.imports.dsjson import DsjsonDecision, LeftOut


class Moment(msgspec.Struct, frozen=True):
    """One decision of the log, and when it was made."""

    event_id: str
    timestamp: str | None
    """As the log has it; None where it has none."""


class Baseline(msgspec.Struct, frozen=True):
    """Decisions whose first slot shows what the service would have shown without learning."""

    events: int
    sum_of_cost: float
    """Of that slot."""


class DsjsonSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Over the decisions that were imported; a cost is minus a reward."""

    events: int
    slots: int
    events_by_slots: dict[str, int]
    """How many decisions fill one slot, two, ...; keys are numbers."""
    least_actions: int
    """To choose from in a decision."""
    most_actions: int
    sum_of_cost: float
    first_slot_cost: float
    events_with_cost: int
    """In which some slot's cost is not 0."""
    baseline: Baseline
    least_propensity: float
    most_propensity: float
    sum_of_weights: float
    """How many decisions they stand for, with those that were dropped before (`pdrop`)."""
    first: Moment
    """By time where the log has times, else by line."""
    last: Moment
    left_out: LeftOut
    features_left_out: int
    """Rare features that no longer had a column."""


class _Seen(NamedTuple):
    at: datetime | None
    moment: Moment


class Tally:
    """Adds decisions up, one at a time."""

    def __init__(self) -> None:
        self._costs: list[float] = []
        self._first_costs: list[float] = []
        self._baseline_costs: list[float] = []
        self._weights: list[float] = []
        self._by_slots: Counter[int] = Counter()
        self._actions: set[int] = set()
        self._propensities: tuple[float, float] = (1.0, 0.0)
        self._with_cost = 0
        self._first: _Seen | None = None
        self._last: _Seen | None = None

    def add(self, event_id: str, decision: DsjsonDecision, at: datetime | None) -> None:
        """Count one decision that is imported."""
        costs = [0.0 - slot.reward for slot in decision.slots]
        first = decision.slots[0]
        self._costs += costs
        self._first_costs.append(costs[0])
        self._with_cost += any(costs)
        if first.is_baseline:
            self._baseline_costs.append(costs[0])
        self._weights.append(decision.weight)
        self._by_slots[len(costs)] += 1
        self._actions.add(len(decision.actions))
        shown = [slot.propensity for slot in decision.slots]
        self._propensities = min(self._propensities[0], *shown), max(self._propensities[1], *shown)
        seen = _Seen(at, Moment(event_id, decision.timestamp))
        if self._first is None or (at and self._first.at and at < self._first.at):
            self._first = seen
        if self._last is None or not (at and self._last.at and at < self._last.at):
            self._last = seen

    def summary(self, left_out: LeftOut, features_left_out: int) -> DsjsonSummary:
        """The totals; at least one decision was added."""
        assert self._first is not None
        assert self._last is not None
        return DsjsonSummary(
            events=len(self._weights),
            slots=len(self._costs),
            events_by_slots={str(slots): count for slots, count in sorted(self._by_slots.items())},
            least_actions=min(self._actions),
            most_actions=max(self._actions),
            sum_of_cost=_total(self._costs),
            first_slot_cost=_total(self._first_costs),
            events_with_cost=self._with_cost,
            baseline=Baseline(len(self._baseline_costs), _total(self._baseline_costs)),
            least_propensity=self._propensities[0],
            most_propensity=self._propensities[1],
            sum_of_weights=_total(self._weights),
            first=self._first.moment,
            last=self._last.moment,
            left_out=left_out,
            features_left_out=features_left_out,
        )


def _total(values: list[float]) -> float:
    """Correctly rounded, so that no order of lines matters."""
    return math.fsum(values)
