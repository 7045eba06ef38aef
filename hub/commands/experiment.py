"""`edgewise experiment`: whether a change earns what it promises."""

from __future__ import annotations

import typer

from hub.commands.experiment_analyse import analyse
from hub.commands.experiment_power import power
from hub.commands.experiment_report import listed, ramp, report

app = typer.Typer(no_args_is_help=True, help="Whether a change earns what it promises: lift, power, verdicts.")
app.command()(analyse)
app.command()(power)
app.command()(report)
app.command("list")(listed)
app.command()(ramp)


@app.callback()
def experiment() -> None:
    """Whether a change earns what it promises: lift, power, verdicts."""
