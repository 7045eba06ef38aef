"""`edgewise experiment power`: how many units, how long, and what can be found."""

from __future__ import annotations

import math
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.experiment_analyse import METHODS, TUNED_TO_UNITS, choice, read_weights
from hub.commands.options import Delimiter, demand_folders, put, separator, usage

if TYPE_CHECKING:
    from hub.statistics.planning import Planned


def power(
    history: Annotated[
        Path | None,
        typer.Argument(metavar="[F]", help="Today's units, from which mean, spread and correlation are taken."),
    ] = None,
    *,
    metric: Annotated[
        str | None, typer.Option(metavar="COL[:binary|mean|ratio:DENOM]", help="Of F: what is to be lifted.")
    ] = None,
    unit: Annotated[str | None, typer.Option(metavar="COL", help="Of F: who is assigned.")] = None,
    covariate: Annotated[str | None, typer.Option(metavar="COL", help="Of F: what CUPED will know.")] = None,
    baseline: Annotated[
        float | None, typer.Option(help="The mean today, without F; a proportion without --stddev.")
    ] = None,
    stddev: Annotated[float | None, typer.Option(min=0, help="Of a unit, without F.")] = None,
    rho: Annotated[
        float, typer.Option(min=-0.999, max=0.999, help="Correlation with CUPED's covariate, without F.")
    ] = 0.0,
    lift: Annotated[float | None, typer.Option(help="Relative lift to be found: .05 is 5 %.")] = None,
    units: Annotated[
        int | None, typer.Option(min=4, help="Units in all arms: what they find, instead of --lift.")
    ] = None,
    per_day: Annotated[float | None, typer.Option(min=0.001, help="New units a day: how long it takes.")] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="V=W,…", help="The split, the control first; two equal arms otherwise.")
    ] = None,
    wanted: Annotated[float, typer.Option("--power", min=0.01, max=0.999, help="Chance to find it.")] = 0.8,
    alpha: Annotated[float, typer.Option(min=1e-6, max=0.5, help="Chance to find what is not there.")] = 0.05,
    method: Annotated[str, typer.Option(help="fixed or sequential.", metavar="METHOD")] = METHODS[0],
    tuned_to: Annotated[int, typer.Option(min=1, help="As in `analyse`.")] = TUNED_TO_UNITS,
    html: Annotated[
        Path | None, typer.Option(help="Where the curve of lift against units is written as a page.")
    ] = None,
    delimiter: Delimiter = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell how many units find a lift, or which lift so many units find; with both, the chance to find it."""
    choice(method, METHODS[:2], "--method")
    if (history is None) == (baseline is None):
        raise typer.BadParameter("expected a file F with --metric, or a mean", param_hint="--baseline")
    if history is not None and metric is None:
        raise typer.BadParameter("expected what is to be lifted", param_hint="--metric")
    if lift is None and units is None:
        raise typer.BadParameter("expected a lift to be found, or --units", param_hint="--lift")
    from hub.statistics.compare import Method
    from hub.statistics.planning import baseline_of, planned, power_page, stated
    from hub.statistics.power import Design

    terminal = Terminal(json=json, quiet=quiet)
    demand_folders(html)
    split = read_weights(weights) or {"control": 1.0, "variant": 1.0}
    if len(split) < 2 or not all(weight > 0 for weight in split.values()):  # noqa: PLR2004  # a control and a variant
        raise typer.BadParameter(f"{weights!r}, expected at least two arms above 0", param_hint="--weights")
    design = Design(weights=split, alpha=alpha, method=Method(method), tuned_to_units=tuned_to)
    with terminal.working("computing"):
        if history is not None and metric is not None:
            today = baseline_of(history, metric, unit=unit, covariate=covariate, delimiter=separator(delimiter))
        else:
            with usage("--baseline"):
                today = stated(baseline or 0.0, stddev, rho)
        # Of a mean that was typed, too, the words alone are wrong; of a file's it is the file that does not fit.
        with usage("--units" if lift is None else "--lift") if history is None else nullcontext():
            found = planned(today, design, lift=lift, units=units, wanted=wanted, per_day=per_day)
    for warning in today.warnings:
        terminal.note(f"warning: {warning}")
    if html is not None:
        put(html, power_page(found))
    terminal.result(found, *_shown(found))


def _shown(found: Planned) -> list[Any]:
    arms = ", ".join(f"{arm} {count:,}" for arm, count in found.arms.items())
    long = "" if found.days is None else f", {math.ceil(found.days):,} days"
    said = (
        f"{found.units:,} units ({arms}{long}) find a lift of {found.lift:+.2%} of {found.baseline.mean:.5g} with a "
        f"chance of {found.power:.1%}"
    )
    rows = [
        [f"{point.lift:+.2%}", f"{point.units:,}", "" if point.days is None else f"{math.ceil(point.days):,}"]
        for point in found.curve
    ]
    return [said, table(["lift", "units", "days"], rows, title=f"\nfound with a chance of {found.wanted:.0%}")]
