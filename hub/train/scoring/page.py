"""The report of `train scoring` as a page: how good, how well calibrated, for whom, and from what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hub.report_page import Bar, Line, bars, heading, in_table, lines, page, sentence, sentences
from hub.train.scoring.calibration import Calibration
from hub.train.scoring.choices import ScoreKind
from hub.train.scoring.groups import GroupsMeasured
from hub.train.scoring.judging import Measured
from hub.train.scoring.metrics import Floats
from hub.train.scoring.report import ScoringReport
from hub.train.scoring.trial import Trained

POINTS: Final = 60
"""Of a curve; more cannot be told apart."""
MOST_CLASSES: Final = 12
"""Of a table of confusions."""
MOST_LINES: Final = 4
MOST_FEATURES: Final = 20


def scoring_page(trained: Trained) -> str:
    """HTML 5, for `--html`."""
    report = trained.report
    kind = ScoreKind(report.kind)
    return page(
        f"{report.target}: {report.model}, {report.kind}",
        sentence(
            f"Learned from {report.rows:,} rows of {report.table} and {len(report.features)} columns; judged by "
            f"{report.judged_by}."
        ),
        *(sentence(warning, is_warning=True) for warning in report.warnings),
        heading("How good"),
        bars("Each metric with its 95 % interval", _metric_bars(report)),
        in_table(["metric", "", "95 %"], [[name, *in_words(held)] for name, held in report.metrics.items()]),
        *_curves(kind, report, trained.truth, trained.scores),
        heading("Calibration"),
        *_calibration(kind, report.calibration),
        *_groups(report.groups),
        heading("What it reads"),
        *_features(report),
        heading("Proof"),
        sentence(
            f"The exported model was compared with the trained one by the scorer that runs on the edge, on "
            f"{report.parity.rows:,} rows and around {report.parity.thresholds:,} thresholds: "
            f"{report.parity.mismatches} rows differ, the largest difference is {report.parity.max_abs_error:.2g}."
        ),
        sentences(
            [
                f"seed {report.seed}; settings {report.settings or 'as built in'}",
                f"table {report.table_sha256}",
                f"model {report.model_sha256}, {report.model_bytes:,} bytes",
                f"packages {report.packages_sha256}",
            ]
        ),
    )


def in_words(held: Measured) -> tuple[str, str]:
    """A number and its interval."""
    return f"{held.mean:.4f}", f"[{held.ci_low:.4f}, {held.ci_high:.4f}]"


def _metric_bars(report: ScoringReport) -> list[Bar]:
    """Those that lie between 0 and 1 are drawn; a root mean squared error has a scale of its own."""
    drawn = {name: held for name, held in report.metrics.items() if abs(held.mean) <= 1 and held.ci_high <= 1}
    return [Bar(name, held.mean, held.ci_low, held.ci_high) for name, held in (drawn or report.metrics).items()]


def _curves(kind: ScoreKind, report: ScoringReport, truth: NDArray[Any], scores: Floats) -> Iterator[str]:
    if kind is ScoreKind.BINARY:
        yield heading("What a threshold costs")
        yield lines(
            "Share of the wanted rows found against share of the others taken for them, over all thresholds",
            "share of the others",
            "share found",
            [Line("ROC", roc_points(truth == 1, scores))],
            diagonal=True,
        )
        yield in_table(["taken, highest scores first", "found", "precision", "lift"], _lift(truth == 1, scores))
    elif kind is ScoreKind.MULTICLASS:
        yield heading("What is taken for what")
        yield in_table(*_confusions(report.classes, truth, scores))


def roc_points(happened: NDArray[np.bool_], scores: Floats) -> list[tuple[float, float]]:
    """From (0, 0) to (1, 1), at most about 60 of them; equal scores are one step."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    found = np.cumsum(happened[order])[ends] / max(1, int(happened.sum()))
    others = np.cumsum(~happened[order])[ends] / max(1, int((~happened).sum()))
    kept = np.unique(np.linspace(0, len(ends) - 1, POINTS).astype(np.int64))
    return [(0.0, 0.0), *zip(others[kept].tolist(), found[kept].tolist(), strict=True)]


def _lift(happened: NDArray[np.bool_], scores: Floats) -> list[list[str]]:
    order = np.argsort(-scores, kind="stable")
    rows = []
    for share in (0.01, 0.05, 0.1, 0.2, 0.5):
        taken = happened[order[: max(1, round(share * len(order)))]]
        found, precision = taken.sum() / max(1, happened.sum()), taken.mean()
        lift = precision / happened.mean() if happened.any() else float("nan")
        rows.append([f"{share:.0%}", f"{found:.1%}", f"{precision:.1%}", f"{lift:.2f}"])
    return rows


def _confusions(classes: Sequence[str], truth: NDArray[Any], scores: Floats) -> tuple[list[str], list[list[str]]]:
    """The commonest classes against what they were given, and how often each was right."""
    given = scores.argmax(axis=1)
    common = np.argsort(-np.bincount(truth, minlength=len(classes)), kind="stable")[:MOST_CLASSES]
    rows = []
    for number in common.tolist():
        held = given[truth == number]
        counted = [str(int((held == other).sum())) for other in common.tolist()]
        right = f"{(held == number).mean():.1%}" if len(held) else "-"
        rows.append([classes[number], str(len(held)), right, *counted])
    return ["is, below; taken for, right", "rows", "right", *(classes[number] for number in common.tolist())], rows


def _calibration(kind: ScoreKind, found: Sequence[Calibration]) -> Iterator[str]:
    shown = sorted(found, key=lambda one: -sum(group.rows * group.observed for group in one.groups))[:MOST_LINES]
    what = "probability" if kind.has_classes else "value"
    yield lines(
        f"Mean {what} that was predicted against what happened, in groups of rows; on the dashed line both are equal",
        f"predicted {what}",
        "observed",
        [Line(one.of, [(group.predicted, group.observed) for group in one.groups]) for one in shown],
        diagonal=True,
    )
    for one in shown:
        said = f"{one.of}: mean |predicted - observed| {one.error:.4f}"
        if one.slope is not None and one.intercept is not None:
            said += f"; slope {one.slope:.3f} (1 is calibrated, below is too sure), intercept {one.intercept:.3f}"
        yield sentence(said)
        yield in_table(
            ["predicted", "observed", "95 %", "rows"],
            [
                [
                    f"{group.predicted:.4f}",
                    f"{group.observed:.4f}",
                    f"[{group.ci_low:.4f}, {group.ci_high:.4f}]",
                    f"{group.rows:,}",
                ]
                for group in one.groups
            ],
        )
    if len(found) > len(shown):
        yield sentence(f"The commonest {len(shown)} of {len(found)} classes; the others are in the JSON report.")


def _groups(found: Sequence[GroupsMeasured]) -> Iterator[str]:
    if found:
        yield heading("For whom")
        yield sentence("Measured on the rows that were held back; whether a difference is unfair is for people to say.")
    for one in found:
        drawn = [
            Bar(group.group, group.measured.mean, group.measured.ci_low, group.measured.ci_high)
            for group in one.groups
            if group.measured is not None
        ]
        yield bars(f"{one.metric} by {one.column}, with 95 % intervals", drawn)
        yield in_table(
            [one.column, "rows", one.metric, "95 %", "predicted too high by", "95 %"],
            [
                [group.group, f"{group.rows:,}", *_optional(group.measured), *_optional(group.too_high)]
                for group in one.groups
            ],
        )
        if one.left_out:
            yield sentence(f"Too few rows to say anything: {', '.join(one.left_out)}.")


def _optional(held: Measured | None) -> tuple[str, str]:
    return ("-", "") if held is None else in_words(held)


def _features(report: ScoringReport) -> Iterator[str]:
    weighed = [use for use in report.features if use.importance is not None][:MOST_FEATURES]
    if weighed:
        yield bars("Share of all splits' gain, by column", [Bar(use.name, use.importance or 0.0) for use in weighed])
    yield in_table(
        ["column", "read as", "share of gain"],
        [[use.name, use.kind, "-" if use.importance is None else f"{use.importance:.4f}"] for use in report.features],
    )
