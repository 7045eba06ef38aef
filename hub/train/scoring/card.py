"""The card of a score that was learned from a table."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hub.train.scoring.calibration import Calibration
from hub.train.scoring.choices import ScoreKind
from hub.train.scoring.groups import GroupsMeasured
from hub.train.scoring.report import ScoringReport

DIGITS: Final = 6
TOO_SURE: Final = 0.9
"""A calibration slope below this is a known limit."""


def scoring_card(report: ScoringReport) -> dict[str, Any]:
    """Sections by name, as `hub.model_card` expects them; the same report, the same card."""
    return {
        "summary": _summary(report),
        "kind": f"score, {report.kind}",
        "data": _data(report),
        "metrics": {name: _rounded(msgspec.structs.asdict(held)) for name, held in report.metrics.items()},
        "judged_by": report.judged_by,
        "calibration": {one.of: _calibration(one) for one in report.calibration},
        "features": {
            use.name: use.kind
            if use.importance is None
            else {"read as": use.kind, "gain_share": round(use.importance, DIGITS)}
            for use in report.features
        },
        "consent": (
            "The table was brought as a file; nothing in it says for which purposes people let it be used. Whoever "
            "brought it must know."
        ),
        "fairness": _fairness(report.groups),
        "known_limits": _limits(report),
        "parity": msgspec.structs.asdict(report.parity),
        "settings": report.settings or "as built in",
        "reproduction": {
            "seed": report.seed,
            "table_sha256": report.table_sha256,
            "model_sha256": report.model_sha256,
            "packages_sha256": report.packages_sha256,
        },
    }


def _summary(report: ScoringReport) -> str:
    what = {
        ScoreKind.BINARY: f"The probability that {report.target} is {report.classes[1] if report.classes else '1'}",
        ScoreKind.MULTICLASS: f"A probability for each of the {len(report.classes)} classes of {report.target}",
        ScoreKind.REGRESSION: f"An expected {report.target}",
        ScoreKind.COUNT: f"An expected number of {report.target}",
    }[ScoreKind(report.kind)]
    return f"{what}, from {len(report.features)} columns by {report.model}."


def _data(report: ScoringReport) -> dict[str, Any]:
    window = report.window
    return {
        "table": report.table,
        "rows": report.rows,
        "from": "not stated: no time column was named" if window is None else window.first,
        "to": "not stated: no time column was named" if window is None else window.last,
    }


def _calibration(one: Calibration) -> dict[str, Any]:
    said: dict[str, Any] = {"mean |predicted - observed|": round(one.error, DIGITS)}
    if one.slope is not None and one.intercept is not None:
        said |= {"slope": round(one.slope, DIGITS), "intercept": round(one.intercept, DIGITS)}
    return said


def _fairness(groups: list[GroupsMeasured]) -> Any:
    if not groups:
        return "Nothing was measured for groups of people: `--group COL` names columns that hold them."
    said: dict[str, Any] = {}
    for one in groups:
        for group in one.groups:
            measured: dict[str, Any] = {"rows": group.rows}
            for name, held in ((one.metric, group.measured), ("predicted too high by", group.too_high)):
                if held is not None:
                    measured[name] = _rounded(msgspec.structs.asdict(held))
            said[f"{one.column} = {group.group}"] = measured
        if one.left_out:
            said[f"{one.column}, too few rows"] = one.left_out
    said["not measured"] = "what is decided by the score, and what that does to people"
    return said


def _limits(report: ScoringReport) -> list[str]:
    limits = [
        f"It was judged by {report.judged_by}; rows of another time or place may be served worse.",
        "It tells what goes with the target, not what brings it about.",
    ]
    if report.window is None:
        limits.append("Rows were divided at random and not by time: what changes with time was not noticed.")
    limits += [
        f"The probability of {one.of} is too sure of itself (calibration slope {one.slope:.2f})."
        for one in report.calibration
        if one.slope is not None and one.slope < TOO_SURE
    ]
    return limits + report.warnings


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(value, DIGITS) for name, value in numbers.items()}
