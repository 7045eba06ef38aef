"""`edgewise score`: a file through an exported model, or customers by their purchases."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import Delimiter, demand_folders, names, put, separator
from hub.commands.score_ltv import ltv

app = typer.Typer(help="Score a file: rows by an exported model, customers by what they bought.", no_args_is_help=True)
app.command()(ltv)


@app.callback()
def score() -> None:
    """Score a file: rows by an exported model, customers by what they bought."""


@app.command()
def onnx(
    model: Annotated[Path, typer.Argument(help="What `train scoring --export` wrote.")],
    *,
    data: Annotated[Path, typer.Option("--table", help="CSV (also .gz), Parquet or JSONL with the model's columns.")],
    out: Annotated[Path, typer.Option(help="Where the scores are written, one line a row, as CSV.")],
    html: Annotated[Path | None, typer.Option(help="Where a page is written: how the scores lie.")] = None,
    keep: Annotated[str | None, typer.Option(help="COL,… of the table to copy beside the scores.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Rows in one call, as in one decision.")] = 100,
    delimiter: Delimiter = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score a table exactly as an edge does: by its scorer, behind its gate, in float32."""
    from hub.score_page import score_page
    from hub.score_table import score_table

    terminal = Terminal(json=json, quiet=quiet)
    demand_folders(out, html)
    with _progress(terminal, quiet=quiet) as progress:
        scored = score_table(
            model,
            data,
            out,
            keep=names(keep) or (),
            batch_rows=batch,
            delimiter=separator(delimiter),
            progress=progress,
        )
    speed = f"{scored.p50_ms:.3f} / {scored.p99_ms:.3f} ms"
    if html is not None:
        said = [
            f"{scored.rows:,} rows of {data.name}, scored by the edge's own scorer and written to {scored.out}.",
            f"{scored.seconds:.3f} s in the scorer; p50 / p99 of {scored.batch_rows} rows: {speed}.",
        ]
        put(html, score_page(f"Scores of {model.name}", said, scored.scores, scored.missing))
    shown = [[f"{scored.rows:,}", f"{scored.seconds:.3f}", speed, scored.out]]
    columns = ["rows", "seconds in the scorer", f"p50 / p99 of {scored.batch_rows} rows", "written to"]
    terminal.result(scored, table(columns, shown))


@contextlib.contextmanager
def _progress(terminal: Terminal, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error."""
    if quiet or not terminal.err.is_terminal:  # where nobody looks a bar leaves a blank line
        yield lambda _done, _all: None
        return
    from rich.progress import Progress

    with Progress(console=terminal.err, transient=True) as bar:
        task = bar.add_task("scoring", total=None)
        yield lambda done, whole: bar.update(task, completed=done, total=whole)
