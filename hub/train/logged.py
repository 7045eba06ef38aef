"""A training set from decisions: the rows that the model saw when it decided, joined to what came of what was shown.

Nothing is computed again. A column that a decision did not log makes the decision useless here, not zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

import msgspec
import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from edgewise.decision import ChosenItem, Decision
from edgewise.errors import MALFORMED
from edgewise.events import ACTIVATIONS, Kind
from edgewise.ids import DecisionId, ItemId, PlacementName
from edgewise.records import DecisionRecord, FeatureRows
from hub.feature_rows import columns_of
from hub.ledger import tables
from hub.ledger.dialect import chunks
from hub.ledger.ledger import Ledger
from hub.ledger.rows import RewardRow
from hub.site.recipes import Outcome
from hub.train.rewards import Rewards
from hub.train.shop import Matrix

NOT_SHOWN: Final = 0
NEVER: Final = int(np.iinfo(np.int64).max)
_AT_ONCE: Final = 1_000
_decisions = msgspec.json.Decoder(Decision)


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
    """Why decisions of the placement made no row -> how many: `no-model`, `other-columns`, `not-shown`, `damaged`."""


class _Chosen(NamedTuple):
    record: DecisionRecord
    rows: FeatureRows
    items: Mapping[ItemId, ChosenItem]
    is_sampled: bool


class _Part(NamedTuple):
    found: _Chosen
    matrix: Matrix
    gain: NDArray[np.float32]
    known_ms: NDArray[np.int64]


_NOTHING: Final = (0.0, NEVER)


def logged_rows(
    ledger: Ledger,
    placement: PlacementName,
    outcome: Outcome | Rewards,
    names: Sequence[str],
    *,
    since_ms: int = 0,
    until_ms: int | None = None,
) -> LoggedRows:
    """Rows of the decisions in one placement that were made in `since_ms <= time < until_ms`.

    A deferred decision counts once its activation event has come.
    """
    worth = outcome if isinstance(outcome, Rewards) else Rewards(outcome)
    left_out: Counter[str] = Counter()
    parts: list[_Part] = []
    decisions = (record for _, record in ledger.decisions(since_ms=since_ms, until_ms=until_ms))
    while some := list(islice(decisions, _AT_ONCE)):
        chosen = [found for record in some if (found := _chosen(record, placement, left_out)) is not None]
        activated = _activated(ledger, [found.record for found in chosen if found.record.deferred])
        rewards: dict[DecisionId, list[RewardRow]] = {}
        for reward in ledger.rewards([found.record.decision_id for found in chosen]):
            if reward.placement in (None, placement):
                rewards.setdefault(reward.decision_id, []).append(reward)
        for found in chosen:
            identifier = found.record.decision_id
            if found.record.deferred and identifier not in activated:
                left_out["not-shown"] += 1
                continue
            matrix = columns_of(found.rows, names, left_out)
            if matrix is not None:
                gains = _gains(worth, rewards.get(identifier, []))
                came = [gains.get(item, _NOTHING) if item in found.items else _NOTHING for item in found.rows.items]
                gain, known_ms = zip(*came, strict=True) if came else ((), ())
                parts.append(_Part(found, matrix, np.array(gain, np.float32), np.array(known_ms, np.int64)))
    return _joined(parts, tuple(names), left_out)


def _chosen(record: DecisionRecord, placement: PlacementName, left_out: Counter[str]) -> _Chosen | None:
    try:
        placed = _decisions.decode(record.decision).placements.get(placement)
    except MALFORMED:
        left_out["damaged"] += 1
        return None
    if placed is None or record.dry_run:
        return None
    sampled = record.sampled.get(placement)
    rows = record.shown.get(placement) if sampled is None else sampled
    if rows is None:
        left_out["no-model"] += 1
        return None
    return _Chosen(record, rows, {item.id: item for item in placed.items}, sampled is not None)


def _gains(worth: Rewards, rewards: Sequence[RewardRow]) -> dict[ItemId, tuple[float, int]]:
    """Item -> what all that came of it is worth, and when the first came that is worth something by itself."""
    by_item: dict[ItemId, list[RewardRow]] = {}
    for reward in rewards:
        by_item.setdefault(reward.item, []).append(reward)
    found = {}
    for item, came in by_item.items():
        gain = worth.of_all([(Kind(reward.kind), reward.value) for reward in came])
        if gain > 0:
            found[item] = (
                gain,
                min(reward.time_ms for reward in came if worth.of_all([(Kind(reward.kind), reward.value)]) > 0),
            )
    return found


def _activated(ledger: Ledger, deferred: Sequence[DecisionRecord]) -> set[DecisionId]:
    columns = tables.events.c
    found: set[DecisionId] = set()
    with ledger.storage.reading() as connection:
        for some in chunks([record.decision_id for record in deferred]):
            query = sa.select(columns.decision_id).where(columns.decision_id.in_(some), columns.name.in_(ACTIVATIONS))
            found.update(DecisionId(identifier) for identifier in connection.execute(query).scalars())
    return found


def _joined(parts: Sequence[_Part], names: tuple[str, ...], left_out: Counter[str]) -> LoggedRows:
    gain = np.concatenate([np.zeros(0, np.float32), *(part.gain for part in parts)])
    items = [part.found.items.get(item) for part in parts for item in part.found.rows.items]
    return LoggedRows(
        names=names,
        matrix=np.concatenate([np.zeros((0, len(names)), np.float32), *(part.matrix for part in parts)]),
        label=(gain > 0).astype(np.float32),
        gain=gain,
        known_ms=np.concatenate([np.zeros(0, np.int64), *(part.known_ms for part in parts)]),
        items=tuple(item for part in parts for item in part.found.rows.items),
        slot=np.array([NOT_SHOWN if item is None else item.rank for item in items], np.int32),
        propensity=np.array([np.nan if item is None else item.propensity for item in items], np.float64),
        size=np.array([len(part.matrix) for part in parts], np.int64),
        sample_probability=np.array(
            [part.found.record.sample_probability if part.found.is_sampled else 0.0 for part in parts], np.float64
        ),
        decision_ids=tuple(part.found.record.decision_id for part in parts),
        time_ms=np.array([part.found.record.time_ms for part in parts], np.int64),
        bundle_digests=tuple(part.found.record.bundle_digest for part in parts),
        left_out=dict(left_out),
    )
