"""What a join gives: a row for each slot that was shown, as columns, and what became of everything else, counted."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.ids import ArmName, BundleVersion, DecisionId, ExperimentKey, ItemId, PlacementName, SubjectId
from hub.rewards.definition import Outcome


class RowState(StrEnum):
    """How far the reward of a row has come."""

    WAITING = "waiting"
    """Something may still come in time: not to be learned from."""
    SETTLED = "settled"
    LATE = "late"
    """Settled, and something came after that; it is kept beside the reward and not in it."""


class Traffic(StrEnum):
    """Whose decision it was."""

    VISITOR = "visitor"
    BOT = "bot"
    INTERNAL = "internal"
    TRAINING = "training"
    """A visitor set apart to be learned from while an experiment runs; counts in no lift."""


class Counts(msgspec.Struct, frozen=True):
    """Decisions of the placement. `made` = `shown` + all of `dropped`; `shown` = all of `traffic`."""

    made: int = 0
    shown: int = 0
    """Those with rows."""
    waiting: int = 0
    rewarded: int = 0
    """Something came in time."""
    late: int = 0
    """Something came too late."""
    sampled: int = 0
    """Shown, and not kept for learning."""
    deferred: int = 0
    """Shown because their activation came."""
    dropped: dict[str, int] = {}
    """Why decisions have no row -> how many; see `hub.rewards.exposures.Dropped`."""
    traffic: dict[str, int] = {}
    outcomes: int = 0
    """Outcomes, one an event and item, that were joined, in time or late."""
    bad: dict[str, int] = {}
    """Why events or parts of them count for nothing -> how many; see `hub.rewards.join.Bad`."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Rows in the order of time, decision and slot, whatever the order in which records arrived."""

    placement: PlacementName
    decision_id: tuple[DecisionId, ...]
    """(n,), as all columns; a decision has a row for each slot that it filled."""
    time_ms: NDArray[np.int64]
    """When it was decided."""
    exposed_ms: NDArray[np.int64]
    """When it was shown: its activation, where it was deferred."""
    slot: NDArray[np.int32]
    """From 1."""
    item: tuple[ItemId, ...]
    """`hub.rewards.definition.NO_ITEM` where a slate ended on purpose, or nothing of ours was shown."""
    propensity: NDArray[np.float64]
    """P(item in this slot | items of earlier slots), in (0, 1]."""
    joint_propensity: NDArray[np.float64]
    """P(the decision's whole slate), the product over its slots; the same in all its rows. May underflow to 0."""
    reason: tuple[str, ...]
    """Of the slot (`edgewise.reasons.Reason`)."""
    arm: tuple[ArmName, ...]
    experiment: tuple[ExperimentKey | None, ...]
    forced: NDArray[np.bool_]
    """By an operator; such rows are INTERNAL."""
    unit: tuple[str, ...]
    """What experiments hash."""
    subject: tuple[SubjectId, ...]
    """Empty where it may not be tied to a person."""
    reward: NDArray[np.float64]
    """What came in time, aggregated; the default where nothing did."""
    outcomes: tuple[tuple[Outcome, ...], ...]
    """What `reward` was made of, by time."""
    late: tuple[tuple[Outcome, ...], ...]
    """What came too late, by time."""
    state: tuple[RowState, ...]
    deferred: NDArray[np.bool_]
    """It counted as shown only once its activation came."""
    traffic: tuple[Traffic, ...]
    measured_only: NDArray[np.bool_]
    """Of a unit that an experiment with training traffic measures: counts in its lift, and is not learned from."""
    kept: NDArray[np.bool_]
    """Kept for learning, with probability `sample_probability`."""
    sample_probability: NDArray[np.float64]
    """In (0, 1]; a row that is learned from counts one over it."""
    bundle_version: tuple[BundleVersion, ...]
    counts: Counts

    def __len__(self) -> int:
        return len(self.decision_id)

    @property
    def parts(self) -> tuple[dict[str, float], ...]:
        """(n,): what each kind of outcome, as the definition names it, was worth in sum."""
        found = []
        for outcomes in self.outcomes:
            part: dict[str, float] = {}
            for outcome in outcomes:
                part[outcome.said] = part.get(outcome.said, 0.0) + outcome.worth
            found.append(part)
        return tuple(found)

    @property
    def is_settled(self) -> NDArray[np.bool_]:
        """(n,): nothing more may come in time."""
        return np.array([state is not RowState.WAITING for state in self.state], np.bool_)

    @property
    def is_counted(self) -> NDArray[np.bool_]:
        """(n,): settled, of visitors who are counted in a lift: no bots, no staff, no training traffic."""
        return self.is_settled & np.array([traffic is Traffic.VISITOR for traffic in self.traffic], np.bool_)

    @property
    def is_learnable(self) -> NDArray[np.bool_]:
        """(n,): settled, kept by the sampling, of training traffic or of visitors who are not there to be measured."""
        of_visitors = [traffic in {Traffic.VISITOR, Traffic.TRAINING} for traffic in self.traffic]
        return self.is_settled & self.kept & ~self.measured_only & np.array(of_visitors, np.bool_)


def canonical_bytes(joined: Joined) -> bytes:
    """The same for the same rows and counts, whatever the order of arrival."""
    return _encoder.encode({field.name: _plain(getattr(joined, field.name)) for field in fields(joined)})


def _plain(column: Any) -> Any:
    return column.tolist() if isinstance(column, np.ndarray) else column


_encoder = msgspec.json.Encoder(order="deterministic")
