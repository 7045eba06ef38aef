"""A few nodes run an approved candidate first: which, what was seen of them, and whether that is reason to stop.

Nodes are not drawn for each visitor, so that other visitors may come to them: what they bring is watched for harm, and
proves nothing. Proof is what the log said before, and experiments.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Final

import msgspec
import numpy as np

from edgewise.bundle.policy import Policy
from edgewise.ids import BundleVersion, DecisionId, NodeId, PlacementName
from edgewise.reasons import Degradation, State
from hub.learning.evidence import Interval
from hub.learning.gate import HOUR_MS
from hub.learning.plan import LearnPlan
from hub.ledger.ledger import Ledger
from hub.ledger.rows import NodeRow
from hub.rewards.definition import definition_in
from hub.rewards.join import joined
from hub.rewards.joined import Traffic

FEWEST_NODES: Final = 2
"""With one node the few would be all."""
_Z: Final = 1.96
"""Both ends of the intervals here: 95 %."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions of some nodes in the placement."""

    made: int = 0
    """All that were made, also those that cannot be used: with a broken propensity, or never seen."""
    decisions: int = 0
    """Those that can be used; below them everything is about these."""
    degraded: int = 0
    """Without a model, or without what it looks at."""
    units: int = 0
    """Visitors, or single decisions where nobody is named."""
    reward: float = 0.0
    reward_squares: float = 0.0
    """Sum over units of the square of a unit's reward."""
    decision_squares: float = 0.0
    products: float = 0.0
    """Sum over units of reward times decisions."""


class CanarySeen(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a trial."""

    nodes: tuple[NodeId, ...]
    hours: float
    canary: Group
    others: Group
    refusals: tuple[str, ...] = ()
    """Nodes that refused the candidate, and why."""
    errors: tuple[NodeId, ...] = ()
    """Nodes of the trial that serve nothing but the built-in fallback."""
    silent: tuple[NodeId, ...] = ()
    """Nodes of the trial that are not there."""


class Word(StrEnum):
    """What comes of a look."""

    WAIT = "wait"
    STOP = "stop"
    READY = "ready"


class CanaryVerdict(msgspec.Struct, frozen=True):
    """A word with its reasons."""

    word: Word
    reasons: tuple[str, ...]


def choose(nodes: Sequence[NodeRow], share: float, turn: int) -> list[NodeId]:
    """Which connected nodes try first, the same at every call; none where there are not two to compare.

    Other turns choose others, so that it is not always the same visitors who meet what is new.
    """
    ready = [row.node for row in nodes if row.connected and row.state is not State.ERROR]
    if len(ready) < FEWEST_NODES:
        return []
    ready.sort(key=lambda node: hashlib.sha256(f"{turn}/{node}".encode()).digest())
    return sorted(ready[: max(1, min(int(share * len(ready)), len(ready) - 1))])


def look(
    ledger: Ledger,
    policy: Policy,
    placement: PlacementName,
    *,
    nodes: Collection[NodeId],
    candidate: BundleVersion,
    live: BundleVersion,
    since_ms: int,
    now_ms: int,
) -> CanarySeen:
    """What nodes have reported since a trial began; rewards are compared as far as they have come on both sides."""
    definition = definition_in(policy, placement)
    rows = joined(ledger, placement, definition, since_ms=since_ms, until_ms=now_ms, now_ms=now_ms, policy=policy)
    tallies = {candidate: _Tally(), live: _Tally()}
    for row, traffic in enumerate(rows.traffic):
        tally = tallies.get(rows.bundle_version[row])
        if tally is not None and traffic is Traffic.VISITOR:
            tally.add(rows.decision_id[row], rows.subject[row] or rows.decision_id[row], float(rows.reward[row]))
    for _, record in ledger.decisions(since_ms=since_ms, until_ms=now_ms):
        tally = tallies.get(record.bundle_version)
        if tally is None or record.dry_run or not any(asked.name == placement for asked in record.placements):
            continue
        tally.made += 1
        if record.degradation is not Degradation.NONE and tally.knows(record.decision_id):
            tally.degraded += 1
    rows_of_nodes = {row.node: row.at(now_ms) for row in ledger.nodes() if row.node in nodes}
    return CanarySeen(
        nodes=tuple(sorted(nodes)),
        hours=(now_ms - since_ms) / HOUR_MS,
        canary=tallies[candidate].group(),
        others=tallies[live].group(),
        refusals=tuple(
            f"{row.node}: {row.nack_code}: {row.nack_detail}"
            for row in rows_of_nodes.values()
            if row.nack_code is not None and row.nacked_ms is not None and row.nacked_ms >= since_ms
        ),
        errors=tuple(row.node for row in rows_of_nodes.values() if row.state is State.ERROR),
        silent=tuple(sorted(node for node in nodes if node not in rows_of_nodes or not rows_of_nodes[node].connected)),
    )


def judge_canary(seen: CanarySeen, plan: LearnPlan) -> CanaryVerdict:
    """Stop at the first sure harm; be ready only after the whole time and enough decisions."""
    stops = [f"refused by {refusal}" for refusal in seen.refusals]
    stops += [f"{node} serves only the built-in fallback" for node in seen.errors]
    excess = degraded_above(seen)
    if excess.low > plan.most_degraded:
        stops.append(f"decisions without a model: {_percent(excess)} more than on the other nodes")
    unusable = unusable_above(seen)
    if unusable.low > plan.gate.most_dropped:
        stops.append(f"decisions that cannot be used: {_percent(unusable)} more than on the other nodes")
    change = reward_change(seen)
    if change.high < 0 and change.estimate < -plan.canary_tolerated:
        stops.append(f"reward of a decision: {_percent(change)} against the other nodes")
    if stops:
        return CanaryVerdict(Word.STOP, tuple(stops))
    waits = [f"{node} is not there" for node in seen.silent]
    if seen.hours < plan.canary_hours:
        waits.append(f"{seen.hours:.1f} of {plan.canary_hours:g} hours")
    if seen.canary.decisions < plan.canary_decisions:
        waits.append(f"{seen.canary.decisions:,} of {plan.canary_decisions:,} decisions")
    if waits:
        return CanaryVerdict(Word.WAIT, tuple(waits))
    return CanaryVerdict(
        Word.READY,
        (
            f"{seen.canary.decisions:,} decisions in {seen.hours:.1f} hours, nothing refused",
            f"decisions without a model: {_percent(excess)} more than on the other nodes",
            f"reward of a decision: {_percent(change)} against the other nodes",
        ),
    )


def degraded_above(seen: CanarySeen) -> Interval:
    """Share of degraded decisions above that of the other nodes (Agresti, Caffo 2000, *The American Statistician*).

    Two of each kind are added to four decisions, so that none at all is no certainty.
    """
    return _share_above(*((group.degraded, group.decisions) for group in (seen.canary, seen.others)))


def unusable_above(seen: CanarySeen) -> Interval:
    """Share of the decisions that were made and cannot be used, above that of the other nodes, likewise.

    What nobody scrolled to cannot be used either, and is as frequent everywhere; a candidate whose own decisions are
    broken would otherwise be waited for without end.
    """
    return _share_above(*((group.made - group.decisions, group.made) for group in (seen.canary, seen.others)))


def _share_above(tried: tuple[int, int], others: tuple[int, int]) -> Interval:
    """How much larger the first share is than the second, each given as (how many, of how many)."""
    shares, variance = [], 0.0
    for found, of in (tried, others):
        count = of + 2
        share = (found + 1) / count
        shares.append(share)
        variance += share * (1 - share) / count
    difference = shares[0] - shares[1]
    reach = _Z * math.sqrt(variance)
    return Interval(difference, difference - reach, difference + reach)


def reward_change(seen: CanarySeen) -> Interval:
    """Reward of a decision by that of the other nodes, less 1; NaN while there is nothing to divide by.

    The interval is linearised over visitors, whose decisions hang together (delta method, as of a ratio of ratios).
    """
    means, variances = [], []
    for group in (seen.canary, seen.others):
        if group.units < 2 or not group.decisions:  # noqa: PLR2004  # no spread
            return Interval(math.nan, math.nan, math.nan)
        mean = group.reward / group.decisions
        squares = group.reward_squares - 2 * mean * group.products + mean**2 * group.decision_squares
        means.append(mean)
        variances.append(group.units / (group.units - 1) * max(0.0, squares) / group.decisions**2)
    new, old = means
    if not old > 0:
        return Interval(math.nan, math.nan, math.nan)
    change = new / old - 1
    reach = _Z * math.sqrt(variances[0] / old**2 + new**2 * variances[1] / old**4)
    return Interval(change, change - reach, change + reach)


class _Tally:
    def __init__(self) -> None:
        self.made = 0
        self.degraded = 0
        self._of_unit: dict[str, list[float]] = {}
        """Unit -> decisions and reward."""
        self._seen: set[DecisionId] = set()

    def add(self, decision_id: DecisionId, unit: str, reward: float) -> None:
        """One row; a decision counts once, whatever it showed."""
        own = self._of_unit.setdefault(unit, [0.0, 0.0])
        own[0] += decision_id not in self._seen
        own[1] += reward
        self._seen.add(decision_id)

    def knows(self, decision_id: DecisionId) -> bool:
        """Whether it has a row."""
        return decision_id in self._seen

    def group(self) -> Group:
        """All of it, as sums."""
        counts, rewards = np.array(list(self._of_unit.values()), np.float64).reshape(-1, 2).T
        return Group(
            made=max(self.made, len(self._seen)),
            decisions=len(self._seen),
            degraded=self.degraded,
            units=len(counts),
            reward=float(rewards.sum()),
            reward_squares=float(rewards @ rewards),
            decision_squares=float(counts @ counts),
            products=float(rewards @ counts),
        )


def _percent(interval: Interval) -> str:
    if math.isnan(interval.estimate):
        return "unknown"
    return f"{interval.estimate:+.1%} [{interval.low:+.1%}, {interval.high:+.1%}]"
