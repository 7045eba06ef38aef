"""The rules of a join, written down as slowly and plainly as they are told: what `hub.rewards.join` must agree with."""

from __future__ import annotations

import math
from collections import Counter

import msgspec

from edgewise.bundle.rewards import RewardDefinition, Worth
from edgewise.events import ACTIVATIONS, KIND_OF, Kind
from edgewise.records import DecisionRecord, EventRecord

SLACK_MS = 1_000
HOUR_MS = 3_600_000
Slot = tuple[str, str, int]
"""Decision, placement, position."""


class NaiveJoin:
    """`rewards`: slot -> worths in time, by time. `late`: slot -> how many. `bad`: why -> how many."""

    def __init__(
        self,
        decisions: list[DecisionRecord],
        events: list[EventRecord],
        definition: RewardDefinition,
        now_ms: int,
        person_of: dict[str, str],
    ) -> None:
        self.decisions = {str(record.decision_id): record for record in decisions}
        self.events = events
        self.definition = definition
        self.now_ms = now_ms
        self.person_of = person_of
        self.bad: Counter[str] = Counter()
        self.worths: dict[Slot, list[tuple[int, str, float]]] = {}
        self.late: Counter[Slot] = Counter()
        self.activating: set[tuple[str, str]] = set()
        self.exposed: dict[tuple[str, str], int] = {}
        self.slates: dict[tuple[str, str], list[str]] = {}
        for record in decisions:
            self._expose(record)
        self._join()

    def _expose(self, record: DecisionRecord) -> None:
        placed = msgspec.json.decode(record.decision)["placements"]
        for name, given in placed.items():
            self.slates[record.decision_id, name] = [item["id"] for item in given["items"]]
            if not record.deferred:
                self.exposed[record.decision_id, name] = record.time_ms
                continue
            activations = sorted(
                (event.time_ms, event.message_id)
                for event in self.events
                if event.decision_id == record.decision_id
                and event.name in ACTIVATIONS
                and event.placement in (None, name)
                and record.time_ms - SLACK_MS <= event.time_ms <= self.now_ms + SLACK_MS
            )
            if activations:
                self.exposed[record.decision_id, name] = max(record.time_ms, activations[0][0])
                self.activating.add((activations[0][1], name))

    def _join(self) -> None:
        ordered: dict[tuple[str, str], Slot | None] = {}
        for event in sorted(self.events, key=lambda event: (event.time_ms, event.message_id)):
            kind = KIND_OF.get(event.name, Kind.OTHER)
            said = event.name if event.name in self.definition.events else kind.value
            if said not in self.definition.events:
                continue
            for item in sorted({touch.item for touch in event.touches}):
                worth = self._worth(said, event, item)
                if event.time_ms > self.now_ms + SLACK_MS:
                    continue
                if event.decision_id is not None and event.decision_id not in self.decisions:
                    continue
                slot = self._slot(event, item, kind, ordered)
                if kind is Kind.ORDER and event.subject:
                    ordered[self._person(event.subject), item] = slot
                if slot is not None:
                    self._count(slot, event, worth)

    def _slot(
        self, event: EventRecord, item: str, kind: Kind, ordered: dict[tuple[str, str], Slot | None]
    ) -> Slot | None:
        for (decision_id, name), slate in sorted(self.slates.items()):
            if decision_id == event.decision_id and event.placement in (None, name) and item in slate:
                return decision_id, name, slate.index(item)
        if not event.subject:
            return None
        if kind is Kind.REFUND:
            return ordered.get((self._person(event.subject), item))
        best: tuple[int, str, str] | None = None
        for (decision_id, name), exposed_ms in self.exposed.items():
            theirs = self.decisions[decision_id].subject
            if not theirs or self._person(theirs) != self._person(event.subject):
                continue
            if item not in self.slates[decision_id, name] or event.placement not in (None, name):
                continue
            if not event.time_ms - self.definition.window_hours * HOUR_MS <= exposed_ms <= event.time_ms:
                continue
            best = max(best or (exposed_ms, decision_id, name), (exposed_ms, decision_id, name))
        return None if best is None else (best[1], best[2], self.slates[best[1], best[2]].index(item))

    def _count(self, slot: Slot, event: EventRecord, worth: float) -> None:
        decision_id, name, _ = slot
        exposed_ms = self.exposed.get((decision_id, name))
        if exposed_ms is None or (event.message_id, name) in self.activating:
            return
        if event.time_ms < self.decisions[decision_id].time_ms - SLACK_MS:
            return
        if event.time_ms > exposed_ms + self.definition.wait_hours * HOUR_MS:
            self.late[slot] += 1
        else:
            self.worths.setdefault(slot, []).append((event.time_ms, event.message_id, worth))

    def _worth(self, said: str, event: EventRecord, item: str) -> float:
        weight = self.definition.events[said]
        if not isinstance(weight, Worth):
            return weight
        money = sum(touch.value_minor * touch.quantity for touch in event.touches if touch.item == item)
        return weight.each + weight.per_minor * (0 if event.currency else money)

    def _person(self, subject: str) -> str:
        return self.person_of.get(subject, subject)

    def reward(self, slot: Slot) -> float:
        """What a shown slot earned."""
        came = [worth for _, _, worth in sorted(self.worths.get(slot, []))]
        if not came:
            return self.definition.default
        return {
            "sum": math.fsum(came),
            "mean": math.fsum(came) / len(came),
            "max": max(came),
            "earliest": came[0],
            "latest": came[-1],
        }[self.definition.aggregate]
