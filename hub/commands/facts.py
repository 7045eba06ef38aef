"""`edgewise facts`: numbers that nodes have within seconds: stock, prices, trends; and the switch that stops them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import By
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.facts.board import FactsBoard
    from hub.ledger.facts import FactChanges
    from hub.ledger.rows import FactSheetRow

app = typer.Typer(no_args_is_help=True, help="Live facts: stock, prices, trends, within seconds on all nodes.")

_SHOWN = 200


@app.command()
def show(
    data_dir: DataDir,
    item: Annotated[str | None, typer.Argument(metavar="[ITEM]", help="Only this one.")] = None,
    *,
    version: Annotated[int | None, typer.Option(min=1, help="As they were; without, as they are.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show the live facts, as nodes have them, or had them under a version."""
    terminal = Terminal(json=json, quiet=quiet)
    with _board(data_dir) as board:
        sheet = board.sheet(version)
    if sheet is None:
        nothing: dict[str, Any] = {"version": 0, "halted": False, "issued_ms": None, "expires_ms": None, "items": {}}
        terminal.result(nothing, "no live facts yet; `edgewise facts set` makes some")
        return
    items: dict[str, dict[str, float]] = {}
    for name, column in sorted(sheet.columns.items()):
        for each, number in column.items():
            if item is None or each == item:
                items.setdefault(each, {})[name] = number
    names = sorted({name for numbers in items.values() for name in numbers})
    rows: list[list[Any]] = [[each, *(_number(items[each].get(name)) for name in names)] for each in sorted(items)]
    state = "halted: nodes serve by the released catalogue alone" if sheet.halted else f"{len(items)} items"
    left = f", of which {_SHOWN} are shown; --json shows all" if len(rows) > _SHOWN else ""
    terminal.print(f"version {sheet.version}, {state}{left}")
    told = {
        "version": sheet.version,
        "halted": sheet.halted,
        "issued_ms": sheet.issued_ms,
        "expires_ms": sheet.expires_ms,
        "items": items,
    }
    terminal.result(told, table(["item", *names], rows[:_SHOWN]))


@app.command("set")
def set_(
    item: Annotated[str, typer.Argument(metavar="ITEM")],
    facts: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE…", help="`stock=0` sells it out; an empty value takes it away.")
    ],
    data_dir: DataDir,
    *,
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Set numbers of one item; they are signed when this returns, and a running hub tells its nodes at once."""
    from hub.facts.asked import changes_of_words

    _change(data_dir, changes_of_words(item, facts), by, Terminal(json=json, quiet=quiet))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, Parquet or JSON lines with a column `item`.")],
    data_dir: DataDir,
    *,
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Set numbers of many items: a column for each name; an empty field leaves a number as it is."""
    from hub.facts.asked import changes_of_file

    _change(data_dir, changes_of_file(file), by, Terminal(json=json, quiet=quiet))


@app.command()
def halt(data_dir: DataDir, *, by: By = None, json: Json = False, quiet: Quiet = False) -> None:
    """The kill switch: within seconds all nodes serve by the released catalogue alone, until `resume`."""
    from hub.audit import person

    with _board(data_dir) as board:
        row = board.halt(by=person(by, os.environ))
    said = f"live facts are halted (version {row.version}): nodes serve by the released catalogue alone"
    Terminal(json=json, quiet=quiet).result({"facts": row, "notes": []}, said)


@app.command()
def resume(data_dir: DataDir, *, by: By = None, json: Json = False, quiet: Quiet = False) -> None:
    """Let live facts count again, as they are now."""
    from hub.audit import person

    with _board(data_dir) as board:
        row = board.resume(by=person(by, os.environ))
    Terminal(json=json, quiet=quiet).result({"facts": row, "notes": []}, _told(row))


@contextlib.contextmanager
def _board(data_dir: Path) -> Iterator[FactsBoard]:
    from edgewise.clock import SystemClock
    from hub.facts.board import FactsBoard
    from hub.ledger.ledger import open_ledger
    from hub.release.opening import site_repository

    clock = SystemClock()
    repository = site_repository(data_dir, clock)
    with open_ledger(data_dir) as ledger:
        yield FactsBoard(ledger, repository, clock)


def _change(data_dir: Path, changes: FactChanges, by: str | None, terminal: Terminal) -> None:
    from hub.audit import person

    with _board(data_dir) as board:
        notes = board.notes(changes)
        row = board.change(changes, by=person(by, os.environ))
    terminal.result({"facts": row, "notes": notes}, "\n".join([_told(row), *(f"note: {note}" for note in notes)]))


def _told(row: FactSheetRow | None) -> str:
    if row is None:
        return "nothing to set, and nothing was set before"
    if row.halted:
        return f"live facts version {row.version}; they are halted, and count after `edgewise facts resume`"
    return f"live facts version {row.version}, {row.numbers:,} numbers"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.12g}"
