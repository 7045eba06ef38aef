"""From exposures and what came of them to rows: what was in time, what is aggregated, who counts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from edgewise.bundle.rewards import RewardDefinition
from edgewise.ids import DecisionId, PlacementName
from hub.rewards.attribution import HOUR_MS
from hub.rewards.definition import Outcome, aggregated
from hub.rewards.exposures import Exposure
from hub.rewards.joined import Counts, Joined, RowState
from hub.rewards.traffic import Standing

StandingOf = Callable[[Exposure], Standing]
"""How a decision is to be counted."""


class Found(NamedTuple):
    """What is known of one placement once outcomes have found their places."""

    placement: PlacementName
    exposures: Mapping[DecisionId, Exposure]
    """All of the window, also those that were dropped."""
    came: Mapping[tuple[DecisionId, int], Sequence[Outcome]]
    """Decision and position in its slots -> outcomes by time."""
    bad: Mapping[str, int]


def rows_of(found: Found, definition: RewardDefinition, standing_of: StandingOf, now_ms: int) -> Joined:
    """The rows, by time, decision and slot; the counts."""
    wait_ms = round(definition.wait_hours * HOUR_MS)
    shown = sorted(
        (exposure for exposure in found.exposures.values() if exposure.dropped is None),
        key=lambda exposure: (exposure.time_ms, exposure.decision_id),
    )
    rows = [(exposure, position) for exposure in shown for position in range(len(exposure.slots))]
    slots = [exposure.slots[position] for exposure, position in rows]
    in_time: list[tuple[Outcome, ...]] = []
    late: list[tuple[Outcome, ...]] = []
    for exposure, position in rows:
        theirs = found.came.get((exposure.decision_id, position), ())
        until_ms = exposure.exposed_ms + wait_ms
        in_time.append(tuple(outcome for outcome in theirs if outcome.time_ms <= until_ms))
        late.append(tuple(outcome for outcome in theirs if outcome.time_ms > until_ms))
    waits = [now_ms <= exposure.exposed_ms + wait_ms for exposure, _ in rows]
    states = [
        RowState.WAITING if is_waiting else RowState.LATE if too_late else RowState.SETTLED
        for is_waiting, too_late in zip(waits, late, strict=True)
    ]
    joint = {exposure.decision_id: math.prod(slot.propensity for slot in exposure.slots) for exposure in shown}
    standing = {exposure.decision_id: standing_of(exposure) for exposure in shown}
    dropped = Counter(str(exposure.dropped) for exposure in found.exposures.values() if exposure.dropped is not None)
    counts = Counts(
        made=len(found.exposures),
        shown=len(shown),
        waiting=sum(now_ms <= exposure.exposed_ms + wait_ms for exposure in shown),
        rewarded=_decisions(rows, in_time),
        late=_decisions(rows, late),
        sampled=sum(not exposure.record.is_kept for exposure in shown),
        deferred=sum(exposure.record.deferred for exposure in shown),
        dropped=dict(sorted(dropped.items())),
        traffic=dict(sorted(Counter(str(each.traffic) for each in standing.values()).items())),
        outcomes=sum(map(len, in_time)) + sum(map(len, late)),
        bad=dict(sorted(found.bad.items())),
    )
    exposed = [exposure for exposure, _ in rows]
    return Joined(
        placement=found.placement,
        decision_id=tuple(exposure.decision_id for exposure in exposed),
        time_ms=np.array([exposure.time_ms for exposure in exposed], np.int64),
        exposed_ms=np.array([exposure.exposed_ms for exposure in exposed], np.int64),
        slot=np.array([slot.rank for slot in slots], np.int32),
        item=tuple(slot.item for slot in slots),
        propensity=np.array([slot.propensity for slot in slots], np.float64),
        joint_propensity=np.array([joint[exposure.decision_id] for exposure in exposed], np.float64),
        reason=tuple(slot.reason for slot in slots),
        arm=tuple(exposure.arm for exposure in exposed),
        experiment=tuple(exposure.experiment for exposure in exposed),
        forced=np.array([exposure.is_forced for exposure in exposed], np.bool_),
        unit=tuple(exposure.record.unit for exposure in exposed),
        subject=tuple(exposure.record.subject for exposure in exposed),
        reward=np.array([aggregated(definition, outcomes) for outcomes in in_time], np.float64),
        outcomes=tuple(in_time),
        late=tuple(late),
        state=tuple(states),
        deferred=np.array([exposure.record.deferred for exposure in exposed], np.bool_),
        traffic=tuple(standing[exposure.decision_id].traffic for exposure in exposed),
        measured_only=np.array([standing[exposure.decision_id].is_measured_only for exposure in exposed], np.bool_),
        kept=np.array([exposure.record.is_kept for exposure in exposed], np.bool_),
        sample_probability=np.array([exposure.record.learning_probability for exposure in exposed], np.float64),
        bundle_version=tuple(exposure.record.bundle_version for exposure in exposed),
        counts=counts,
    )


def _decisions(rows: Sequence[tuple[Exposure, int]], came: Sequence[Sequence[Outcome]]) -> int:
    """Of how many decisions something came."""
    return len({exposure.decision_id for (exposure, _), outcomes in zip(rows, came, strict=True) if outcomes})
