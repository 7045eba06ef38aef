"""`edgewise data`: what is known of visitors, seen as data: is it there, is it fresh, does it join."""

from __future__ import annotations

import typer

from hub.commands.data_audit import audit

app = typer.Typer(no_args_is_help=True, help="The data that journeys need: is it there, fresh and joined.")


@app.callback()
def _group() -> None:
    """Keep `audit` a word of its own, although it is the only one so far."""


app.command()(audit)
