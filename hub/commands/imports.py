"""`edgewise import`: takes in what other systems recorded."""

from __future__ import annotations

import typer

from hub.commands.import_decisions import decisions
from hub.commands.import_events import events
from hub.commands.import_source import source

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Bring in decisions, events and business data that other systems hold.",
)


@app.callback()
def imports() -> None:
    """Take in what other systems recorded; bad rows are set aside, the good ones kept."""


app.command("decisions")(decisions)
app.command("events")(events)
app.command("source")(source)
