"""`edgewise import decisions FILE`: logged decisions with their propensities, for off-policy evaluation."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edgewise.errors import InputError
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import separator
from hub.data_dir import DataDir
from hub.tables import FileFormat


class DecisionFormat(StrEnum):
    """What decision logs are written in."""

    CSV = "csv"
    PARQUET = "parquet"
    JSONL = "jsonl"
    DSJSON = "dsjson"


def decisions(
    file: Annotated[Path, typer.Argument(help="The log: CSV (also .gz), Parquet or JSON lines.")],
    *,
    data_dir: DataDir,
    name: Annotated[str | None, typer.Option(help="What to call it; by default the file's stem.")] = None,
    form: Annotated[
        DecisionFormat | None, typer.Option("--format", help="By default told by the file's ending.")
    ] = None,
    map_path: Annotated[
        Path | None,
        typer.Option(
            "--map",
            help="MAP.toml; its table `columns` names timestamp, decision_id, action, propensity, reward, "
            "position, user; beside it `context` and `action_context`. Without a map, columns of these "
            "names are taken.",
        ),
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="Of a CSV; by default guessed from its header.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Import decisions that some other system made and logged."""
    from hub.imports.decisions import import_decisions

    terminal = Terminal(json=as_json, quiet=quiet)
    if form is DecisionFormat.DSJSON:
        raise InputError("dsjson logs cannot be imported yet; expected csv, parquet or jsonl")
    with terminal.working(f"importing {file}"):
        imported = import_decisions(
            file,
            data_dir,
            name=name,
            form=None if form is None else FileFormat(form.value),
            map_path=map_path,
            delimiter=separator(delimiter),
        )
    if imported.rejected:
        terminal.note(f"{imported.rejected:,} rows were refused: {imported.rejects_file}")
    faults = ", ".join(f"{column or 'whole row'} {count:,}" for column, count in imported.rejects.items())
    terminal.result(
        imported,
        table(
            ["decisions", "rows", "refused", "faults", "state"],
            [
                [
                    imported.name,
                    f"{imported.rows:,}",
                    f"{imported.rejected:,}",
                    faults or "none",
                    "unchanged" if imported.unchanged else "imported",
                ]
            ],
        ),
    )
