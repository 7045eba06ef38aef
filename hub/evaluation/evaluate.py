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
from hub.evaluation.spread import UNKNOWN, Spread, spreads
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
    """Of the 95 % interval: bootstrap percentiles over users where the log names them, else over decisions.

    DR and SNDR hold their cross-fitted model fixed, whose error they correct. DM has none.
    """
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
    """Every reason for a verdict other than ok, an estimator without an interval among them; of a refusal, what
    forced it."""
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
    terms, spread = _estimated(log, target, weights, estimators, rng=rng, resamples=resamples)
    judgement = judge(overlap(weights, log.reward, unsupported, log.unit, unit_name=log.unit_name))
    verdict, reasons = judgement.with_cautions(_cautions(spread, estimators))
    evaluation = Evaluation(
        logged_value=float(np.mean(log.reward)),
        n=log.rows,
        verdict=verdict,
        warnings=list(reasons),
        estimators={
            name.value: Estimate(
                estimate=on_arrays.point(terms[name]),
                ci_low=spread[name].ci_low,
                ci_high=spread[name].ci_high,
                stderr=spread[name].stderr,
                ess=effective_sample_size(weights),
                max_weight=float(np.max(weights)),
            )
            for name in estimators
        },
    )
    return Evaluated(log.name, policy, evaluation, weights, log.reward)


def _estimated(
    log: LoggedDecisions,
    target: Target | None,
    weights: Floats,
    names: Sequence[EstimatorName],
    *,
    rng: np.random.Generator,
    resamples: int,
) -> tuple[dict[str, Terms], dict[str, Spread]]:
    """At least the named estimators, with their spreads.

    Each family is resampled as a whole and with numbers of its own, so that no interval depends on what else was
    asked for.
    """
    folds_rng, weighted_rng, modelled_rng = rng.spawn(3)
    terms: dict[str, Terms] = {
        EstimatorName.IPS: on_arrays.ips(weights, log.reward),
        EstimatorName.SNIPS: on_arrays.snips(weights, log.reward),
    }
    spread = spreads(terms, log.unit, resamples=resamples, rng=weighted_rng)
    if not _MODELLED.intersection(names):
        return terms, spread
    from hub.evaluation.reward_model import cross_fitted

    predicted = cross_fitted(log, target, rng=folds_rng)
    modelled: dict[str, Terms] = {
        EstimatorName.DR: on_arrays.dr(weights, log.reward, predicted),
        EstimatorName.SNDR: on_arrays.sndr(weights, log.reward, predicted),
    }
    terms |= modelled | {EstimatorName.DM: on_arrays.dm(predicted)}
    spread |= spreads(modelled, log.unit, resamples=resamples, rng=modelled_rng)
    # resampled, its predictions would show how situations vary, and nothing of how wrong the model may be
    spread[EstimatorName.DM] = UNKNOWN
    return terms, spread


def _cautions(spread: dict[str, Spread], names: Sequence[EstimatorName]) -> list[str]:
    """Why the named estimators that have no interval have none."""
    cautions: list[str] = []
    if EstimatorName.DM in names:
        cautions.append("dm has no interval: it is as wrong as its reward model, which the log cannot show")
    still = [name.value for name in names if name is not EstimatorName.DM and not spread[name].is_known]
    if still:
        what = f"{', '.join(still)} {'has' if len(still) == 1 else 'have'} no interval"
        cautions.append(f"{what}: nothing in the log varies that the estimate rests on")
    return cautions


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
