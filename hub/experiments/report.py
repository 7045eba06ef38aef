"""What an experiment that runs says: whether it may be read, what it won, for whom, for how long, and what to do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import numpy as np

from edgewise.bundle.experiments import Metric
from edgewise.errors import InputError
from edgewise.ids import ArmName, BundleVersion, ExperimentKey, PlacementName
from hub.experiments.exposed import HELD_OUT, PERSONALISED, Exposed, Person
from hub.experiments.measures import DAY_MS, Measures, measured
from hub.experiments.policies import Rules
from hub.experiments.trial import Trial
from hub.statistics.analysis import Plan, analysed
from hub.statistics.balance import SampleRatio, srm
from hub.statistics.compare import Kind, Method
from hub.statistics.from_rows import evidence_of
from hub.statistics.metrics import Measured, Role
from hub.statistics.novelty import Day, Novelty, novelty
from hub.statistics.power import Baseline, Design, detectable_lift, units_needed
from hub.statistics.results import Analysis
from hub.statistics.segments import Pair, Segments, heterogeneity
from hub.statistics.summary import COVARIATE, Summary
from hub.statistics.units import EXCLUDED, Mask, Rows, Units, Values

SOUGHT: Final = 0.05
"""The relative lift that a run time is told for where nobody says another."""
_DAYS_SHOWN: Final = 60
_SEGMENTS_SHOWN: Final = 50
_PACE_DAYS: Final = 7


class RunTime(msgspec.Struct, frozen=True, kw_only=True):
    """How far an experiment has come, by power: a chance of 80 % to find a lift, with the method that it is read by."""

    units_per_day: float
    """People first exposed, over the last week."""
    detectable_lift: float
    """Relative, with those whose window has closed; NaN (null in JSON) where none can be found."""
    lift: float
    """That is looked for."""
    units_needed: int | None
    """In all arms; None where nothing is known of the outcome yet."""
    days_left: float | None
    """At this pace; None where nobody comes, or nothing is known. 0: enough have come."""
    sentence: str


class ExperimentReport(msgspec.Struct, frozen=True, kw_only=True):
    """`edgewise experiment report KEY --json`, and `GET /api/v1/experiments/KEY`. Field names as `analyse` has them."""

    key: ExperimentKey
    placements: tuple[PlacementName, ...]
    """Where the live release runs it; none: it has ended."""
    since_ms: int
    until_ms: int
    began_ms: int | None
    """The first exposure within; None: nobody was exposed."""
    is_cut: bool
    """Whether somebody was exposed so soon after `since_ms` that the experiment may be older than what was read."""
    analysis: Analysis
    coverage: SampleRatio | None
    """People inside of the experiment, and outside; None where conditions decide who takes part, or it was lowered."""
    waiting: dict[str, int]
    """By metric: people whose window has not closed; they count in the split, and not in the metric."""
    left_out: dict[str, int]
    """Why -> units that count in nothing (`hub.experiments.exposed.LeftOut`, `hub.rewards.exposures.Dropped`)."""
    erased: int
    future_events: int
    """Events later than now: left out."""
    novelty: dict[str, Novelty]
    """Of the outcome, by variant."""
    segments: list[Segments]
    """Of the outcome."""
    holdout: Analysis | None
    """Everybody who was personalised against who is held out, by the outcome; None where nobody is held out."""
    run_time: RunTime


def reported(trial: Trial, *, lift: float = SOUGHT) -> ExperimentReport:
    """Judge a trial. `lift` is the relative change of the outcome that it is to find."""
    rules, found = trial.rules, trial.exposed
    experiment = rules.experiment
    people = found.people
    inside = _coverage(rules, found)
    blocked = []
    if inside is not None and inside.alarm:
        seen, meant = inside.observed["inside"], inside.expected["inside"]
        blocked.append(f"{seen:,} visitors take part where {meant:,.0f} were meant to (p = {inside.p_value:.2g})")
    metrics = [
        (metric, measured(metric, Role.GUARDRAIL if at else Role.OUTCOME)) for at, metric in enumerate(trial.metrics)
    ]
    units, columns = _units(people, tuple(experiment.arms), trial.measures, metrics)
    plan = Plan(
        control=experiment.control_arm,
        metrics=tuple(columns),
        method=Method(experiment.method),
        weights=_meant(rules, people),
        blocked=tuple(blocked),
    )
    analysis = analysed(evidence_of(units, columns), plan)
    began_ms = min((of.exposed_ms for of in people), default=None)
    return ExperimentReport(
        key=rules.key,
        placements=rules.placements,
        since_ms=trial.since_ms,
        until_ms=trial.now_ms,
        began_ms=began_ms,
        is_cut=began_ms is not None and began_ms < trial.since_ms + DAY_MS,
        analysis=analysis,
        coverage=inside,
        waiting={metric.name: int(np.count_nonzero(trial.measures.is_open(metric))) for metric in trial.metrics},
        left_out=dict(found.left_out),
        erased=trial.erased,
        future_events=trial.measures.future,
        novelty=_novelties(trial, units, plan.control, list(analysis.verdicts)),
        segments=_segments(trial, units, plan.control, list(analysis.verdicts)),
        holdout=_holdout(trial),
        run_time=_run_time(trial, units, plan, lift),
    )


def _units(
    people: tuple[Person, ...], arms: tuple[str, ...], measures: Measures, metrics: list[tuple[Metric, Measured]]
) -> tuple[Units, list[Measured]]:
    """The people as units, and the metrics with a covariate where there is anything from before."""
    values = {metric.name: measures.values(metric) for metric, _ in metrics}
    columns = []
    for metric, of in metrics:
        found = values[metric.name]
        if found.covariate is None or not np.any(found.covariate != found.covariate[:1]):
            values[metric.name] = Values(found.value, found.denominator)
            columns.append(of)
        else:
            columns.append(msgspec.structs.replace(of, covariate=f"{metric.name} before"))
    units = Units(
        arms=arms,
        arm=np.array([EXCLUDED if of.arm is None else arms.index(of.arm) for of in people], np.int64),
        values=values,
        label=lambda at: people[at].person,
        segment=None,
        score=None,
        rows=Rows(np.zeros(0, np.int64), None, {}),
        named=True,
        warnings=(),
    )
    return units, columns


def _meant(rules: Rules, people: Iterable[Person]) -> dict[str, float]:
    """The split that the releases meant: each person by the weights of the one that first exposed him."""
    total: dict[str, float] = dict.fromkeys(rules.experiment.arms, 0.0)
    by_version: dict[BundleVersion, Mapping[ArmName, float]] = {}
    for of in people:
        if of.arm is None:
            continue
        if of.version not in by_version:
            by_version[of.version] = rules.weights_at(of.version)
        for arm, weight in by_version[of.version].items():
            total[arm] += weight
    live = {str(arm): weight for arm, weight in rules.weights_at(BundleVersion(-1)).items()}
    return total if sum(total.values()) else live


def _coverage(rules: Rules, found: Exposed) -> SampleRatio | None:
    """Whether as many take part as the releases meant."""
    shares = [rules.at(version).coverage for version in found.coverage]
    experiment = rules.experiment
    # who was assigned stays when coverage is lowered: then nobody knows how many are meant to be inside
    is_told_otherwise = experiment.condition or experiment.namespace or experiment.min_bucket_version
    if not shares or shares != sorted(shares) or is_told_otherwise:
        return None
    counts = list(found.coverage.values())
    meant = sum(share * sum(both) for share, both in zip(shares, counts, strict=True))
    total = sum(map(sum, counts))
    observed = {"inside": sum(inside for inside, _ in counts), "outside": sum(outside for _, outside in counts)}
    return srm(observed, {"inside": meant, "outside": max(0.0, total - meant)})


def _novelties(trial: Trial, units: Units, control: str, variants: list[str]) -> dict[str, Novelty]:
    kind = measured(trial.outcome, Role.OUTCOME).kind
    of_control = units.of(control)
    by_arm: dict[str, list[Day]] = {arm: [] for arm in variants}
    for day in range(min(math.ceil(trial.outcome.window_hours / 24), _DAYS_SHOWN)):
        values = trial.measures.on_day(trial.outcome, day)
        for arm, days in by_arm.items():
            pair = Day(day, values.summary(of_control), values.summary(units.of(arm)))
            if min(pair.control.n, pair.variant.n):
                days.append(pair)
    return {arm: novelty(days, kind=kind) for arm, days in by_arm.items()}


def _segments(trial: Trial, units: Units, control: str, variants: list[str]) -> list[Segments]:
    people = trial.exposed.people
    by_attribute = {
        "device": [of.device for of in people],
        "country": [of.country for of in people],
        "visitor": ["known" if of.is_known else "new" for of in people],
    }
    kind = measured(trial.outcome, Role.OUTCOME).kind
    values, of_control = units.values[trial.outcome.name], units.of(control)
    found = []
    for attribute, words in by_attribute.items():
        within: dict[str, Mask] = {
            name: np.array([word == name for word in words], np.bool_)
            for name in sorted({word for word in words if word})[:_SEGMENTS_SHOWN]
        }
        variants_within = {
            arm: heterogeneity(
                {
                    name: Pair(values.summary(of_control & inside), values.summary(units.of(arm) & inside))
                    for name, inside in within.items()
                },
                kind=kind,
            )
            for arm in variants
        }
        if within:
            found.append(Segments(attribute=attribute, variants=variants_within))
    return found


def _holdout(trial: Trial) -> Analysis | None:
    """By the outcome alone, and with the experiment's method."""
    rules, people = trial.rules, trial.exposed.holdout
    if not any(of.arm == HELD_OUT for of in people):
        return None
    metric = trial.outcome
    units, columns = _units(
        people, (HELD_OUT, PERSONALISED), trial.of_holdout, [(metric, measured(metric, Role.OUTCOME))]
    )
    held_out = sum(rules.holdout_at(of.version) for of in people if of.arm is not None)
    personalised = sum(of.arm is not None for of in people) - held_out
    plan = Plan(
        control=HELD_OUT,
        metrics=tuple(columns),
        method=Method(rules.experiment.method),
        weights={HELD_OUT: held_out, PERSONALISED: personalised} if held_out and personalised > 0 else None,
    )
    return analysed(evidence_of(units, columns), plan)


def _run_time(trial: Trial, units: Units, plan: Plan, lift: float) -> RunTime:
    since_ms = trial.now_ms - _PACE_DAYS * DAY_MS
    began_ms = min((of.exposed_ms for of in trial.exposed.people), default=trial.now_ms)
    days = max((trial.now_ms - max(since_ms, began_ms)) / DAY_MS, 1 / 24)
    per_day = sum(of.exposed_ms >= since_ms for of in trial.exposed.people) / days
    baseline = _baseline(trial, units, plan.control)
    known = sum(units.values[trial.outcome.name].summary(units.of(arm)).n for arm in units.arms)
    nothing = RunTime(
        units_per_day=per_day,
        detectable_lift=float("nan"),
        lift=lift,
        units_needed=None,
        days_left=None,
        sentence=f"nothing is known of {trial.outcome.name} yet, so that no run time can be told",
    )
    if baseline is None:
        return nothing
    weights = _weights_of_pairs(plan)
    design = Design(weights=weights, method=Method.FIXED if plan.method is Method.BAYESIAN else plan.method)
    try:
        needed = units_needed(lift, baseline, design)
        smallest = detectable_lift(known, baseline, design)
    except InputError as wrong:
        return msgspec.structs.replace(nothing, sentence=str(wrong))
    missing = max(0, needed - known)
    days_left = 0.0 if not missing else missing / per_day if per_day else None
    if not missing:
        said = f"{known:,} people are enough to find a lift of {lift:+.2%} four times in five"
    else:
        pace = "nobody comes any more" if days_left is None else f"{math.ceil(days_left):,} days at this pace"
        said = f"a lift of {lift:+.2%} needs {needed:,} people, {missing:,} more: {pace}"
    return RunTime(
        units_per_day=per_day,
        detectable_lift=smallest,
        lift=lift,
        units_needed=needed,
        days_left=days_left,
        sentence=said,
    )


def _weights_of_pairs(plan: Plan) -> dict[str, float]:
    """The control's first; an arm that nobody is meant to get is not waited for."""
    weights = dict(plan.weights or {})
    first = {plan.control: weights.pop(plan.control)}
    return first | {arm: weight for arm, weight in weights.items() if weight > 0}


def _baseline(trial: Trial, units: Units, control: str) -> Baseline | None:
    """The control's; None where it has no mean or does not vary."""
    summary: Summary = units.values[trial.outcome.name].summary(units.of(control))
    if summary.n < 2 or not summary.mean or not summary.variance > 0:  # noqa: PLR2004  # one has no variance
        return None
    return Baseline(
        mean=summary.mean,
        stddev=math.sqrt(summary.variance),
        is_binary=measured(trial.outcome, Role.OUTCOME).kind is Kind.BINARY,
        rho=_rho(summary),
    )


def _rho(summary: Summary) -> float:
    """Correlation with what was before; 0 where there is nothing."""
    spread = summary.products[COVARIATE, COVARIATE] * summary.products[0, 0]
    return float(summary.products[0, COVARIATE] / math.sqrt(spread)) if spread > 0 and not summary.is_ratio else 0.0
