"""A look at a model as a page with plots."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from hub.monitor.watch import Column, Drift, WatchReport
from hub.report_page import Bar, Line, bars, heading, in_table, lines, page, sentence, sentences


def watch_page(report: WatchReport) -> str:
    """HTML 5, to be encoded as UTF-8."""
    moment = dt.datetime.fromtimestamp(report.watched_ms / 1_000, dt.UTC).isoformat(timespec="minutes")
    parts = [
        sentence(
            f"Looked at {moment}: the last {report.hours:g} hours against {len(report.rows) - 1} stretches as long "
            f"before. Outcomes are of the kind {report.outcome}, waited for {report.settle_hours:g} hours."
        ),
        sentences(report.alarms) if report.alarms else sentence("Nothing is wrong, as far as can be told."),
        heading("What came"),
        lines(
            "items shown by the model in each stretch of time, from the earliest to the latest",
            "stretches before now, from the past on",
            "items",
            [Line("items", [(-number, float(count)) for number, count in enumerate(report.rows)])],
        ),
        in_table(
            ["", "the last", "the one before"],
            [
                ["decisions of this model", *(f"{count:,}" for count in report.freshness.decisions[:2])],
                ["events of all kinds", *(f"{count:,}" for count in report.freshness.events[:2])],
            ],
        ),
        heading("What the model sees"),
        *_drift(report.features),
        heading("What it scores"),
        *_drift(report.score),
        heading("What comes of it"),
        *_calibration(report),
    ]
    if report.left_out:
        rows = [[why, f"{count:,}"] for why, count in sorted(report.left_out.items())]
        parts += [heading("Left out"), in_table(["why", "decisions"], rows)]
    return page(f"{report.model}@{report.version}, watched", *parts)


def columns_table(columns: Sequence[Column]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the table of a family, what is nearest to its threshold first."""
    head = ["column", "index", "distance", "threshold", "KS", "threshold", "missing", "before", "mean", "before", ""]
    rows = [
        [
            column.name,
            f"{column.psi:.3f}",
            f"{column.psi_distance:.2f}",
            _number(column.psi_threshold),
            f"{column.ks_distance:.2f}",
            _number(column.ks_threshold),
            f"{column.missing:.1%}",
            f"{column.missing_before:.1%}",
            _number(column.mean),
            _number(column.mean_before),
            "ALARM" if column.is_alarm else "",
        ]
        for column in sorted(columns, key=lambda each: -_nearness(each))
    ]
    return head, rows


def _drift(drift: Drift) -> list[str]:
    nearest = sorted(drift.columns, key=lambda each: -_nearness(each))[:20]
    said = "distance of each column from the past, by its threshold: above 1 it is larger than ever"
    drawn = (
        [] if drift.false_alarm_rate is None else [bars(said, [Bar(each.name, _nearness(each)) for each in nearest])]
    )
    return [
        sentence(_verdict(drift.verdict, drift.past, drift.false_alarm_rate)),
        *drawn,
        in_table(*columns_table(drift.columns)),
    ]


def _calibration(report: WatchReport) -> list[str]:
    found = report.calibration
    points = [(-number, ratio) for number, ratio in enumerate(found.ratios) if ratio is not None]
    drawn = lines(
        "outcomes by what scores let expect, in each stretch of time; 1 is as always",
        "stretches before now, from the past on",
        "outcomes / expected",
        [Line("ratio", points)],
    )
    rows = [
        ["outcomes", f"{found.outcomes:,.0f}"],
        ["expected", f"{found.expected:,.1f}"],
        ["ratio", _number(found.ratio)],
    ]
    rows += [["distance", f"{found.distance:.2f}"], ["threshold", _number(found.threshold)]]
    return [
        sentence(_verdict(found.verdict, found.past, found.false_alarm_rate)),
        drawn,
        in_table(["", "the last"], rows),
    ]


def _verdict(verdict: str, past: int, rate: float | None) -> str:
    if rate is None:
        return f"Still learning: {past} stretches in the past hold enough to compare with, or the last one does not."
    chance = f"one look in {round(1 / rate)} alarms by chance"
    return f"{'ALARM' if verdict == 'alarm' else 'Well'}: compared with {past} stretches; {chance}."


def _nearness(column: Column) -> float:
    pairs = [(column.psi_distance, column.psi_threshold), (column.ks_distance, column.ks_threshold)]
    return max([distance / threshold for distance, threshold in pairs if threshold], default=0.0)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
