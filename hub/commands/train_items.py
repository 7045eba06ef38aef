"""`edgewise train items`: learn from the ledger which items go together, and register it for approval."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Group

from edgewise.ids import ModelName
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.data_dir import DataDir


def items(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model of the site: models/NAME.yaml says how.")],
    data_dir: DataDir,
    *,
    site: Annotated[Path, typer.Option(help="The site's folder.", file_okay=False)],
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who has it trained; $USER where it is not given.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Learn sets of neighbours, visits and item vectors from what visitors did, for a person to approve.

    What it makes needs no ranker: an arm whose ranking is `retrieval` shows items in the order in which its retrieval
    finds them, and what was just clicked counts at once.
    """
    from hub.audit import person
    from hub.ledger.ledger import open_ledger
    from hub.registry import ModelRegistry
    from hub.site.loading import load_site
    from hub.train.item_model import train_items

    terminal = Terminal(json=json, quiet=quiet)
    # Nothing that visitors see changes by training, so that a scheduler without a name may do it.
    who = person(by, {"USER": "training", **os.environ})
    contents = load_site(site)
    with open_ledger(data_dir) as ledger, terminal.working(f"learning {name}"):
        trained = train_items(contents, ledger, ModelRegistry(data_dir, ledger), ModelName(name), by=who)
    rows = [[what, ", ".join(f"{count:,} {of}" for of, count in sizes.items())] for what, sizes in trained.made.items()]
    shown = Group(
        table(["made", "of"], rows, title=f"{trained.model}@{trained.version}"),
        f"next: edgewise model approve {trained.model}@{trained.version}",
    )
    terminal.result(msgspec.to_builtins(trained), shown)
