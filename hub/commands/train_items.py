"""`edgewise train items`: learn from the ledger which items go together, and register it for approval."""

from __future__ import annotations

import msgspec
from rich.console import Group

from edgewise.ids import ModelName
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.training import Name, SiteFolder, TrainedBy, training
from hub.data_dir import DataDir


def items(
    name: Name,
    data_dir: DataDir,
    *,
    site: SiteFolder,
    by: TrainedBy = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Learn sets of neighbours, visits and item vectors from what visitors did, for a person to approve.

    What it makes needs no ranker: an arm whose ranking is `retrieval` shows items in the order in which its retrieval
    finds them, and what was just clicked counts at once.
    """
    from hub.train.item_model import train_items

    terminal = Terminal(json=json, quiet=quiet)
    with training(data_dir, site, by) as given, terminal.working(f"learning {name}"):
        trained = train_items(given.contents, given.ledger, given.registry, ModelName(name), by=given.by)
    rows = [[what, ", ".join(f"{count:,} {of}" for of, count in sizes.items())] for what, sizes in trained.made.items()]
    shown = Group(
        table(["made", "of"], rows, title=f"{trained.model}@{trained.version}"),
        f"next: edgewise model approve {trained.model}@{trained.version}",
    )
    terminal.result(msgspec.to_builtins(trained), shown)
