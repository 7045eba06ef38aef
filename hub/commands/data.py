"""`edgewise data`: what is known of visitors, seen as data: is it there, fresh and joined, and how long is it kept."""

from __future__ import annotations

import typer

from hub.commands.data_audit import audit
from hub.commands.data_retain import retain

app = typer.Typer(
    no_args_is_help=True, help="The data of visitors: is it there, fresh, joined, and how long is it kept."
)
app.command()(audit)
app.command()(retain)
