"""`edgewise score ltv`: what each customer of a file will buy."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import Delimiter, demand_folders, put, separator

if TYPE_CHECKING:
    from hub.lifetime.trial import LtvReport

MODELS = ("bgnbd", "ml")
UNITS = ("day", "week")
BEST_SHOWN = 5


def ltv(
    purchases: Annotated[
        Path, typer.Argument(metavar="F", help="CSV (also .gz), Parquet or JSONL with a row per purchase or its lines.")
    ],
    *,
    customer: Annotated[str, typer.Option(help="Column of the customer.")],
    time: Annotated[str, typer.Option(help="Column of the time: a date, a time, 20110930, or seconds since 1970.")],
    value: Annotated[str, typer.Option(help="Column of the money; a day's values are added up.")],
    model: Annotated[
        str, typer.Option(help="bgnbd: BG/NBD and Gamma-Gamma; ml: LightGBM (Tweedie) on top of them.", metavar="MODEL")
    ] = MODELS[0],
    calibration_end: Annotated[
        str | None, typer.Option(metavar="DATE", help="Last day that is learned from; what came after it judges.")
    ] = None,
    horizon: Annotated[
        float | None,
        typer.Option(help="Units to look ahead; the time after --calibration-end, or 52 weeks.", min=0.01, max=100_000),
    ] = None,
    unit: Annotated[str, typer.Option(help="What time is counted in: day or week.", metavar="UNIT")] = UNITS[0],
    out: Annotated[Path | None, typer.Option(help="Where the customers are written as CSV.")] = None,
    report: Annotated[Path | None, typer.Option(help="Where the report is written as JSON.")] = None,
    html: Annotated[Path | None, typer.Option(help="Where the report is written as a page with plots.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds and the intervals.")] = 0,
    delimiter: Delimiter = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Expect what each customer will buy and spend, and how likely he is not to come back.

    One purchase a customer and day; the first purchase starts the clock. With --calibration-end everything is fitted
    on what was known that day and compared with what came after it.
    """
    if model not in MODELS:
        raise typer.BadParameter(f"{model!r}; expected {' or '.join(MODELS)}", param_hint="--model")
    if unit not in UNITS:
        raise typer.BadParameter(f"{unit!r}; expected {' or '.join(UNITS)}", param_hint="--unit")
    end = None
    if calibration_end is not None:
        try:
            end = dt.date.fromisoformat(calibration_end)
        except ValueError:
            what = f"{calibration_end!r}; expected a date such as 2011-09-30"
            raise typer.BadParameter(what, param_hint="--calibration-end") from None
    from hub.lifetime.history import Unit
    from hub.lifetime.page import customers_csv, ltv_page
    from hub.lifetime.purchases import Columns
    from hub.lifetime.trial import LtvModel, LtvPlan, score_ltv

    terminal = Terminal(json=json, quiet=quiet)
    demand_folders(out, report, html)
    plan = LtvPlan(
        table=purchases,
        columns=Columns(customer, time, value),
        model=LtvModel(model),
        calibration_end=end,
        horizon=horizon,
        unit=Unit(unit),
        seed=seed,
        delimiter=separator(delimiter),
    )
    with terminal.working("starting") as say:
        found = score_ltv(plan, say)
    for warning in found.warnings:
        terminal.note(f"warning: {warning}")
    if out is not None:
        put(out, customers_csv(found.customers))
    if report is not None:
        put(report, msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    if html is not None:
        put(html, ltv_page(found))
    terminal.result(found, *_shown(found))


def _shown(found: LtvReport) -> list[Any]:
    from hub.lifetime.page import comparison

    fitted = [
        [name, f"{value:.5g}", "[{:.5g}, {:.5g}]".format(*found.parameter_intervals[name])]
        for name, value in found.parameters.items()
    ]
    shown: list[Any] = [
        table(
            ["", "BG/NBD", "95 %"],
            fitted,
            title=f"{len(found.customers):,} customers up to {found.calibration_end}, in {found.unit.value}s",
        ),
        f"log-likelihood {found.log_likelihood:.2f}",
    ]
    if found.value_parameters is not None:
        shown.append("Gamma-Gamma: " + ", ".join(f"{name} {of:.5g}" for name, of in found.value_parameters.items()))
    if found.calibration is not None:
        columns, rows = comparison(found.calibration, found.baseline_calibration)
        shown.append(table(columns, [list(row) for row in rows], title=f"\nagainst what came up to {found.last_day}"))
    best = sorted(found.customers, key=lambda of: -of.expected_value)[:BEST_SHOWN]
    rows_best = [
        [of.customer, f"{of.expected_purchases:.2f}", f"{of.expected_value:,.2f}", f"{of.churn_risk:.3f}"]
        for of in best
    ]
    ahead = f"\nthe next {found.horizon:g} {found.unit.value}s: {found.expected_value:,.2f} in all; the most valuable"
    return [*shown, table(["customer", "purchases", "value", "churn risk"], rows_best, title=ahead)]
