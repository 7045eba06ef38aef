"""The report of an experiment that runs, as a page with plots."""

from __future__ import annotations

from datetime import UTC, datetime

from hub.experiments.report import ExperimentReport
from hub.report_page import heading, in_table, page, sentence, sentences
from hub.statistics.balance import SampleRatio
from hub.statistics.page import metric_parts, novelty_parts, reading_sentence, segment_parts, split_sentence


def report_page(found: ExperimentReport) -> str:
    """HTML 5, to be encoded as UTF-8."""
    analysis = found.analysis
    parts = [
        sentences([of.sentence for of in analysis.verdicts.values()]),
        sentence(split_sentence(analysis), is_warning=analysis.srm.alarm),
    ]
    if found.coverage is not None:
        parts.append(sentence(coverage_sentence(found.coverage), is_warning=found.coverage.alarm))
    parts += [
        sentence(span_sentence(found), is_warning=found.is_cut),
        sentence(f"Run time: {found.run_time.sentence}."),
        sentences(analysis.warnings),
    ]
    for name, result in analysis.metrics.items():
        parts += metric_parts(name, result)
        if found.waiting[name]:
            parts.append(sentence(f"{found.waiting[name]:,} people wait: their window is still open."))
    for arm, of_days in found.novelty.items():
        parts += novelty_parts(analysis.outcome, arm, of_days)
    for of in found.segments:
        parts += segment_parts(analysis.outcome, of)
    if found.holdout is not None:
        parts.append(heading("Everybody who is personalised, against the holdout"))
        parts.append(sentences([of.sentence for of in found.holdout.verdicts.values()]))
        for name, result in found.holdout.metrics.items():
            parts += metric_parts(name, result)
    parts += [heading("What does not count"), *_left_out(found)]
    parts += [heading("How it was read"), sentence(reading_sentence(analysis))]
    return page(f"Experiment {found.key}", *parts)


def coverage_sentence(found: SampleRatio) -> str:
    """Whether as many take part as were meant to."""
    inside, meant = found.observed["inside"], found.expected["inside"]
    said = "not as many take part as were meant to" if found.alarm else "as many take part as were meant to"
    return f"Of the visitors, {said} ({inside:,} of {meant:,.0f} expected; p = {found.p_value:.3g})."


def span_sentence(found: ExperimentReport) -> str:
    """What was read."""
    if found.began_ms is None:
        return f"Nobody was exposed since {_day(found.since_ms)}."
    said = f"First exposed on {_day(found.began_ms)}, read from {_day(found.since_ms)} to {_day(found.until_ms)}."
    if found.is_cut:
        said += " It may be older than that: whoever was exposed before counts from a later day, read more (--days)."
    return said


def _left_out(found: ExperimentReport) -> list[str]:
    rows = [[why, f"{units:,}"] for why, units in found.left_out.items()]
    exposures = found.analysis.exposures
    if exposures is not None:
        rows.append(["saw several arms", f"{exposures.in_several:,}"])
    rows += [["erased, of all visitors", f"{found.erased:,}"], ["events later than now", f"{found.future_events:,}"]]
    return [in_table(["why", "units"], rows)]


def _day(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1_000, UTC).date().isoformat()
