"""What must not get worse while something else gets better: the guardrails of the placement's experiment, by the log.

A guardrail is counted like a reward: what came of a shown item, within the metric's window. What visitors did elsewhere
is not seen here; experiments see it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edgewise.bundle.experiments import Metric
from edgewise.bundle.policy import Policy
from edgewise.bundle.rewards import RewardDefinition, Worth
from edgewise.ids import PlacementName
from hub.evaluation.logged import LoggedDecisions
from hub.learning.off_policy import Watched
from hub.ledger.ledger import Ledger
from hub.rewards.definition import definition_in
from hub.rewards.join import join_prepared, prepared
from hub.rewards.reading import read_records

LEAST_TOLERATED: Final = 0.05
"""Where an experiment tolerates nothing: no log proves that nothing at all has changed."""


def guardrails_of(policy: Policy, placement: PlacementName) -> list[Metric]:
    """Those that can be counted by shown item; a ratio of two events is for experiments to judge."""
    known = policy.placements.get(placement)
    experiment = None if known is None or known.experiment is None else policy.experiments.get(known.experiment)
    return [] if experiment is None else [metric for metric in experiment.guardrails if metric.value != "ratio"]


def watched(
    ledger: Ledger,
    policy: Policy,
    placement: PlacementName,
    log: LoggedDecisions,
    *,
    since_ms: int,
    until_ms: int,
    now_ms: int,
) -> list[Watched]:
    """Each guardrail of a placement, on the rows of a log of decisions in `since_ms <= time < until_ms`."""
    metrics = guardrails_of(policy, placement)
    definitions = [_definition(metric, definition_in(policy, placement)) for metric in metrics]
    if not definitions:
        return []
    records = prepared(read_records(ledger, definitions, policy, since_ms=since_ms, until_ms=until_ms), now_ms=now_ms)
    found = []
    for metric, definition in zip(metrics, definitions, strict=True):
        rows = join_prepared(records, placement, definition, since_ms=since_ms, until_ms=until_ms)
        value = dict(zip(zip(rows.decision_id, rows.slot.tolist(), strict=True), rows.reward.tolist(), strict=True))
        keys = zip(log.decision.tolist(), log.position.tolist(), strict=True)
        values = np.array([value.get((log.decision_ids[number], slot), 0.0) for number, slot in keys], np.float64)
        tolerated = max(metric.threshold, LEAST_TOLERATED)
        found.append(Watched(metric.name, values, tolerated, higher_is_better=metric.better == "higher"))
    return found


def _definition(metric: Metric, reward: RewardDefinition) -> RewardDefinition:
    """What the log's rewards were not waited for, the guardrail is not either: both have settled by now."""
    hours = min(metric.window_hours, reward.wait_hours)
    return RewardDefinition(
        events={metric.event: Worth(per_minor=1.0) if metric.value == "revenue" else 1.0},
        wait_hours=hours,
        window_hours=min(hours, reward.window_hours),
        aggregate="max" if metric.value == "any" else "sum",
    )
