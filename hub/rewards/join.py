"""Exposures and outcomes of one placement, joined into rewards.

    decisions ---> exposures (shown? when? with which probability?) --+
    activations --^                                                   +--> attribution --> rows with a reward
    events -----> outcomes (what is it worth?) -----------------------+

A join reads and writes nothing else: the same ledger gives the same bytes, in whatever order its records arrived, and
whoever joins again later has in rows what was on its way before. Windows of time do not influence one another: what an
outcome belongs to is found among all exposures that could have it, also those outside the window that is asked for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from edgewise.bundle.policy import Policy
from edgewise.bundle.rewards import RewardDefinition
from edgewise.events import Kind, kind_of
from edgewise.ids import DecisionId, MessageId, PlacementName
from edgewise.records import DecisionRecord, EventRecord
from hub.rewards.attribution import HOUR_MS, Attribution, NoItem, PersonOf, Place
from hub.rewards.definition import Outcome, outcomes_of
from hub.rewards.exposures import (
    SLACK_MS,
    Activation,
    Exposure,
    clock_jumps,
    exposures_of,
    is_activation,
)
from hub.rewards.joined import Joined
from hub.rewards.reading import Records, read_records
from hub.rewards.rows import Found, StandingOf, rows_of
from hub.rewards.traffic import Crowd

if TYPE_CHECKING:
    from hub.ledger.ledger import Ledger


class Bad(StrEnum):
    """Why an outcome or an activation counts for nothing."""

    UNKNOWN_DECISION = "unknown-decision"
    """It names a decision that is not here: not arrived yet, erased, or never made."""
    BEFORE_DECISION = "before-decision"
    FUTURE = "future"
    """It happened later than now."""
    NOT_FINITE = "not-finite"
    """What it is worth is no number, or beyond all numbers."""
    NO_ITEM = "no-item"
    """It names a decision that showed several items, and none of them."""
    LEFT_OUT = "decision-left-out"
    """It belongs to a decision that was dropped."""
    SECOND_EXPOSURE = "second-exposure"
    """A deferred decision was activated before; the first time counts."""
    REPEATED_DECISION = "repeated-decision"
    """Another record came with the id of a decision; the first that arrived is kept."""


def joined(
    ledger: Ledger,
    placement: PlacementName,
    definition: RewardDefinition,
    *,
    since_ms: int,
    until_ms: int,
    now_ms: int,
    policy: Policy | None = None,
) -> Joined:
    """Every slot that was shown in the placement by decisions of `since_ms <= time < until_ms`, with its reward.

    `now_ms` decides what still waits; nothing later than it counts. `policy` says who is no visitor, and whom
    experiments set apart; without one everybody is judged by the built-in rules.
    """
    records = read_records(ledger, [definition], policy, since_ms=since_ms, until_ms=until_ms)
    return join_prepared(prepared(records, now_ms=now_ms), placement, definition, since_ms=since_ms, until_ms=until_ms)


class Prepared(NamedTuple):
    """Records as every placement's join needs them: made once, however many placements are joined."""

    events: Mapping[MessageId, EventRecord]
    exposures: Mapping[DecisionId, Sequence[Exposure]]
    used: frozenset[tuple[MessageId, PlacementName]]
    """Events that were taken for activations."""
    bad: Mapping[PlacementName, Counter[str]]
    """What is wrong with activations."""
    person_of: PersonOf
    standing_of: StandingOf
    repeats: Mapping[DecisionId, int]
    now_ms: int


def prepared(records: Records, *, now_ms: int) -> Prepared:
    """For joins of any placement by any of the definitions that the records were read for."""
    return _prepared(
        records.decisions,
        records.events,
        person_of=records.person_of,
        standing_of=records.crowd.standing,
        repeats=records.repeats,
        now_ms=now_ms,
    )


def _prepared(
    decisions: Iterable[DecisionRecord],
    events: Iterable[EventRecord],
    *,
    person_of: PersonOf,
    standing_of: StandingOf,
    repeats: Mapping[DecisionId, int],
    now_ms: int,
) -> Prepared:
    by_id = {record.decision_id: record for record in decisions}
    by_message = _each_once(events)
    bad: dict[PlacementName, Counter[str]] = {}
    activations = activations_of(by_id, by_message.values(), bad, now_ms)
    jumped = clock_jumps(by_id.values())
    exposures = {
        record.decision_id: exposures_of(
            record, activations.get(record.decision_id, {}), jumped=record.decision_id in jumped, now_ms=now_ms
        )
        for record in by_id.values()
    }
    used = {(found.message_id, name) for by_placement in activations.values() for name, found in by_placement.items()}
    return Prepared(by_message, exposures, frozenset(used), bad, person_of, standing_of, repeats, now_ms)


def join_records(
    decisions: Iterable[DecisionRecord],
    events: Iterable[EventRecord],
    placement: PlacementName,
    definition: RewardDefinition,
    *,
    since_ms: int,
    until_ms: int,
    now_ms: int,
    person_of: PersonOf = lambda subject: subject,
    standing_of: StandingOf | None = None,
    repeats: Mapping[DecisionId, int] | None = None,
) -> Joined:
    """As `joined`, of records that somebody holds: all decisions that an outcome could belong to, and all events."""
    ready = _prepared(
        decisions,
        events,
        person_of=person_of,
        standing_of=standing_of or Crowd().standing,
        repeats=repeats or {},
        now_ms=now_ms,
    )
    return join_prepared(ready, placement, definition, since_ms=since_ms, until_ms=until_ms)


def join_prepared(
    records: Prepared,
    placement: PlacementName,
    definition: RewardDefinition,
    *,
    since_ms: int,
    until_ms: int,
) -> Joined:
    """As `join_records`."""
    by_message, exposures, used, now_ms = records.events, records.exposures, records.used, records.now_ms
    bad = Counter(records.bad.get(placement, {}))
    ours = {
        exposure.decision_id: exposure
        for placed in exposures.values()
        for exposure in placed
        if exposure.placement == placement and since_ms <= exposure.time_ms < until_ms
    }
    outcomes = sorted(outcome for event in by_message.values() for outcome in outcomes_of(event, definition))
    attribution = Attribution(exposures, records.person_of, round(definition.window_hours * HOUR_MS), outcomes=outcomes)
    came: dict[tuple[DecisionId, int], list[Outcome]] = {}
    for outcome in outcomes:
        concerns = outcome.placement in (None, placement) and since_ms <= outcome.time_ms < until_ms
        place, flaw = _placed(outcome, attribution, exposures, now_ms)
        if place is None:
            if flaw is not None and (outcome.decision_id in ours or concerns):
                bad[flaw] += 1
            continue
        exposure = ours.get(place.decision_id) if place.placement == placement else None
        if exposure is None or (outcome.message_id, placement) in used:
            continue
        if exposure.dropped is not None:
            bad[Bad.LEFT_OUT] += 1
        elif outcome.time_ms < exposure.time_ms - SLACK_MS:
            bad[Bad.BEFORE_DECISION] += 1
        else:
            came.setdefault((place.decision_id, place.position), []).append(outcome)
    repeated = sum(records.repeats.get(identifier, 0) for identifier in ours)
    if repeated:
        bad[Bad.REPEATED_DECISION] = repeated
    return rows_of(Found(placement, ours, came, bad), definition, records.standing_of, now_ms)


def _each_once(events: Iterable[EventRecord]) -> dict[MessageId, EventRecord]:
    """By message id; of two with one id the earlier stays, so that no order of arrival decides."""
    found: dict[MessageId, EventRecord] = {}
    for event in events:
        before = found.get(event.message_id)
        if before is None or _rank(event) < _rank(before):
            found[event.message_id] = event
    return found


def _rank(event: EventRecord) -> tuple[int, str, int]:
    return event.time_ms, event.producer, event.seq


def activations_of(
    decisions: Mapping[DecisionId, DecisionRecord],
    events: Iterable[EventRecord],
    bad: dict[PlacementName, Counter[str]],
    now_ms: int,
) -> dict[DecisionId, dict[PlacementName, Activation]]:
    """Decision -> placement -> the first event that says it was shown. Counts what is wrong, by placement."""
    found: dict[DecisionId, dict[PlacementName, Activation]] = {}
    seen: set[tuple[DecisionId, PlacementName, tuple[str, ...]]] = set()
    for event in sorted(filter(is_activation, events), key=lambda event: (event.time_ms, event.message_id)):
        assert event.decision_id is not None
        record = decisions.get(event.decision_id)
        if record is None or not record.deferred:
            continue
        for name in {request.name for request in record.placements}:
            if event.placement not in (None, name):
                continue
            flaw = None
            key = (record.decision_id, name, tuple(touch.item for touch in event.touches))
            if event.time_ms > now_ms + SLACK_MS:
                flaw = Bad.FUTURE
            elif event.time_ms < record.time_ms - SLACK_MS:
                flaw = Bad.BEFORE_DECISION
            elif key in seen and kind_of(event.type, event.name) is Kind.IMPRESSION:
                flaw = Bad.SECOND_EXPOSURE
            else:
                seen.add(key)
                found.setdefault(record.decision_id, {}).setdefault(name, Activation(event.time_ms, event.message_id))
            if flaw is not None:
                bad.setdefault(name, Counter())[flaw] += 1
    return found


def _placed(
    outcome: Outcome, attribution: Attribution, exposures: Mapping[DecisionId, Sequence[Exposure]], now_ms: int
) -> tuple[Place | None, Bad | None]:
    """Where it belongs, or why it is no good; neither where nobody was shown the item."""
    if not math.isfinite(outcome.worth):
        return None, Bad.NOT_FINITE
    if outcome.time_ms > now_ms + SLACK_MS:
        return None, Bad.FUTURE
    if outcome.decision_id is not None and outcome.decision_id not in exposures:
        return None, Bad.UNKNOWN_DECISION
    try:
        return attribution.place_of(outcome), None
    except NoItem:
        return None, Bad.NO_ITEM
