"""`edgewise train scoring`: a score from a table, judged on rows held back, exported and proved equal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Group

from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import Delimiter, demand_folders, names, put, separator, usage
from hub.train.scoring.choices import ModelName, ScoreKind

if TYPE_CHECKING:
    from hub.train.scoring.calibration import Calibration
    from hub.train.scoring.report import ScoringReport

MOST_CALIBRATIONS = 5
"""Lines of the table; the reports hold them all."""


def scoring(
    *,
    data: Annotated[Path, typer.Option("--table", help="CSV (also .gz), Parquet or JSONL, one row per example.")],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    kind: Annotated[
        ScoreKind | None, typer.Option(help="What the target is; guessed from its values when not given.")
    ] = None,
    features: Annotated[str | None, typer.Option(help="COL,… to read; by default every other column.")] = None,
    drop: Annotated[str | None, typer.Option(help="COL,… not to read.")] = None,
    categorical: Annotated[str | None, typer.Option(help="COL,… of codes that are names, not numbers.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of the time: judge on what came later.")] = None,
    cv: Annotated[int | None, typer.Option(min=2, help="Folds; 5 when no --test is given.")] = None,
    test: Annotated[Path | None, typer.Option(help="Judge on this file instead of folds.")] = None,
    report: Annotated[Path | None, typer.Option(help="Where the report is written as JSON.")] = None,
    html: Annotated[Path | None, typer.Option(help="Where the report is written as a page with plots.")] = None,
    card: Annotated[
        Path | None, typer.Option(help="Where the model's card is written: .md, .json or .html by its ending.")
    ] = None,
    export: Annotated[Path | None, typer.Option(help="Where the model is written as ONNX.")] = None,
    group: Annotated[
        str | None, typer.Option(help="COL,… of groups of people: judge the score for each of them.")
    ] = None,
    model: Annotated[ModelName, typer.Option(help="What learns.")] = ModelName.LIGHTGBM,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE, as in num_leaves=15.", metavar="KEY=VALUE")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds, the model and the intervals.")] = 0,
    delimiter: Delimiter = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Learn to predict one column from the others, say how well it works, and export the model.

    The exported model is compared with the trained one on every threshold, with missing values and unseen words,
    by the scorer that runs on the edge; a model that differs is refused. `edgewise score onnx` runs it on a table.
    """
    from hub.model_card import card_file, format_of
    from hub.train.scoring.card import scoring_card
    from hub.train.scoring.page import scoring_page
    from hub.train.scoring.settings import settings_of
    from hub.train.scoring.trial import Plan, train_scoring

    terminal = Terminal(json=json, quiet=quiet)
    if cv is not None and test is not None:
        raise typer.BadParameter("judge by folds or by a test file, not both", param_hint="--cv, --test")
    with usage("--set"):
        chosen_settings = settings_of(model, settings or [])
    if card is not None:
        with usage("--card"):
            format_of(card.suffix)
    demand_folders(report, html, card, export)
    plan = Plan(
        table=data,
        target=target,
        kind=kind,
        features=names(features),
        drop=names(drop) or (),
        categorical=names(categorical) or (),
        groups=names(group) or (),
        time=time,
        cv=5 if cv is None else cv,
        test=test,
        model=model,
        settings=chosen_settings,
        seed=seed,
        delimiter=separator(delimiter),
    )
    with terminal.working("starting") as say:
        trained = train_scoring(plan, say=say)
    for warning in trained.report.warnings:
        terminal.note(f"warning: {warning}")
    if export is not None:
        put(export, trained.onnx)
    if report is not None:
        put(report, msgspec.json.format(msgspec.json.encode(trained.report)) + b"\n")
    if card is not None:
        title = f"{target}: {model.value}, {trained.report.kind}"
        put(card, card_file(format_of(card.suffix), title, scoring_card(trained.report)))
    if html is not None:
        put(html, scoring_page(trained))
    terminal.result(trained.report, _shown(trained.report, export))


def _shown(report: ScoringReport, export: Path | None) -> Group:
    rows = [
        [name, f"{held.mean:.4f}", f"[{held.ci_low:.4f}, {held.ci_high:.4f}]"] for name, held in report.metrics.items()
    ]
    guessed = " (guessed)" if report.kind_guessed else ""
    learned = f"{report.target} from {len(report.features)} columns, {report.rows:,} rows"
    title = f"{report.model}, {report.kind}{guessed}: {learned}"
    parity = report.parity
    proved = f"parity: {parity.rows:,} rows, largest difference {parity.max_abs_error:.2g}"
    written = [] if export is None else [f"model: {export}, {report.model_bytes:,} bytes"]
    calibrated = [_calibrated(one) for one in report.calibration[:MOST_CALIBRATIONS]]
    judged = f"judged by {report.judged_by}"
    return Group(table(["", "", "95 %"], rows, title=title), judged, *calibrated, proved, *written)


def _calibrated(one: Calibration) -> str:
    slope = "" if one.slope is None else f", slope {one.slope:.2f}"
    return f"calibration of {one.of}: mean |predicted - observed| {one.error:.4f}{slope}"
