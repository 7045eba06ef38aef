"""A training set from decisions: the rows that the model saw when it decided, joined to what came of what was shown.

Nothing is computed again. A column that a decision did not log makes the decision useless here, not zero. What came,
and whom a decision belongs to, is the join's to say (`hub.rewards.join`): bots, staff and visitors who are there to be
measured teach nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.policy import Policy
from edgewise.bundle.rewards import RewardDefinition
from edgewise.events import Kind
from edgewise.ids import DecisionId, ItemId, PlacementName
from edgewise.records import DecisionRecord, FeatureRows
from hub.feature_rows import columns_of
from hub.ledger.ledger import Ledger
from hub.rewards.exposures import Dropped
from hub.rewards.join import joined
from hub.rewards.joined import Joined, RowState, Traffic
from hub.site.recipes import Outcome
from hub.train.rewards import Rewards
from hub.train.shop import Matrix

NOT_SHOWN: Final = 0
NEVER: Final = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True)
class LoggedRows:
    """Rows of several decisions, one behind the other, in the order in which they were stored."""

    names: tuple[str, ...]
    """Columns."""
    matrix: Matrix
    """Float32 (n, F), as it was logged, to the bit."""
    label: NDArray[np.float32]
    """(n,): 1 where the outcome followed, else 0; also 0 for what was not shown, of which nobody can know."""
    gain: NDArray[np.float32]
    """(n,): what that is worth (`hub.train.rewards`), 1 where the site does not say; 0 where the label is 0."""
    known_ms: NDArray[np.int64]
    """(n,): when the first outcome that is worth something came; NEVER where the label is 0."""
    items: tuple[ItemId, ...]
    """(n,): which item each row is about."""
    slot: NDArray[np.int32]
    """(n,): from 1; NOT_SHOWN for a candidate of a sampled matrix that was not shown."""
    propensity: NDArray[np.float64]
    """(n,): P(item in this slot | items of earlier slots); NaN where it was not shown."""
    size: NDArray[np.int64]
    """(decisions,): rows of each; they add up to n."""
    sample_probability: NDArray[np.float64]
    """(decisions,): with which probability the whole matrix was kept; 0 where only what was shown was."""
    decision_ids: tuple[DecisionId, ...]
    time_ms: NDArray[np.int64]
    """(decisions,): when it was decided."""
    bundle_digests: tuple[str, ...]
    """(decisions,): rows of different bundles may mean different things."""
    left_out: Mapping[str, int]
    """Why decisions of the placement made no row -> how many: `no-model`, `other-columns`, what a join drops
    (`hub.rewards.exposures.Dropped`), `waiting`, `bot`, `internal`, `measured-only`, `not-kept`."""
    kept_probability: NDArray[np.float64] | None = None
    """(decisions,): in (0, 1], with which the decision was kept for learning; each counts one over it. None: all 1."""


class _Slot(NamedTuple):
    """What is known of a shown item."""

    rank: int
    propensity: float
    gain: float
    known_ms: int


class _Part(NamedTuple):
    record: DecisionRecord
    rows: FeatureRows
    slots: Mapping[ItemId, _Slot]
    matrix: Matrix
    is_sampled: bool


_UNSEEN: Final = _Slot(NOT_SHOWN, math.nan, 0.0, NEVER)
_FOREVER: Final = 2**48
"""As far as times of the ledger go."""


def logged_rows(
    ledger: Ledger,
    placement: PlacementName,
    outcome: Outcome | Rewards,
    names: Sequence[str],
    *,
    since_ms: int = 0,
    until_ms: int | None = None,
    policy: Policy | None = None,
    now_ms: int = _FOREVER,
) -> LoggedRows:
    """Rows of the decisions in one placement that were made in `since_ms <= time < until_ms`, in the order of storing.

    Where `policy` defines a reward for the placement, that is the gain, and decisions that still wait at `now_ms` are
    left out. Elsewhere the outcome counts whenever it came, and nothing is waited for. A deferred decision counts once
    its activation event has come.
    """
    worth = outcome if isinstance(outcome, Rewards) else Rewards(outcome)
    known = None if policy is None else policy.placements.get(placement)
    defined = None if known is None else known.reward
    definition = defined or RewardDefinition(dict.fromkeys(worth.kinds, 1.0), wait_hours=_ALWAYS_HOURS)
    until_ms = _FOREVER if until_ms is None else until_ms
    found = joined(ledger, placement, definition, since_ms=since_ms, until_ms=until_ms, now_ms=now_ms, policy=policy)
    left_out = Counter({why: count for why, count in found.counts.dropped.items() if why != Dropped.DRY_RUN})
    slots = _slots(found, None if defined else worth, left_out)
    parts: list[_Part] = []
    for _, record in ledger.decisions(since_ms=since_ms, until_ms=until_ms):
        theirs = slots.get(record.decision_id)
        part = None if theirs is None else _part(record, placement, theirs, names, left_out)
        if part is not None:
            parts.append(part)
    return _rows(parts, tuple(names), found, left_out)


_ALWAYS_HOURS: Final = 24.0 * 400
"""Longer than any recipe looks back."""


def _slots(found: Joined, worth: Rewards | None, left_out: Counter[str]) -> dict[DecisionId, dict[ItemId, _Slot]]:
    """Of the decisions that may be learned from; others are counted. `worth` None: the join's reward is the gain."""
    slots: dict[DecisionId, dict[ItemId, _Slot]] = {}
    useless: dict[DecisionId, str] = {}
    for index, decision_id in enumerate(found.decision_id):
        why = _useless(found, index, is_waited_for=worth is None)
        if why:
            useless[decision_id] = why
            continue
        came = found.outcomes[index]
        if worth is None:
            gain = max(0.0, float(found.reward[index]))
            wanted = [outcome.time_ms for outcome in came if outcome.worth > 0]
        else:
            gain = worth.of_all([(Kind(outcome.kind), outcome.value) for outcome in came])
            wanted = [outcome.time_ms for outcome in came if worth.of_all([(Kind(outcome.kind), outcome.value)]) > 0]
        slots.setdefault(decision_id, {})[found.item[index]] = _Slot(
            rank=int(found.slot[index]),
            propensity=float(found.propensity[index]),
            gain=gain,
            # a default above 0 is known from the beginning
            known_ms=NEVER if gain <= 0 else min(wanted, default=int(found.exposed_ms[index])),
        )
    left_out.update(Counter(useless.values()))
    return slots


def _useless(found: Joined, index: int, *, is_waited_for: bool) -> str:
    """Why a row teaches nothing; empty: it does. Without a definition of reward nothing is waited for."""
    if found.traffic[index] not in _TEACHING:
        return str(found.traffic[index])
    if found.measured_only[index]:
        return "measured-only"
    if not found.kept[index]:
        return "not-kept"
    return "waiting" if is_waited_for and found.state[index] is RowState.WAITING else ""


_TEACHING: Final = frozenset({Traffic.VISITOR, Traffic.TRAINING})


def _part(
    record: DecisionRecord,
    placement: PlacementName,
    slots: Mapping[ItemId, _Slot],
    names: Sequence[str],
    left_out: Counter[str],
) -> _Part | None:
    sampled = record.sampled.get(placement)
    rows = record.shown.get(placement) if sampled is None else sampled
    if rows is None:
        left_out["no-model"] += 1
        return None
    matrix = columns_of(rows, names, left_out)
    return None if matrix is None else _Part(record, rows, slots, matrix, sampled is not None)


def _rows(parts: Sequence[_Part], names: tuple[str, ...], found: Joined, left_out: Counter[str]) -> LoggedRows:
    slots = [part.slots.get(item, _UNSEEN) for part in parts for item in part.rows.items]
    gain = np.array([slot.gain for slot in slots], np.float32)
    kept = dict(zip(found.decision_id, found.sample_probability.tolist(), strict=True))
    return LoggedRows(
        names=names,
        matrix=np.concatenate([np.zeros((0, len(names)), np.float32), *(part.matrix for part in parts)]),
        label=(gain > 0).astype(np.float32),
        gain=gain,
        known_ms=np.array([slot.known_ms for slot in slots], np.int64),
        items=tuple(item for part in parts for item in part.rows.items),
        slot=np.array([slot.rank for slot in slots], np.int32),
        propensity=np.array([slot.propensity for slot in slots], np.float64),
        size=np.array([len(part.matrix) for part in parts], np.int64),
        sample_probability=np.array(
            [part.record.sample_probability if part.is_sampled else 0.0 for part in parts], np.float64
        ),
        decision_ids=tuple(part.record.decision_id for part in parts),
        time_ms=np.array([part.record.time_ms for part in parts], np.int64),
        bundle_digests=tuple(part.record.bundle_digest for part in parts),
        left_out=dict(left_out),
        kept_probability=np.array([kept[part.record.decision_id] for part in parts], np.float64),
    )
