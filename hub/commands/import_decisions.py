"""`edgewise import decisions FILE`: logged decisions with their propensities, for off-policy evaluation."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgewise.errors import InputError
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import separator
from hub.data_dir import DataDir
from hub.tables import FileFormat

if TYPE_CHECKING:
    from rich.table import Table

    from hub.imports.decision_store import ImportedDecisions
    from hub.imports.dsjson_summary import DsjsonSummary


class DecisionFormat(StrEnum):
    """What decision logs are written in."""

    CSV = "csv"
    PARQUET = "parquet"
    JSONL = "jsonl"
    DSJSON = "dsjson"


def decisions(
    file: Annotated[Path, typer.Argument(help="The log: CSV (also .gz), Parquet, JSON lines or dsjson.")],
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
            "position, user, sample_weight; beside it `context` and `action_context`. Without a map, columns of these "
            "names are taken. Of a dsjson log it may name the user alone, as a path in the context.",
        ),
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="Of a CSV; by default guessed from its header.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Import decisions that some other system made and logged."""
    from hub.imports.decisions import import_decisions
    from hub.imports.dsjson_import import import_dsjson, is_dsjson

    terminal = Terminal(json=as_json, quiet=quiet)
    if file.is_dir():
        raise InputError(f"{file}: a folder, expected a file")
    if form is DecisionFormat.DSJSON or (form is None and is_dsjson(file)):
        if delimiter is not None:
            raise typer.BadParameter("a dsjson log has none", param_hint="--delimiter")
        with terminal.working(f"importing {file}"):
            imported = import_dsjson(file, data_dir, name=name, map_path=map_path)
        _say(terminal, imported)
        return
    with terminal.working(f"importing {file}"):
        imported = import_decisions(
            file,
            data_dir,
            name=name,
            form=None if form is None else FileFormat(form.value),
            map_path=map_path,
            delimiter=separator(delimiter),
        )
    _say(terminal, imported)


def _say(terminal: Terminal, imported: ImportedDecisions) -> None:
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
        *(() if imported.dsjson is None else (_dsjson_table(imported.dsjson),)),
    )


def _dsjson_table(log: DsjsonSummary) -> Table:
    """What VW's own metrics say of the same log, to compare with."""
    by_slots = ", ".join(f"{events:,} of {slots}" for slots, events in log.events_by_slots.items())
    actions = f"{log.least_actions}" + ("" if log.least_actions == log.most_actions else f" - {log.most_actions}")
    rows = [
        ["decisions", f"{log.events:,}"],
        ["slots", f"{log.slots:,} ({by_slots})"],
        ["actions to choose from", actions],
        ["sum of cost", f"{log.sum_of_cost:g}"],
        ["of first slots", f"{log.first_slot_cost:g}"],
        ["decisions with a cost", f"{log.events_with_cost:,}"],
        ["first slot as the baseline", f"{log.baseline.events:,}, sum of cost {log.baseline.sum_of_cost:g}"],
        ["propensities", f"{log.least_propensity:g} - {log.most_propensity:g}"],
        ["stand for", f"{log.sum_of_weights:,.6g} decisions"],
        ["first", f"{log.first.event_id} {log.first.timestamp or ''}".strip()],
        ["last", f"{log.last.event_id} {log.last.timestamp or ''}".strip()],
        ["left out: skipLearn", f"{log.left_out.skip_learn:,}"],
        ["left out: not activated", f"{log.left_out.not_activated:,}"],
        ["rare features left out", f"{log.features_left_out:,}"],
    ]
    return table(["dsjson", ""], rows)
