"""Off-policy evaluation of one imported log, from name to verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from edgewise.errors import InputError
from hub.evaluation import estimators as on_arrays
from hub.evaluation.bootstrap import RESAMPLES
from hub.evaluation.estimators import Terms, effective_sample_size, importance_weights
from hub.evaluation.logged import Floats, LoggedDecisions, load_decisions
from hub.evaluation.policies import Target, target_policy
from hub.evaluation.verdict import Verdict, judge, overlap


class EstimatorName(StrEnum):
    """What `--estimator` accepts."""

    IPS = "ips"
    SNIPS = "snips"
    DM = "dm"
    DR = "dr"
    SNDR = "sndr"


DEFAULT_ESTIMATORS: Final = (EstimatorName.IPS, EstimatorName.SNIPS)
_MODELLED: Final = {EstimatorName.DM, EstimatorName.DR, EstimatorName.SNDR}
_PLANNED: Final = ("switch-dr", "dros")


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """One estimator's word on a policy's value per row; what is undefined is NaN, `null` in JSON."""

    estimate: float
    ci_low: float
    """Of the 95 % interval: bootstrap percentiles over decisions. DM, DR and SNDR hold their model fixed."""
    ci_high: float
    stderr: float
    ess: float
    max_weight: float


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
    folds_rng, bootstrap_rng = rng.spawn(2)  # asking for a model must not move the other intervals
    found = _terms(log, target, weights, estimators, folds_rng)
    intervals = on_arrays.intervals(found, log.decision, resamples=resamples, rng=bootstrap_rng)
    evaluation = Evaluation(
        logged_value=float(np.mean(log.reward)),
        n=log.rows,
        verdict=verdict,
        warnings=list(reasons),
        estimators={
            name: Estimate(
                estimate=on_arrays.point(terms),
                ci_low=intervals[name][0],
                ci_high=intervals[name][1],
                stderr=on_arrays.standard_error(terms, log.decision),
                ess=effective_sample_size(weights),
                max_weight=float(np.max(weights)),
            )
            for name, terms in found.items()
        },
    )
    return Evaluated(log.name, policy, evaluation, weights, log.reward)


def _terms(
    log: LoggedDecisions,
    target: Target | None,
    weights: Floats,
    names: Sequence[EstimatorName],
    rng: np.random.Generator,
) -> dict[str, Terms]:
    found: dict[str, Terms] = {}
    predicted = None
    if _MODELLED.intersection(names):
        from hub.evaluation.reward_model import cross_fitted

        predicted = cross_fitted(log, target, rng=rng)
    for name in names:
        match name:
            case EstimatorName.IPS:
                found[name.value] = on_arrays.ips(weights, log.reward)
            case EstimatorName.SNIPS:
                found[name.value] = on_arrays.snips(weights, log.reward)
            case EstimatorName.DM:
                assert predicted is not None
                found[name.value] = on_arrays.dm(predicted)
            case EstimatorName.DR:
                assert predicted is not None
                found[name.value] = on_arrays.dr(weights, log.reward, predicted)
            case EstimatorName.SNDR:
                assert predicted is not None
                found[name.value] = on_arrays.sndr(weights, log.reward, predicted)
    return found


def estimator_names(text: str) -> tuple[EstimatorName, ...]:
    """`ips,snips` as names, each once, in order.

    Raises ValueError for a word that names no estimator, InputError for one that is not there yet.
    """
    names: list[EstimatorName] = []
    for word in dict.fromkeys(part.strip().lower() for part in text.split(",")):
        if word in _PLANNED:
            raise InputError(f"estimator {word!r} is not available yet; there are: {', '.join(EstimatorName)}")
        if word not in set(EstimatorName):
            raise ValueError(f"no estimator {word!r}; there are: {', '.join(EstimatorName)}")
        names.append(EstimatorName(word))
    return tuple(names)
