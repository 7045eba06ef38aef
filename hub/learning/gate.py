"""Whether a challenger may be recommended to the person who decides. Pure, and conservative: doubt counts against it.

It must have shown that it earns more than the champion: the lower end of its lift lies above 0, at a level that pays
for every challenger that was tried before, and in both halves of the time. Or it is the same model with newer data,
not worse by more than a margin, better than the rule on later outcomes. Nothing else may speak against it.
Looking again and again at what chance brings would recommend something in the end, so the k-th look gets
alpha / (k (k + 1)) of the whole alpha: those add up to alpha, however many come (alpha spending; Foster, Stine 2008,
*alpha-investing*, JRSS B 70(2), section 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from hub.learning.evidence import GateEvidence, GuardrailEvidence, Interval, OffPolicy

Part = Annotated[float, Meta(ge=0, le=1)]
HOUR_MS: Final = 3_600_000
_SAME_ALPHA: Final = 1 + 1e-9
"""What rounding makes of one alpha."""


class GatePlan(msgspec.Struct, frozen=True, kw_only=True):
    """How much has to be shown."""

    alpha: Annotated[float, Meta(gt=0, lt=0.5)] = 0.01
    """Chance, over all looks at one champion, that one which earns no more is found to earn more."""
    fewest_new: Annotated[int, Meta(ge=1)] = 100
    least_ess: Annotated[float, Meta(ge=30)] = 200.0
    most_share_of_largest: Part = 0.05
    """Of all weight, or of all reward, in one unit."""
    most_unsupported: Part = 0.05
    margin: Part = 0.02
    """How much less than the champion earns is not worse: for the same model with newer data only."""
    least_segment: Part = 0.05
    """Segments with fewer of the rows are not looked at."""
    least_exploring: Part = 0.5
    """It has to explore this part of what the champion explores, or the next turn learns nothing."""
    least_choices: Part = 0.25
    """It has to put this part of the champion's number of different items first."""
    most_undecided: Part = 0.2
    most_dropped: Part = 0.2
    most_learned_gap: Part = 0.5
    """What it does better on what it learned from than on what came later, as part of the former."""
    stale_hours: Annotated[float, Meta(gt=0)] = 168.0
    """Nothing that it learned from is younger: visitors have changed meanwhile."""


class GateVerdict(msgspec.Struct, frozen=True):
    """What a person is told."""

    recommend: bool
    against: tuple[str, ...]
    """Everything that speaks against it; empty where it is recommended."""
    in_favour: tuple[str, ...]
    cautions: tuple[str, ...] = ()
    """What is no reason to refuse, and should be known."""


def alpha_of_look(alpha: float, look: int) -> float:
    """The part of `alpha` that the `look`-th challenger (from 1) against one champion may spend."""
    return alpha / (look * (look + 1))


def judge(evidence: GateEvidence, plan: GatePlan = GatePlan()) -> GateVerdict:  # noqa: B008  # frozen
    """Weigh it all; never raises for what is missing, which counts against the challenger."""
    against = [reason for rule in _RULES for reason in rule(evidence, plan)]
    shown, not_shown = _shown(evidence, plan)
    against += not_shown
    return GateVerdict(not against, tuple(against), tuple(shown), tuple(_cautions(evidence)))


def is_too_old(trained_ms: int, now_ms: int, plan: GatePlan) -> bool:
    """Whether a candidate that waited for a person has waited too long."""
    return now_ms - trained_ms > plan.stale_hours * HOUR_MS


# --- what has to be shown ---------------------------------------------------------------------------------------
def _shown(evidence: GateEvidence, plan: GatePlan) -> tuple[list[str], list[str]]:
    """What speaks for it, and what is missing of what must."""
    log = evidence.off_policy
    if log is None:
        why = evidence.no_off_policy or "nobody has asked the log"
        return [], [f"the log cannot say what it would have earned: {why}"]
    if log.alpha > alpha_of_look(plan.alpha, evidence.looks) * _SAME_ALPHA:
        allowed = alpha_of_look(plan.alpha, evidence.looks)
        return [], [f"its interval misses with {log.alpha:.2g}; look {evidence.looks} may spend {allowed:.2g}"]
    found = f"lift {_said(log.lift)} on {log.champion:.4g} by the log of {log.units:,} {log.unit_name}s"
    if log.lift.low > 0:
        where = ("earlier", "later")
        weak = [name for name, half in zip(where, log.halves, strict=False) if not half.estimate > 0]
        if len(log.halves) < len(where) or weak:
            missing = ", ".join(weak) or "each"
            return [], [f"{found}, but none in the {missing} half of the time: something passed, or came by chance"]
        return [f"{found}, in both halves of the time"], []
    if not evidence.is_refresh:
        return [], [f"{found}: not surely above 0"]
    return _as_refresh(evidence, plan, log, found)


def _as_refresh(evidence: GateEvidence, plan: GatePlan, log: OffPolicy, found: str) -> tuple[list[str], list[str]]:
    """The same model with newer data need not be better than the champion: without it, it only grows old."""
    missing = []
    if not log.lift.low >= -plan.margin * abs(log.champion):
        missing.append(f"{found}: it may earn more than {plan.margin:.0%} less")
    rule = None if evidence.held_out is None else evidence.held_out.above_rule
    if rule is None or not rule.low > 0:
        said = "nobody has compared it with the rule" if rule is None else f"above the rule by {_said(rule)}"
        missing.append(f"on later outcomes: {said}; expected surely more")
    if missing:
        return [], missing
    return [f"newer data in the same model: {found}, not worse than {plan.margin:.0%}"], []


# --- what may not be ----------------------------------------------------------------------------------------------
Rule = Callable[[GateEvidence, GatePlan], Iterator[str]]


def _parity(evidence: GateEvidence, _: GatePlan) -> Iterator[str]:
    parity = evidence.parity
    if parity is None or not parity.rows:
        yield "nobody has compared the edge's scores with the trained model's"
    elif parity.mismatches:
        yield f"the edge scores {parity.mismatches:,} of {parity.rows:,} rows otherwise than it was trained"
    if parity is not None and not parity.finite >= 1:
        yield f"{1 - parity.finite:.1%} of its scores are no numbers"


def _data(evidence: GateEvidence, plan: GatePlan) -> Iterator[str]:
    data = evidence.data
    if data.new < plan.fewest_new:
        yield f"{data.new:,} new outcomes or decisions; expected at least {plan.fewest_new:,}"
    if is_too_old(data.newest_ms, evidence.now_ms, plan):
        hours = (evidence.now_ms - data.newest_ms) / HOUR_MS
        yield f"the newest of what it learned from is {hours:,.0f} hours old; expected at most {plan.stale_hours:g}"
    if data.newest_ms > evidence.now_ms:
        yield "it learned from what happens only later: a clock is wrong"
    if not data.waiting <= 0:
        yield f"outcomes of {data.waiting:.1%} of the judged decisions may still come"
    if not data.dropped <= plan.most_dropped:
        yield f"{data.dropped:.0%} of the decisions could not be used; at most {plan.most_dropped:.0%} may be"
    if not data.learned <= 0:
        yield f"it has learned from {data.learned:.0%} of the decisions that judge it"
    if data.skewed:
        yield f"nodes serve {', '.join(data.skewed)} otherwise than training computes them"


def _held_out(evidence: GateEvidence, plan: GatePlan) -> Iterator[str]:
    held = evidence.held_out
    if held is None:
        return
    for what, above in (("the champion", held.above_champion), ("the rule", held.above_rule)):
        if above is not None and not above.high >= 0:
            yield f"{held.measure} on {held.choices:,} later outcomes: surely below {what}, by {_said(above)}"
    if held.learned is not None and held.value is not None:
        gap = held.learned - held.value
        if held.learned > 0 and not gap <= plan.most_learned_gap * held.learned:
            yield (
                f"{held.measure} is {held.learned:.3f} on what it learned from and {held.value:.3f} on what came "
                f"later: it knows its lessons by heart"
            )


def _support(evidence: GateEvidence, plan: GatePlan) -> Iterator[str]:
    log = evidence.off_policy
    if log is None:
        return
    yield from log.refused
    if not log.ess >= plan.least_ess:
        yield f"effective sample size {log.ess:,.0f} of {log.units:,}; expected at least {plan.least_ess:,.0f}"
    if not log.share_of_largest <= plan.most_share_of_largest:
        yield f"{log.share_of_largest:.0%} of all weight in one {log.unit_name}, largest {log.max_weight:,.0f}"
    if not log.largest_reward_share <= plan.most_share_of_largest:
        yield f"{log.largest_reward_share:.0%} of all reward comes of one {log.unit_name}"
    if not log.unsupported <= plan.most_unsupported:
        yield f"{log.unsupported:.0%} of what it would show was never shown there: nobody knows what comes of that"
    for whose, mean in log.mean_weights.items():
        expected = 1.0 - (log.unsupported if whose == "challenger" else 0.0)
        if not mean.low - _ROUNDED <= expected <= mean.high + _ROUNDED:
            yield f"weights of the {whose} average {mean.estimate:.3f}, not {expected:.3f}: propensities are wrong"


_ROUNDED: Final = 0.01
"""Logs round their propensities, and one with equal weights has no standard error."""


def _behaviour(evidence: GateEvidence, plan: GatePlan) -> Iterator[str]:
    log = evidence.off_policy
    if log is None:
        return
    if not log.undecided <= plan.most_undecided:
        yield f"in {log.undecided:.0%} of the situations it tells no two candidates apart"
    if not log.explores >= plan.least_exploring * log.champion_explores:
        yield (
            f"it would try something else in {log.explores:.1%} of its choices, the champion does so in "
            f"{log.champion_explores:.1%}: the next turn could learn nothing"
        )
    if not log.choices >= plan.least_choices * log.champion_choices:
        yield (
            f"it puts effectively {log.choices:.1f} different items first, the champion {log.champion_choices:.1f}: "
            f"everybody would see the same"
        )


def _harm(evidence: GateEvidence, plan: GatePlan) -> Iterator[str]:
    log = evidence.off_policy
    if log is None:
        return
    for segment in log.segments:
        if segment.share >= plan.least_segment and not segment.lift.high >= 0:
            yield f"{segment.name}, {segment.share:.0%} of the log: surely worse, by {_said(segment.lift)}"
    for guardrail in log.guardrails:
        change = guardrail.relative
        if not change.high >= 0:
            yield f"guardrail {guardrail.name} is surely worse: {_said(change, percent=True)}"
        elif not change.low >= -guardrail.tolerated and _can_tell(guardrail):
            yield f"{_in_doubt(guardrail)} is not ruled out"


def _can_tell(guardrail: GuardrailEvidence) -> bool:
    """Whether the log is long enough to tell what is tolerated from what is not.

    A log that is not is no proof of harm, and what is rare never has one that is: then it is a caution, and the
    experiment that named the guardrail has to see it.
    """
    return not (guardrail.relative.high - guardrail.relative.low) / 2 > guardrail.tolerated


def _in_doubt(guardrail: GuardrailEvidence) -> str:
    said = _said(guardrail.relative, percent=True)
    return f"guardrail {guardrail.name}: {said}; a change below {-guardrail.tolerated:.1%}"


def _cautions(evidence: GateEvidence) -> Iterator[str]:
    log = evidence.off_policy
    if log is None:
        return
    yield from log.warnings
    for guardrail in log.guardrails:
        if guardrail.relative.low < -guardrail.tolerated and not _can_tell(guardrail):
            yield f"{_in_doubt(guardrail)} cannot be told from chance by this log"


def _flags(evidence: GateEvidence, _: GatePlan) -> Iterator[str]:
    for flag in evidence.flags:
        yield f"what staff flagged would be shown again: {flag}"


_RULES: Final[tuple[Rule, ...]] = (
    _parity,
    _data,
    _held_out,
    _support,
    _behaviour,
    _harm,
    _flags,
)


def _said(interval: Interval, *, percent: bool = False) -> str:
    if any(map(math.isnan, msgspec.structs.astuple(interval))):
        return "unknown"
    if percent:
        return f"{interval.estimate:+.1%} [{interval.low:+.1%}, {interval.high:+.1%}]"
    return f"{interval.estimate:+.4g} [{interval.low:+.4g}, {interval.high:+.4g}]"
