"""Off-policy evaluation of one imported log, from name to verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from hub.evaluation import estimators as on_arrays
from hub.evaluation.bootstrap import RESAMPLES
from hub.evaluation.estimators import effective_sample_size, importance_weights
from hub.evaluation.families import Resampling, measured
from hub.evaluation.logged import Floats, LoggedDecisions, load_decisions
from hub.evaluation.names import DEFAULT_ESTIMATORS, EstimatorName, IntervalName
from hub.evaluation.policies import Target, target_policy
from hub.evaluation.slates import sequential_weights, slate_weights, torn
from hub.evaluation.spread import Measured, Spread
from hub.evaluation.usable import usable
from hub.evaluation.verdict import Judgement, Verdict, judge, overlap

_REFUSED_ROWS: Final = 0.01
"""From this share on, rows that an import refused are named: who is missing may be of one kind."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One estimator's word on a policy's value per row; what is undefined is NaN, `null` in JSON."""

    estimate: float
    ci_low: float
    """Of the 95 % interval, over users where the log names them, else over decisions; `IntervalName` says how.

    DR and its kin hold their cross-fitted model fixed, whose error they correct. Switch-DR and DRos are wider by what
    shrinking may have cost. DM has none.
    """
    ci_high: float
    stderr: float
    """Of chance alone."""
    ess: float
    """Effective number of rows by the weights that this estimator uses; for DM those of the policy."""
    max_weight: float
    tuning: float | None = None
    """The threshold of Switch-DR, the lambda of DRos; infinite (`null`) when the log is better not shrunk."""


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
    interval: IntervalName = IntervalName.BOOTSTRAP,
    delimiter: str | None = None,
) -> Evaluated:
    """What `policy` would have earned on the imported log `decisions`.

    The estimates are there even when the verdict is `refused`, so that the reason can be seen; who shows them
    must show the verdict first. Raises InputError for an unknown log, policy or a bad file of probabilities.
    """
    log = load_decisions(data_dir, decisions)
    return evaluate_log(
        log,
        policy,
        target_policy(policy, log, delimiter),
        estimators,
        rng=np.random.default_rng(seed),
        resamples=resamples,
        interval=interval,
    )


def evaluate_log(
    log: LoggedDecisions,
    policy: str,
    target: Target | None,
    estimators: Sequence[EstimatorName] = DEFAULT_ESTIMATORS,
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    interval: IntervalName = IntervalName.BOOTSTRAP,
    cautions: Sequence[str] = (),
) -> Evaluated:
    """The same on decisions in memory; `target` None is the logging policy itself.

    `cautions` are further reasons not to say ok. Rows without a usable propensity, reward or sample weight are left out
    and named. Raises InputError when none is left.
    """
    said = [*cautions, *_refused_at_import(log)]
    rows, faults = usable(log)
    if faults:
        log, target = log.of_rows(rows), None if target is None else target.of_rows(rows)
        said += faults
    if target is None:
        weights, unsupported = np.ones(log.rows), np.zeros(log.rows)
    else:
        weights = importance_weights(target.of_logged(log), log.propensity)
        unsupported = target.unsupported(log)
    found, spread = measured(log, target, weights, estimators, how=Resampling(interval, resamples), rng=rng)
    judgement = _judged(log, weights, unsupported, estimators)
    verdict, reasons = judgement.with_cautions([*said, *_cautions(spread, estimators)])
    evaluation = Evaluation(
        logged_value=on_arrays.point(
            on_arrays.thinned(on_arrays.ips(np.ones(log.rows), log.reward), log.sample_weight)
        ),
        n=log.rows,
        verdict=verdict,
        warnings=list(reasons),
        estimators={name.value: _estimate(log, found[name], spread[name]) for name in estimators},
    )
    return Evaluated(log.name, policy, evaluation, weights, log.reward)


def _estimate(log: LoggedDecisions, found: Measured, spread: Spread) -> Estimate:
    counted = found.weights if log.sample_weight is None else found.weights * log.sample_weight
    return Estimate(
        estimate=on_arrays.point(found.terms),
        ci_low=spread.ci_low,
        ci_high=spread.ci_high,
        stderr=spread.stderr,
        ess=effective_sample_size(counted),
        max_weight=float(np.max(found.weights)),
        tuning=found.tuning,
    )


def _judged(log: LoggedDecisions, weights: Floats, unsupported: Floats, names: Sequence[EstimatorName]) -> Judgement:
    """By the weights of rows, and of slates where an estimator asks for them.

    Where rows can tell something, slates that cannot are a warning about their own estimators.
    """

    def by(some: Floats) -> Judgement:
        seen = overlap(
            some, log.reward, unsupported, log.unit, unit_name=log.unit_name, sample_weight=log.sample_weight
        )
        return judge(seen)

    judged = by(weights)
    slates = [name for name in (EstimatorName.RIPS, EstimatorName.SIPS) if name in names]
    for name in slates:
        make = sequential_weights if name is EstimatorName.RIPS else slate_weights
        of_slates = by(make(weights, log.decision, log.position))
        if of_slates.verdict is Verdict.REFUSED and set(names) <= {EstimatorName.RIPS, EstimatorName.SIPS}:
            return of_slates
        own = [reason for reason in of_slates.reasons if reason not in judged.reasons]
        judged = judged.with_cautions([f"{name}: {reason}" for reason in own])
    if slates and (skipping := torn(log.decision, log.position)):
        judged = judged.with_cautions([f"{skipping:,} decisions lack a slot between two of theirs"])
    return judged


def _refused_at_import(log: LoggedDecisions) -> list[str]:
    refused, rows = log.refused_rows, log.refused_rows + log.rows
    if refused < _REFUSED_ROWS * rows:
        return []
    return [f"{refused:,} of {rows:,} rows were refused when the log was imported"]


def _cautions(spread: Mapping[EstimatorName, Spread], names: Sequence[EstimatorName]) -> list[str]:
    """Why the named estimators that have no interval have none."""
    cautions: list[str] = []
    if EstimatorName.DM in names:
        cautions.append("dm has no interval: it is as wrong as its reward model, which the log cannot show")
    still = [name.value for name in names if name is not EstimatorName.DM and not spread[name].is_known]
    if still:
        what = f"{', '.join(still)} {'has' if len(still) == 1 else 'have'} no interval"
        cautions.append(f"{what}: nothing in the log varies that the estimate rests on")
    return cautions
