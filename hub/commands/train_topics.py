"""`edgewise train topics`: what texts are about, learned from texts with known topics, exported and proved equal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Group

from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import Delimiter, demand_folders, put, separator, usage
from hub.data_dir import DataDir
from hub.train.scoring.choices import ModelName

if TYPE_CHECKING:
    from hub.train.topics import TopicsReport


def topics(
    *,
    data: Annotated[Path, typer.Option("--table", help="CSV (also .gz), Parquet or JSONL, one row per text.")],
    text: Annotated[str, typer.Option(help="Column of the text.")],
    target: Annotated[str, typer.Option(help="Column of its topic.")],
    data_dir: DataDir,
    name: Annotated[
        str | None, typer.Option(help="Keep the model in the data folder: sources call it by this name.")
    ] = None,
    cv: Annotated[int | None, typer.Option(min=2, help="Folds; 5 when no --test is given.")] = None,
    test: Annotated[Path | None, typer.Option(help="Judge on this file instead of folds.")] = None,
    report: Annotated[Path | None, typer.Option(help="Where the report is written as JSON.")] = None,
    html: Annotated[Path | None, typer.Option(help="Where the report is written as a page with plots.")] = None,
    export: Annotated[Path | None, typer.Option(help="Where the model is written as ONNX.")] = None,
    fewest_texts: Annotated[int, typer.Option(min=1, help="In how many texts a word must stand to count.")] = 3,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE, as in C=10.", metavar="KEY=VALUE")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds, the model and the intervals.")] = 0,
    delimiter: Delimiter = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Learn what support tickets are about, say how well it works, and export the model.

    A source whose document has a `topic:` part gives each new ticket the topic that the kept model finds in its text.
    The exported model is compared with the trained one by the scorer that runs on the edge; one that differs is
    refused.
    """
    from hub.topics.model import keep_topic_model, topic_model_path
    from hub.train.scoring.settings import settings_of
    from hub.train.topics import TopicsPlan, train_topics
    from hub.train.topics_page import topics_page

    terminal = Terminal(json=json, quiet=quiet)
    if cv is not None and test is not None:
        raise typer.BadParameter("judge by folds or by a test file, not both", param_hint="--cv, --test")
    with usage("--set"):
        chosen = settings_of(ModelName.LOGISTIC, settings or [])
    if name is not None:
        with usage("--name"):
            topic_model_path(data_dir, name)
    demand_folders(report, html, export)
    plan = TopicsPlan(
        table=data,
        text=text,
        target=target,
        cv=5 if cv is None else cv,
        test=test,
        fewest_texts=fewest_texts,
        settings=chosen,
        seed=seed,
        delimiter=separator(delimiter),
    )
    with terminal.working("starting") as say:
        trained = train_topics(plan, say=say)
    for warning in trained.report.warnings:
        terminal.note(f"warning: {warning}")
    kept = None if name is None else keep_topic_model(data_dir, name, trained.onnx)
    if export is not None:
        put(export, trained.onnx)
    if report is not None:
        put(report, msgspec.json.format(msgspec.json.encode(trained.report)) + b"\n")
    if html is not None:
        put(html, topics_page(trained.report))
    terminal.result(trained.report, _shown(trained.report, [path for path in (kept, export) if path is not None]))


def _shown(report: TopicsReport, written: list[Path]) -> Group:
    rows = [
        [name, f"{held.mean:.4f}", f"[{held.ci_low:.4f}, {held.ci_high:.4f}]"] for name, held in report.metrics.items()
    ]
    learned = f"{len(report.classes)} topics from {report.rows:,} texts, {report.parts:,} parts of words"
    parity = report.parity
    return Group(
        table(["", "", "95 %"], rows, title=f"{report.model}: {learned}"),
        f"judged by {report.judged_by}",
        f"parity: {parity.rows:,} texts, largest difference {parity.max_abs_error:.2g}",
        *(f"model: {path}, {report.model_bytes:,} bytes" for path in written),
    )
