"""What decisions showed, and when, read leniently: what is wrong with one is a value here.

A node writes no propensity that is none; records of others, of older nodes, or of a defect may hold anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from edgewise.errors import MALFORMED
from edgewise.events import ACTIVATIONS
from edgewise.ids import ArmName, DecisionId, ExperimentKey, ItemId, MessageId, PlacementName
from edgewise.records import DecisionRecord, EventRecord
from hub.rewards.definition import NO_ITEM

SLACK_MS: Final = 1_000
"""Clocks of two nodes are never equal: what names a decision may be so much earlier than it."""
JUMP_MS: Final = 5_000
"""A worker numbers its decisions as it makes them: times that run back by more are those of a clock that was set."""


class Dropped(StrEnum):
    """Why a decision has no rows."""

    DAMAGED = "damaged"
    DRY_RUN = "dry-run"
    FUTURE = "future"
    """It was made later than now."""
    CLOCK_JUMP = "clock-jump"
    PROPENSITY_MISSING = "propensity-missing"
    """Also NaN, which JSON cannot hold."""
    PROPENSITY_0 = "propensity-0"
    """Or below: what cannot have been chosen."""
    PROPENSITY_ABOVE_1 = "propensity-above-1"
    LEARNING_PROBABILITY = "learning-probability"
    """It was kept with a probability that is none, so that nobody knows for how many it stands."""
    NOT_SHOWN = "not-shown"
    """Deferred, and no activation came."""
    UNRENDERED = "unrendered"
    """A template could not show all of it: the visitor saw something else than what was decided."""


class Slot(NamedTuple):
    """One place of a slate; NO_ITEM where it stayed empty."""

    rank: int
    item: ItemId
    propensity: float
    reason: str


class Exposure(NamedTuple):
    """One placement of one decision."""

    decision_id: DecisionId
    placement: PlacementName
    time_ms: int
    exposed_ms: int
    slots: tuple[Slot, ...]
    arm: ArmName
    experiment: ExperimentKey | None
    is_forced: bool
    record: DecisionRecord
    """Without what is large: see `slim`."""
    dropped: Dropped | None
    """None: it was shown, and can be learned from."""

    @property
    def was_seen(self) -> bool:
        """Whether the visitor had it before his eyes at a time that is known, even if it cannot be learned from."""
        return self.dropped is None or self.dropped in _SEEN


_SEEN: Final = frozenset(
    {
        Dropped.PROPENSITY_0,
        Dropped.PROPENSITY_MISSING,
        Dropped.PROPENSITY_ABOVE_1,
        Dropped.LEARNING_PROBABILITY,
    }
)


class Activation(NamedTuple):
    """When a deferred decision was first seen to be shown."""

    time_ms: int
    message_id: MessageId


_Rank = Annotated[int, Meta(ge=1, le=1_000)]


class _Item(msgspec.Struct):
    id: ItemId
    rank: _Rank
    propensity: float | None = None
    reason: str = ""


class _Nothing(msgspec.Struct):
    rank: _Rank
    propensity: float | None = None
    reason: str = ""


class _Assignment(msgspec.Struct):
    key: ExperimentKey
    forced: bool = False


class _Placed(msgspec.Struct):
    items: tuple[_Item, ...] = ()
    nothing: _Nothing | None = None
    reason: str = ""
    policy: ArmName = ArmName("")
    experiment: _Assignment | None = None


class _Logged(msgspec.Struct):
    placements: dict[PlacementName, _Placed]


_decoder = msgspec.json.Decoder(_Logged)


def slim(record: DecisionRecord) -> DecisionRecord:
    """The record without feature rows and challengers: a join of a month holds all its decisions."""
    return msgspec.structs.replace(record, shown={}, sampled={}, shadows={})


def clock_jumps(records: Iterable[DecisionRecord]) -> set[DecisionId]:
    """Decisions of workers whose clock ran back by more than JUMP_MS.

    Which of its readings was wrong nobody can tell: both sides of a jump are named, all those later than something that
    was numbered after them, and all those earlier than something that was numbered before.
    """
    by_producer: dict[str, list[tuple[int, int, DecisionId]]] = {}
    for record in records:
        by_producer.setdefault(record.producer, []).append((record.seq, record.time_ms, record.decision_id))
    found: set[DecisionId] = set()
    for numbered in by_producer.values():
        numbered.sort()
        latest = -math.inf
        for _, time_ms, decision_id in numbered:
            if time_ms < latest - JUMP_MS:
                found.add(decision_id)
            latest = max(latest, time_ms)
        earliest = math.inf
        for _, time_ms, decision_id in reversed(numbered):
            if time_ms > earliest + JUMP_MS:
                found.add(decision_id)
            earliest = min(earliest, time_ms)
    return found


def is_activation(event: EventRecord) -> bool:
    """Whether the event says that a deferred decision was shown."""
    return event.decision_id is not None and event.name in ACTIVATIONS


def exposures_of(
    record: DecisionRecord,
    activations: dict[PlacementName, Activation],
    *,
    jumped: bool,
    now_ms: int,
) -> list[Exposure]:
    """Every placement that the decision was asked for. `activations`: the first of each, where it was deferred."""
    try:
        logged = _decoder.decode(record.decision).placements
    except MALFORMED:
        logged = None
    return [
        _exposure(record, request.name, logged, activations, jumped=jumped, now_ms=now_ms)
        for request in record.placements
    ]


def _exposure(
    record: DecisionRecord,
    placement: PlacementName,
    logged: dict[PlacementName, _Placed] | None,
    activations: dict[PlacementName, Activation],
    *,
    jumped: bool,
    now_ms: int,
) -> Exposure:
    placed = None if logged is None else logged.get(placement)
    given = placed or _Placed()
    slots = _slots(given)
    dropped: Dropped | None = None
    activation = activations.get(placement) if record.deferred else None
    if placed is None:
        dropped = Dropped.DAMAGED
    elif record.dry_run:
        dropped = Dropped.DRY_RUN
    elif record.time_ms > now_ms + SLACK_MS:
        dropped = Dropped.FUTURE
    elif jumped:
        dropped = Dropped.CLOCK_JUMP
    elif record.deferred and activation is None:
        dropped = Dropped.NOT_SHOWN
    elif placement in record.unrendered:
        dropped = Dropped.UNRENDERED
    elif not 0 < record.learning_probability <= 1:
        dropped = Dropped.LEARNING_PROBABILITY
    else:
        dropped = next((flaw for slot in slots if (flaw := _flaw(slot.propensity)) is not None), None)
    return Exposure(
        decision_id=record.decision_id,
        placement=placement,
        time_ms=record.time_ms,
        exposed_ms=record.time_ms if activation is None else max(record.time_ms, activation.time_ms),
        slots=slots,
        arm=given.policy,
        experiment=None if given.experiment is None else given.experiment.key,
        is_forced=placement in record.force or (given.experiment is not None and given.experiment.forced),
        record=record,
        dropped=dropped,
    )


def _slots(placed: _Placed) -> tuple[Slot, ...]:
    """Where a slate ended on purpose, that is a slot of NO_ITEM; also the only one of a slate that was never filled.

    Such a slate, of an arm that leaves the page its own content, was certain.
    """
    slots = [Slot(item.rank, item.id, _probability(item.propensity), item.reason) for item in placed.items]
    slots.sort()
    nothing = placed.nothing
    if nothing is not None:
        slots.append(Slot(nothing.rank, NO_ITEM, _probability(nothing.propensity), nothing.reason))
    return tuple(slots) or (Slot(1, NO_ITEM, 1.0, placed.reason),)


def _probability(stated: float | None) -> float:
    return math.nan if stated is None else stated


def _flaw(propensity: float) -> Dropped | None:
    if math.isnan(propensity):
        return Dropped.PROPENSITY_MISSING
    if propensity <= 0:
        return Dropped.PROPENSITY_0
    return Dropped.PROPENSITY_ABOVE_1 if propensity > 1 else None
