"""An experiment's evidence made into lifts and verdicts: what `edgewise experiment analyse` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from edgewise.errors import InputError
from hub.statistics.balance import Exposures, SampleRatio, srm
from hub.statistics.compare import LEVEL, Comparison, Method, compare
from hub.statistics.evidence import Evidence
from hub.statistics.metrics import Measured, Role
from hub.statistics.multiplicity import Correction, corrected
from hub.statistics.results import Analysis, ControlResult, MetricResult, VariantResult
from hub.statistics.sequential import TUNED_TO_UNITS
from hub.statistics.summary import COVARIATE
from hub.statistics.verdict import Guardrail, Held, Verdict, Word, guardrail, verdict


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How an experiment is read; to be fixed before anybody looks."""

    control: str
    metrics: tuple[Measured, ...]
    """One of them the outcome."""
    method: Method = Method.FIXED
    weights: dict[str, float] | None = None
    """Of the arms, as they were meant; equal where nobody says."""
    correction: Correction = Correction.HOLM
    least_lift: float = 0.0
    """The smallest relative lift of the outcome that is worth its cost."""
    tuned_to_units: float = TUNED_TO_UNITS
    alpha: float = LEVEL
    blocked: tuple[str, ...] = ()
    """Why nothing may be concluded, as far as whoever brings the evidence knows more than it says."""

    @property
    def outcome(self) -> Measured:
        """What decides."""
        return next(metric for metric in self.metrics if metric.role is Role.OUTCOME)


def analysed(evidence: Evidence, plan: Plan) -> Analysis:
    """Compare every variant with the control by every metric.

    Raises InputError for a control that there is not, one arm alone, or weights of other arms.
    """
    counts = _meant(evidence.counts, plan)
    split = srm(counts, plan.weights)
    blocked = [*_blocked(split, evidence.exposures, counts), *plan.blocked]
    variants = [arm for arm in counts if arm != plan.control]
    found = {
        metric.name: {
            arm: compare(
                evidence.of(metric.name, plan.control),
                evidence.of(metric.name, arm),
                kind=metric.kind,
                method=plan.method,
                alpha=plan.alpha,
                tuned_to_units=plan.tuned_to_units,
            )
            for arm in variants
        }
        for metric in plan.metrics
    }
    p_values = _corrected(found, plan)
    guards = _guardrails(found, plan, variants)
    metrics = {
        metric.name: _metric(
            metric, evidence, plan, found[metric.name], p_values=p_values, guards=guards, blocked=blocked
        )
        for metric in plan.metrics
    }
    decided = metrics[plan.outcome.name].variants
    return Analysis(
        srm=split,
        metrics=metrics,
        control=plan.control,
        method=plan.method,
        outcome=plan.outcome.name,
        verdicts={arm: Verdict(of.verdict, of.sentence) for arm, of in decided.items()},
        exposures=evidence.exposures,
        correction=plan.correction,
        alpha=plan.alpha,
        warnings=[*evidence.warnings, *_cautions(split, plan, evidence)],
    )


def _meant(counts: Mapping[str, int], plan: Plan) -> dict[str, int]:
    """Units of each arm, the control's first; arms that were meant and never came have 0."""
    every = dict(counts)
    if plan.weights is not None:
        if strangers := [arm for arm in counts if arm not in plan.weights]:
            raise InputError(f"variant {strangers[0]!r} has no weight; there are: {', '.join(plan.weights)}")
        every |= {arm: 0 for arm in plan.weights if arm not in counts}
    if plan.control not in every:
        raise InputError(f"no variant {plan.control!r} to be the control; there are: {', '.join(sorted(every))}")
    if len(every) == 1:
        raise InputError(f"{plan.control!r} is the only variant, expected at least two")
    return {plan.control: every.pop(plan.control)} | dict(sorted(every.items()))


def _blocked(split: SampleRatio, exposures: Exposures | None, counts: Mapping[str, int]) -> list[str]:
    """Why nothing may be concluded from any metric."""
    reasons = []
    if split.alarm:
        seen = ", ".join(f"{arm} {counts[arm]:,} of {split.expected[arm]:,.0f}" for arm in counts)
        reasons.append(f"the split is not the one that was meant, {seen} expected units (p = {split.p_value:.2g})")
    if exposures is not None and exposures.alarm:
        share = f"{exposures.in_several:,} of {exposures.units:,} units saw several variants"
        reasons.append(f"{share}: assignment or its log is broken")
    return reasons


def _corrected(found: Mapping[str, Mapping[str, Comparison]], plan: Plan) -> dict[tuple[str, str], float]:
    """By metric and variant. Guardrails stay as they are: a correction would make harm harder to see."""
    corrected_p: dict[tuple[str, str], float] = {}
    for role in Role:
        names = [metric.name for metric in plan.metrics if metric.role is role]
        family = {(name, arm): of.p_value for name in names for arm, of in found[name].items()}
        corrected_p |= corrected(family, Correction.NONE if role is Role.GUARDRAIL else plan.correction)
    return corrected_p


def _guardrails(
    found: Mapping[str, Mapping[str, Comparison]], plan: Plan, variants: Sequence[str]
) -> dict[str, dict[str, Guardrail]]:
    """By variant, then metric."""
    guards = [metric for metric in plan.metrics if metric.role is Role.GUARDRAIL]
    return {
        arm: {
            of.name: guardrail(
                of.name, found[of.name][arm], tolerated=of.tolerated, higher_is_better=of.higher_is_better
            )
            for of in guards
        }
        for arm in variants
    }


def _metric(
    metric: Measured,
    evidence: Evidence,
    plan: Plan,
    found: Mapping[str, Comparison],
    *,
    p_values: Mapping[tuple[str, str], float],
    guards: Mapping[str, Mapping[str, Guardrail]],
    blocked: Sequence[str],
) -> MetricResult:
    control = evidence.of(metric.name, plan.control)
    if metric.role is not Role.GUARDRAIL and not metric.may_ship:
        what = f"{metric.name} alone says nothing of the business: name an outcome that does"
        blocked = [*blocked, what]
    variants = {}
    for arm, of in found.items():
        p_value = p_values[metric.name, arm]
        if metric.role is Role.GUARDRAIL and not blocked:
            judged = _of_guardrail(guards[arm][metric.name])
        else:
            judged = verdict(
                of,
                metric=metric.name,
                variant=arm,
                control=plan.control,
                higher_is_better=metric.higher_is_better,
                p_value=p_value,
                alpha=plan.alpha,
                least_lift=plan.least_lift if metric.role is Role.OUTCOME else 0.0,
                blocked=blocked,
                guardrails=list(guards[arm].values()) if metric.role is Role.OUTCOME else (),
            )
        seen = evidence.of(metric.name, arm)
        variants[arm] = VariantResult(
            n=seen.n,
            mean=seen.mean,
            absolute_lift=of.absolute_lift,
            relative_lift=of.relative_lift,
            ci_low=of.ci_low,
            ci_high=of.ci_high,
            p_value=of.p_value,
            chance_to_win=of.chance_to_win,
            verdict=judged.word,
            sentence=judged.sentence,
            absolute_low=of.absolute_low,
            absolute_high=of.absolute_high,
            p_value_corrected=p_value,
            stderr=of.stderr,
            theta=of.theta,
            variance_reduction=of.variance_reduction,
        )
    return MetricResult(
        kind=metric.kind.value,
        role=metric.role,
        higher_is_better=metric.higher_is_better,
        control=ControlResult(name=plan.control, n=control.n, mean=control.mean),
        variants=variants,
        excluded=evidence.excluded.get(metric.name, 0),
        guardrails={arm: of[metric.name] for arm, of in guards.items() if metric.name in of},
    )


def _of_guardrail(found: Guardrail) -> Verdict:
    words = {Held.HELD: Word.SHIP, Held.UNCLEAR: Word.WAIT, Held.BREACHED: Word.STOP}
    word = words[found.state]
    return Verdict(word, f"{word.value.capitalize()}: {found.sentence}.")


def _cautions(split: SampleRatio, plan: Plan, evidence: Evidence) -> list[str]:
    said = []
    if split.alarm:
        said.append(f"sample ratio mismatch, p = {split.p_value:.2g}: find out why before anything else is read")
    if math.isnan(split.p_value):
        said.append("there are no units")
    if plan.method is Method.BAYESIAN:
        said.append("the Bayesian method promises nothing about how often it errs when it is looked at again and again")
    covered = [metric.name for metric in plan.metrics if metric.covariate]
    said += [
        f"the covariate of {name} does not vary: it changes nothing"
        for name in covered
        if all(of.products[COVARIATE, COVARIATE] == 0 for of in evidence.summaries[name].values())
    ]
    return said
