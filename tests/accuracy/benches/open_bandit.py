"""Off-policy estimators on the small sample of the Open Bandit Dataset, beside the published numbers.

The log of the uniformly random policy is asked what Bernoulli Thompson sampling would have earned, which the log of
that very policy knows. Saito, Aihara, Matsutani, Narita 2021, arXiv 2008.07146, and the examples of their package obp.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from accuracy.claim import Claim
from accuracy.ground import Ground
from edgewise.errors import UnavailableError
from hub.datasets.download import default_cache
from hub.evaluation import estimators as on_arrays
from hub.evaluation.estimators import Predictions, importance_weights, point, standard_error
from hub.evaluation.evaluate import evaluate
from hub.evaluation.logged import Floats, Integers, LoggedDecisions, load_decisions
from hub.evaluation.names import MODELLED, EstimatorName
from hub.evaluation.open_bandit import SEED, import_sample, thompson_file
from hub.evaluation.policies import Target, from_file
from hub.evaluation.reward_model import cross_fitted
from hub.evaluation.shrinkage import bent, dros, switch_dr, switched
from hub.evaluation.verdict import Verdict

TRUTH: Final = 0.0042
"""Mean of the target policy's own log, 10,000 rows."""
MONTE_CARLO: Final = 0.00002
RUNS: Final = 30
GRID: Final = (10.0, 50.0, 100.0, 500.0, 1_000.0, 5_000.0, 10_000.0, float("inf"))
TABLE: Final = {
    "dm": (0.157, 0.110),
    "ips": (0.311, 0.311),
    "snips": (0.312, 0.335),
    "dr": (0.292, 0.315),
    "sndr": (0.302, 0.328),
    "switch-dr": (0.258, 0.161),
    "dros": (0.160, 0.110),
}
"""Relative estimation error, mean and standard deviation, of obp's examples/obd/README.md."""
QUICKSTART: Final = (
    "random/all, 10,000 rows -> Bernoulli Thompson sampling of the published priors (100,000 draws, "
    "default_rng(12345)); DM and DR: logistic regression, 3-fold cross-fitting; relative error to the mean .0042 of "
    "bts/all"
)
BOOTSTRAP: Final = (
    "the same on 30 resamples of the 10,000 rows (default_rng(12345)); the table's Switch-DR and DRos choose among "
    "thresholds and lambdas of 10, 50, ..., 10,000, infinity by SLOPE (Su, Srinath, Krishnamurthy 2020), as obp does; "
    "'by our rule' is what `edgewise evaluate` computes"
)
PATHOLOGY: Final = "log bts/women, target uniform over its 46 arms"


def measure(ground: Ground) -> list[Claim]:
    """The quickstart, the table of the small data, and the log that must be refused."""
    cache = default_cache(os.environ)
    try:
        name = import_sample(cache, ground.folder, "random", "all").name
        file = thompson_file(cache, ground.folder, "all")
        women = import_sample(cache, ground.folder, "bts", "women").name
    except UnavailableError as absent:
        return [Claim(what="Open Bandit sample", value=None, protocol=QUICKSTART, reason=str(absent))]
    log = load_decisions(ground.folder, name)
    return [
        *_quickstart(ground.folder, name, file),
        *_table(ground, log, from_file(log, file)),
        *_refused(ground.folder, women),
    ]


def _quickstart(folder: Path, name: str, file: Path) -> list[Claim]:
    names = (EstimatorName.IPS, EstimatorName.DM, EstimatorName.DR)
    found = evaluate(folder, name, f"probabilities:{file}", names, seed=SEED).evaluation.estimators
    source = "obp's quickstart, examples/quickstart/obd.ipynb"
    exact = found["ips"]
    claims = [
        Claim(
            what="IPW, random -> BTS, all",
            value=exact.estimate,
            low=exact.ci_low,
            high=exact.ci_high,
            equals=0.004553,
            within=MONTE_CARLO,
            source=source,
            protocol=QUICKSTART,
        )
    ]
    for each, published, within in (
        ("ips", 0.084019, MONTE_CARLO / TRUTH),
        ("dm", 0.156041, TABLE["dm"][1]),
        ("dr", 0.125548, TABLE["dr"][1]),
    ):
        claims.append(
            Claim(
                what=f"relative error of {each}, random -> BTS, all",
                value=_error(found[each].estimate),
                equals=published,
                within=within,
                source=source + ("" if each == "ips" else ", within the standard deviation of the table"),
                protocol=QUICKSTART,
                detail={"estimate": found[each].estimate},
            )
        )
    return claims


def _table(ground: Ground, log: LoggedDecisions, target: Target) -> list[Claim]:
    rng = np.random.default_rng(SEED)
    errors: dict[str, list[float]] = {}
    for run in range(RUNS):
        ground.terminal.note(f"resample {run + 1} of {RUNS}")
        rows = rng.integers(log.rows, size=log.rows)
        for name, estimate in _estimates(_resampled(log, rows), target.of_rows(rows), rng).items():
            errors.setdefault(name, []).append(_error(estimate))
    claims = []
    for name, found in errors.items():
        mean, spread = TABLE.get(name, (None, 0.0))
        half = 1.96 * float(np.std(found, ddof=1)) / RUNS**0.5
        claims.append(
            Claim(
                what=f"mean relative error of {name}, 30 resamples",
                value=float(np.mean(found)),
                low=float(np.mean(found)) - half,
                high=float(np.mean(found)) + half,
                equals=mean,
                within=spread,
                source="" if mean is None else "obp's examples/obd/README.md, within its standard deviation",
                protocol=BOOTSTRAP,
                detail={"standard_deviation": float(np.std(found, ddof=1))},
            )
        )
    return claims


def _resampled(log: LoggedDecisions, rows: Integers) -> LoggedDecisions:
    """Rows drawn with replacement, each a decision of its own, as the published bootstrap has them."""
    drawn = log.of_rows(rows)
    numbers = np.arange(len(rows))
    return replace(drawn, decision=numbers, decision_ids=tuple(map(str, numbers)))


def _estimates(log: LoggedDecisions, target: Target, rng: np.random.Generator) -> dict[str, float]:
    weights = importance_weights(target.of_logged(log), log.propensity)
    predicted = cross_fitted(log, target, rng=rng)
    parts = _Parts(weights, log.reward, predicted)
    return {
        "dm": point(on_arrays.dm(predicted)),
        "ips": point(on_arrays.ips(weights, log.reward)),
        "snips": point(on_arrays.snips(weights, log.reward)),
        "dr": point(on_arrays.dr(weights, log.reward, predicted)),
        "sndr": point(on_arrays.sndr(weights, log.reward, predicted)),
        "switch-dr": _slope(parts, switched),
        "dros": _slope(parts, bent),
        "switch-dr by our rule": point(switch_dr(weights, log.reward, predicted, log.unit).terms),
        "dros by our rule": point(dros(weights, log.reward, predicted, log.unit).terms),
    }


class _Parts(NamedTuple):
    weights: Floats
    rewards: Floats
    predicted: Predictions


def _slope(parts: _Parts, shrink: Callable[[Floats, float], Floats]) -> float:
    """From the widest interval to the narrowest, as long as each meets all before it; the last one that does.

    Su, Srinath, Krishnamurthy 2020, *Adaptive estimator selection for off-policy evaluation*, ICML.
    """
    found = []
    for tuning in GRID:
        terms = on_arrays.dr(shrink(parts.weights, tuning), parts.rewards, parts.predicted)
        found.append((1.96 * standard_error(terms, np.arange(len(parts.rewards))), point(terms)))
    found.sort(key=lambda each: -each[0])
    kept = [found[0]]
    for width, estimate in found[1:]:
        if any(abs(estimate - other) > width + (6**0.5 - 1) * wider for wider, other in kept):
            break
        kept.append((width, estimate))
    return kept[-1][1]


def _refused(folder: Path, name: str) -> list[Claim]:
    evaluation = evaluate(folder, name, "uniform", tuple(MODELLED | {EstimatorName.IPS})).evaluation
    reasons = "; ".join(evaluation.warnings)
    named = "effective sample size 2 of 10,000" in reasons and "largest weight 21,739" in reasons
    source = "README of the data: an engine must refuse"
    ips = evaluation.estimators["ips"]
    claims = [
        Claim(
            what="refused with its reason (1: yes), women BTS -> uniform",
            value=float(evaluation.verdict is Verdict.REFUSED and named),
            equals=1.0,
            source=source,
            protocol=PATHOLOGY,
            reason=reasons,
        )
    ]
    for what, value, known in (("effective sample size", ips.ess, 2.0), ("largest weight", ips.max_weight, 21_739.0)):
        claims.append(
            Claim(what=f"{what}, women", value=value, equals=known, within=0.5, source=source, protocol=PATHOLOGY)
        )
    return claims


def _error(estimate: float) -> float:
    return abs(estimate - TRUTH) / TRUTH
