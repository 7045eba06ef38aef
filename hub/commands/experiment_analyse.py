"""`edgewise experiment analyse`: lift, interval and verdict from a file of rows or of sums."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import Delimiter, demand_folders, put, separator

if TYPE_CHECKING:
    from hub.statistics.results import Analysis

METHODS = ("fixed", "sequential", "bayesian")
CORRECTIONS = ("holm", "bh", "none")
TUNED_TO_UNITS = 5_000
TOLERATED = 0.02


def analyse(
    experiment: Annotated[
        Path, typer.Argument(metavar="F", help="CSV (also .gz), Parquet or JSONL: a row per unit or event, or sums.")
    ],
    *,
    control: Annotated[str, typer.Option(metavar="VALUE", help="The variant that all others are compared with.")],
    variant: Annotated[
        str | None, typer.Option(metavar="COL", help="Column of the variant; with --summary `variant`.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="COL[:binary|mean|ratio:DENOM]", help="Repeated; the first one is the business outcome."),
    ] = None,
    unit: Annotated[
        str | None, typer.Option(metavar="COL", help="Who was assigned; without it each row is a unit.")
    ] = None,
    covariate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[METRIC=]COL[/DENOM]", help="What was known before the experiment: CUPED, for one metric or all."
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="V=W,…", help="The split that was meant; equal where it is not given.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="fixed: looked at once; sequential: at any time; bayesian.", metavar="METHOD")
    ] = METHODS[0],
    summary: Annotated[
        bool, typer.Option("--summary", help="F holds one row per variant and metric: n, sum, sum_squares, ….")
    ] = False,
    outcome: Annotated[
        str | None,
        typer.Option(metavar="METRIC", help="The business outcome that decides; the first metric otherwise."),
    ] = None,
    guardrail: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC[=SHARE]", help="Must not get worse than by that share, .02 otherwise; repeated."),
    ] = None,
    lower: Annotated[
        list[str] | None, typer.Option(metavar="METRIC", help="Of which less is better; repeated.")
    ] = None,
    least_lift: Annotated[
        float, typer.Option(min=0, help="The smallest relative lift that is worth shipping: .01 is 1 %.")
    ] = 0.0,
    correction: Annotated[
        str, typer.Option(help="For several comparisons: holm, bh (false discovery rate) or none.", metavar="WORD")
    ] = CORRECTIONS[0],
    tuned_to: Annotated[
        int, typer.Option(min=1, help="Units at which sequential intervals are narrowest; not to be changed later.")
    ] = TUNED_TO_UNITS,
    segment: Annotated[str | None, typer.Option(metavar="COL", help="Compare within each of its values.")] = None,
    time: Annotated[
        str | None,
        typer.Option(metavar="COL", help="When a row happened: the lift by day since exposure, with --unit."),
    ] = None,
    score: Annotated[
        str | None, typer.Option(metavar="COL", help="Who is to gain most, highest first: gain curve and Qini.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Where the report is written as a page with plots.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the groups behind the interval of Qini.")] = 0,
    delimiter: Delimiter = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare every variant with the control: lift, 95 % interval, and ship, wait or stop in a sentence.

    While the split is not the one that was meant every verdict is wait.
    """
    choice(method, METHODS, "--method")
    choice(correction, CORRECTIONS, "--correction")
    rows_only = {"--unit": unit, "--covariate": covariate, "--segment": segment, "--time": time, "--score": score}
    _demand(summary, rows_only, {"--variant": variant, "--metric": metric})
    from hub.statistics.file import Asked, analyse_file
    from hub.statistics.page import experiment_page

    terminal = Terminal(json=json, quiet=quiet)
    demand_folders(html)
    asked = Asked(
        file=experiment,
        control=control,
        variant=variant or "variant",
        metrics=tuple(metric or ()),
        is_summary=summary,
        unit=unit,
        covariates=tuple(covariate or ()),
        weights=read_weights(weights),
        method=method,
        outcome=outcome,
        guardrails=_shares(guardrail or []),
        lower=tuple(lower or ()),
        least_lift=least_lift,
        correction=correction,
        tuned_to_units=tuned_to,
        segment=segment,
        time=time,
        score=score,
        seed=seed,
        delimiter=separator(delimiter),
    )
    with terminal.working(f"reading {experiment}") as say:
        found = analyse_file(asked, say)
    for warning in found.warnings:
        terminal.note(f"warning: {warning}")
    if html is not None:
        put(html, experiment_page(found, experiment.name))
    terminal.result(found, *analysis_shown(found))


def choice(value: str, words: tuple[str, ...], option: str) -> None:
    """Raise a usage error for a word that there is not."""
    if value not in words:
        raise typer.BadParameter(f"{value!r}; expected {', '.join(words)}", param_hint=option)


def _demand(summary: bool, rows_only: dict[str, Any], of_rows: dict[str, Any]) -> None:  # noqa: FBT001
    """Options that need rows have rows, and rows have what they need."""
    if summary:
        for option in [option for option, value in rows_only.items() if value]:
            raise typer.BadParameter("sums have no rows to look at", param_hint=option)
    else:
        for option in [option for option, value in of_rows.items() if not value]:
            raise typer.BadParameter("expected, unless F holds sums (--summary)", param_hint=option)
    if rows_only["--time"] and not rows_only["--unit"]:
        raise typer.BadParameter("days since exposure need to know whose: --unit", param_hint="--time")


def _shares(texts: list[str]) -> dict[str, float]:
    found = {}
    for text in texts:
        name, equals, share = text.rpartition("=")
        try:
            found[name if equals else text] = _number(share, most=1.0) if equals else TOLERATED
        except ValueError:
            what = f"{share!r}, expected a share from 0 to 1, as {name}=0.02"
            raise typer.BadParameter(what, param_hint="--guardrail") from None
    return found


def read_weights(text: str | None) -> dict[str, float] | None:
    """`A=1,B=2` by variant. Raises a usage error for anything else."""
    if text is None:
        return None
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, weight = part.strip().rpartition("=")
        try:
            if not equals or name in found:
                raise ValueError  # noqa: TRY301  # as for a weight that is no number
            found[name] = _number(weight, most=math.inf)
        except ValueError:
            what = f"{part!r}, expected VARIANT=WEIGHT,… with numbers of 0 or more, each variant once"
            raise typer.BadParameter(what, param_hint="--weights") from None
    return found


def _number(text: str, *, most: float) -> float:
    """Raises ValueError for what is none, below 0, above `most` or without end."""
    number = float(text)
    if not (0 <= number <= most and math.isfinite(number)):
        raise ValueError
    return number


def analysis_shown(found: Analysis) -> list[Any]:
    """Tables and sentences for a terminal."""
    parts: list[Any] = []
    for name, result in found.metrics.items():
        control = result.control
        rows = [[control.name, f"{control.n:,}", _value(control.mean), "", "", "", ""]]
        rows += [
            [
                arm,
                f"{of.n:,}",
                _value(of.mean),
                _percent(of.relative_lift),
                f"{_percent(of.ci_low)} to {_percent(of.ci_high)}" if not math.isnan(of.ci_low) else "-",
                _value(of.p_value) if math.isnan(of.chance_to_win) else f"{of.chance_to_win:.1%}",
                of.verdict.value,
            ]
            for arm, of in result.variants.items()
        ]
        sure = "chance to win" if found.method.value == "bayesian" else "p"
        columns = ["", "units", "mean", "lift", "95 %", sure, "verdict"]
        parts.append(table(columns, rows, title=f"\n{name} ({result.kind}, {result.role.value})"))
    split = "ALARM, the split is not the one that was meant" if found.srm.alarm else "as it was meant"
    parts.append(f"\nsplit: {split} (p = {_value(found.srm.p_value)})")
    parts += [f"{of.sentence}" for of in found.verdicts.values()]
    return parts


def _value(number: float) -> str:
    return "-" if math.isnan(number) else f"{number:.5g}"


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{share:+.2%}"
