"""`edgewise evaluate`: what another policy would have earned on logged decisions, or that the log cannot say."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgewise.clock import SystemClock
from edgewise.errors import UnavailableError
from edgewise.profile.state import DAY_MS
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import Delimiter, separator
from hub.data_dir import DataDir
from hub.evaluation.names import IntervalName

if TYPE_CHECKING:
    from rich.table import Table

    from hub.evaluation.evaluate import Evaluated

app = typer.Typer(add_completion=False)
REFUSED = 1


@app.command()
def evaluate(
    *,
    data_dir: DataDir,
    decisions: Annotated[
        str, typer.Option(help="Name of imported decisions; or placement:NAME[:ARM], what our own nodes decided there.")
    ],
    policy: Annotated[
        str,
        typer.Option(
            help="logged | uniform | constant:ACTION | probabilities:FILE; on our own decisions also "
            "bundle:VERSION[:ARM], a release or a candidate, and model:NAME[@VERSION], in the live release.",
            metavar="POLICY",
        ),
    ],
    estimator: Annotated[
        str,
        typer.Option(
            help="Comma-separated: ips, snips; with a reward model dm, dr, sndr, switch-dr, dros; for slates iips "
            "(each slot alone), rips (up to the slot), sips (all slots)."
        ),
    ] = "ips,snips",
    interval: Annotated[
        IntervalName,
        typer.Option(
            help="bootstrap: percentiles; bootstrap-t: further to the side of heavy weights; bernstein: wide, "
            "true of any log."
        ),
    ] = IntervalName.BOOTSTRAP,
    days: Annotated[float, typer.Option(min=0.01, help="Of our own decisions: how far back.")] = 90.0,
    most: Annotated[int, typer.Option(min=1, help="Of our own decisions: the latest so many.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    delimiter: Delimiter = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page with the weights drawn.", dir_okay=False)] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Evaluate a policy off-policy; exit 1 with the reason when the log cannot tell."""
    from hub.commands.progress import progress_bar
    from hub.evaluation import evaluate as evaluation
    from hub.evaluation.from_ledger import PREFIX, named_log
    from hub.evaluation.names import estimator_names
    from hub.evaluation.own import Window, evaluate_own
    from hub.evaluation.policies import SYNTAX, is_policy
    from hub.evaluation.report import html_report
    from hub.evaluation.verdict import Verdict

    terminal = Terminal(json=as_json, quiet=quiet)
    try:
        names = estimator_names(estimator)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--estimator") from None
    if not is_policy(policy):
        raise typer.BadParameter(f"{policy!r}, expected {SYNTAX}", param_hint="--policy")
    if decisions.startswith(PREFIX):
        now_ms = SystemClock().now_ms()
        placement, arm = named_log(decisions)
        with progress_bar(terminal, ["decisions"]) as progress:
            evaluated = evaluate_own(
                data_dir,
                placement,
                policy,
                names,
                window=Window(now_ms - round(days * DAY_MS), now_ms + 1, now_ms, most, arm),
                seed=seed,
                interval=interval,
                delimiter=separator(delimiter),
                progress=lambda done, of: progress("decisions", done, of),
            )
    else:
        with terminal.working(f"evaluating {policy} on {decisions}"):
            evaluated = evaluation.evaluate(
                data_dir,
                decisions,
                policy,
                names,
                seed=seed,
                interval=interval,
                delimiter=separator(delimiter),
            )
    if html is not None:
        try:
            html.write_text(html_report(evaluated), encoding="utf-8")
        except OSError as refused:
            raise UnavailableError(f"{html}: cannot be written: {refused.strerror}") from None
    found = evaluated.evaluation
    verdict = f"{found.verdict}" + "".join(f"\n  {reason}" for reason in found.warnings)
    if found.verdict is Verdict.REFUSED:
        terminal.result(found)
        terminal.error(f"refused: {decisions} cannot tell what {policy} would earn: {'; '.join(found.warnings)}")
        raise typer.Exit(REFUSED)
    terminal.result(found, _shown(evaluated), f"\nverdict: {verdict}")


def _shown(evaluated: Evaluated) -> Table:
    found = evaluated.evaluation
    logged = ["logged", f"{found.logged_value:.6f}", "", "", f"{found.n:,}", ""]
    rows = [
        [
            name,
            _number(each.estimate),
            "-" if math.isnan(each.ci_low) else f"{each.ci_low:.6f} - {each.ci_high:.6f}",
            _number(each.stderr),
            f"{each.ess:,.1f}",
            f"{each.max_weight:,.2f}",
        ]
        for name, each in found.estimators.items()
    ]
    columns = ["estimator", "value", "95 % interval", "stderr", "ESS", "largest weight"]
    tunings = [each.tuning for each in found.estimators.values()]
    if any(tuning is not None for tuning in tunings):
        columns.append("threshold, lambda")
        rows = [[*row, "" if tuning is None else f"{tuning:.4g}"] for row, tuning in zip(rows, tunings, strict=True)]
        logged = [*logged, ""]
    return table(columns, [logged, *rows], title=f"{evaluated.policy} on {evaluated.decisions}")


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.6f}"
