"""An experiment as a page with plots, to be sent around."""

from __future__ import annotations

import math
from typing import Final

from hub.report_page import Bar, Line, bars, heading, in_table, lines, page, sentence, sentences
from hub.statistics.metrics import Role
from hub.statistics.novelty import Novelty
from hub.statistics.results import Analysis, MetricResult, VariantResult
from hub.statistics.segments import Segments
from hub.statistics.uplift import Targeting
from hub.statistics.verdict import Word

_COLUMNS: Final = ("variant", "units", "mean", "lift", "95 % from", "to", "p", "corrected", "chance to win", "verdict")
_ROLES: Final = {
    Role.OUTCOME: "the business outcome",
    Role.GUARDRAIL: "a guardrail",
    Role.SECONDARY: "beside the outcome",
}


def experiment_page(found: Analysis, name: str) -> str:
    """HTML 5, to be encoded as UTF-8."""
    parts = [
        sentences([of.sentence for of in found.verdicts.values()]),
        sentence(split_sentence(found), is_warning=found.srm.alarm),
        sentences(found.warnings),
    ]
    for metric, result in found.metrics.items():
        parts += metric_parts(metric, result)
    parts += [heading("How it was read"), sentence(reading_sentence(found))]
    return page(f"Experiment {name}", *parts)


def split_sentence(found: Analysis) -> str:
    """Whether the split is the one that was meant."""
    seen = ", ".join(f"{arm} {units:,}" for arm, units in found.srm.observed.items())
    said = "is not the one that was meant: nothing below can be trusted" if found.srm.alarm else "is as it was meant"
    return f"The split {said} ({seen}; p = {_number(found.srm.p_value)})."


def reading_sentence(found: Analysis) -> str:
    """By which method, and what decides."""
    ways = {
        "fixed": "Welch's t-test, to be looked at once, at the end that was planned",
        "sequential": "confidence sequences, which hold at every look",
        "bayesian": "flat priors; a chance, which promises nothing under peeking",
    }
    return (
        f"Control is {found.control}; {ways[found.method.value]}. Intervals are of the relative lift, by the delta "
        f"method on its logarithm, to {1 - found.alpha:.0%}. Several comparisons are corrected for by "
        f"{found.correction.value}. What decides is {found.outcome}."
    )


def metric_parts(name: str, result: MetricResult) -> list[str]:
    """One metric over all variants, with what is known of it beside the lift."""
    better = "" if result.higher_is_better else ", less is better"
    control = result.control
    parts = [
        heading(f"{name}: {_ROLES[result.role]}"),
        sentence(f"{result.kind}{better}; {control.name} has {_number(control.mean)} over {control.n:,} units."),
        bars(
            f"Relative lift of {name} in percent, by variant, with its 95 % interval",
            [
                Bar(f"{arm}, %", of.relative_lift * 100, of.ci_low * 100, of.ci_high * 100)
                for arm, of in result.variants.items()
            ],
        ),
        in_table(_COLUMNS, [_row(arm, of) for arm, of in result.variants.items()]),
    ]
    parts += [
        sentence(of.sentence, is_warning=of.verdict is Word.STOP)
        for of in result.variants.values()
        if result.role is not Role.OUTCOME
    ]
    if result.excluded:
        parts.append(sentence(f"{result.excluded:,} units have no value that counts.", is_warning=True))
    for arm, of_days in result.novelty.items():
        parts += novelty_parts(name, arm, of_days)
    if result.segments is not None:
        parts += segment_parts(name, result.segments)
    for arm, judged in result.targeting.items():
        parts += _targeting(name, arm, judged)
    return parts


def _row(arm: str, of: VariantResult) -> list[str]:
    lift = [_percent(of.relative_lift), _percent(of.ci_low), _percent(of.ci_high)]
    sure = [_number(of.p_value), _number(of.p_value_corrected), _percent(of.chance_to_win).lstrip("+")]
    return [arm, f"{of.n:,}", _number(of.mean), *lift, *sure, of.verdict.value]


def novelty_parts(name: str, arm: str, found: Novelty) -> list[str]:
    """The lift by day since exposure."""
    drawn = [
        Line("lift, %", [(day.day, day.relative_lift * 100) for day in found.days]),
        Line("95 % from", [(day.day, day.ci_low * 100) for day in found.days]),
        Line("to", [(day.day, day.ci_high * 100) for day in found.days]),
    ]
    rows = [
        [str(day.day), f"{day.units:,}", _percent(day.relative_lift), _percent(day.ci_low), _percent(day.ci_high)]
        for day in found.days
    ]
    return [
        heading(f"{name} of {arm} by day since exposure"),
        sentence(f"{found.sentence[:1].upper()}{found.sentence[1:]}.", is_warning=found.fades),
        lines(f"Lift of {name} by day since exposure", "days since exposure", "lift, %", drawn),
        in_table(["day", "units", "lift", "95 % from", "to"], rows),
    ]


def segment_parts(name: str, found: Segments) -> list[str]:
    """The lift within each segment."""
    parts = []
    for arm, of in found.variants.items():
        rows = [
            [segment, f"{lift.units:,}", *map(_percent, lift.interval), _number(lift.p_value_corrected)]
            for segment, lift in of.segments.items()
        ]
        drawn = [
            Bar(f"{segment}, %", lift.relative_lift * 100, lift.ci_low * 100, lift.ci_high * 100)
            for segment, lift in of.segments.items()
        ]
        parts += [
            heading(f"{name} of {arm} by {found.attribute}"),
            sentence(f"{of.sentence[:1].upper()}{of.sentence[1:]}."),
            bars(f"Relative lift of {name} in percent within each {found.attribute}", drawn),
            in_table([found.attribute, "units", "lift", "95 % from", "to", "p, corrected"], rows),
        ]
        if of.suppressed:
            parts.append(sentence(f"Too small to speak of: {', '.join(of.suppressed)}."))
    return parts


def _targeting(name: str, arm: str, found: Targeting) -> list[str]:
    end = found.curve[-1]
    drawn = [
        Line("by score", [(point.share * 100, point.gain) for point in found.curve]),
        Line("at random", [(0.0, 0.0), (100.0, end.gain)]),
    ]
    told = [point for at, point in enumerate(found.curve) if at % 10 == 0 or point is end]
    return [
        heading(f"Targeting by score: {name} of {arm}"),
        sentence(f"{found.sentence} AUUC {found.auuc:.4g}."),
        lines(f"Gain in {name} a unit by share targeted", "share targeted, %", f"gain in {name}", drawn),
        in_table(["share targeted", "gain a unit"], [[f"{of.share:.0%}", _number(of.gain)] for of in told]),
    ]


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.5g}"


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{share:+.2%}"
