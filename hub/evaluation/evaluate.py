"""Off-policy evaluation of one imported log, from name to verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from hub.evaluation.bootstrap import RESAMPLES
from hub.evaluation.estimators import Estimate, EstimatorName, estimate, importance_weights
from hub.evaluation.logged import Floats, LoggedDecisions, load_decisions
from hub.evaluation.policies import Target, target_policy
from hub.evaluation.verdict import Verdict, judge, overlap

DEFAULT_ESTIMATORS = (EstimatorName.IPS, EstimatorName.SNIPS)


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What `edgewise evaluate --json` prints; values are rewards per row of the log."""

    logged_value: float
    """Mean reward under the logging policy."""
    n: int
    verdict: Verdict
    warnings: list[str]
    """Every reason for a verdict other than ok; of a refusal, what forced it."""
    estimators: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation with what it was made from, for a report."""

    decisions: str
    policy: str
    evaluation: Evaluation
    weights: Floats
    """(rows,)"""
    rewards: Floats
    """(rows,)"""


def evaluate(
    data_dir: Path,
    decisions: str,
    policy: str,
    estimators: Sequence[EstimatorName] = DEFAULT_ESTIMATORS,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Evaluated:
    """What `policy` would have earned on the imported log `decisions`.

    The estimates are there even when the verdict is `refused`, so that the reason can be seen; who shows them
    must show the verdict first. Raises InputError for an unknown log, policy or a bad file of probabilities.
    """
    log = load_decisions(data_dir, decisions)
    return evaluate_log(
        log, policy, target_policy(policy, log), estimators, rng=np.random.default_rng(seed), resamples=resamples
    )


def evaluate_log(
    log: LoggedDecisions,
    policy: str,
    target: Target | None,
    estimators: Sequence[EstimatorName] = DEFAULT_ESTIMATORS,
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Evaluated:
    """The same on decisions in memory; `target` None is the logging policy itself."""
    if target is None:
        weights, unsupported = np.ones(log.rows), np.zeros(log.rows)
    else:
        weights = importance_weights(target.of_logged(log), log.propensity)
        unsupported = target.unsupported(log)
    verdict, reasons = judge(overlap(weights, log.reward, unsupported))
    found = estimate(estimators, weights, log.reward, log.decision, rng=rng, resamples=resamples)
    evaluation = Evaluation(
        logged_value=float(np.mean(log.reward)),
        n=log.rows,
        verdict=verdict,
        warnings=list(reasons),
        estimators=found,
    )
    return Evaluated(log.name, policy, evaluation, weights, log.reward)
