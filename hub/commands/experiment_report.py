"""`edgewise experiment report`, `list`, `ramp`: experiments of the live release, as the ledger has them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.experiment_analyse import analysis_shown
from hub.commands.options import By, demand_folders, put
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.experiments.overview import Listed
    from hub.experiments.ramp import RampStanding
    from hub.experiments.report import ExperimentReport
    from hub.experiments.trial import Trial
    from hub.ledger.ledger import Ledger

DAYS = 60.0
Key = Annotated[str, typer.Argument(metavar="KEY", help="The experiment's name in the site.")]
Days = Annotated[float, typer.Option(min=0.01, max=1_000, help="Read the last so many days, all that it ran.")]
_DAY_MS = 86_400_000


def report(
    key: Key,
    data_dir: DataDir,
    *,
    days: Days = DAYS,
    lift: Annotated[float, typer.Option(help="Relative lift that the run time is told for: .05 is 5 %.")] = 0.05,
    html: Annotated[Path | None, typer.Option(help="Where the report is written as a page with plots.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what an experiment won: split, guardrails, lift, ship, wait or stop, for whom, how long it still takes.

    By the metrics and the method that the live release declares. A person counts once the window of a metric behind
    his first exposure has closed.
    """
    from hub.experiments.page import report_page
    from hub.experiments.report import reported

    terminal = Terminal(json=json, quiet=quiet)
    demand_folders(html)
    with _trial(key, data_dir, days, terminal) as (_, trial):
        found = reported(trial, lift=lift)
    for warning in found.analysis.warnings:
        terminal.note(f"warning: {warning}")
    if html is not None:
        put(html, report_page(found))
    terminal.result(found, *_shown(found))


def listed(data_dir: DataDir, *, json: Json = False, quiet: Quiet = False) -> None:
    """List the experiments of the live release: arms, coverage, what each is judged by, and the step of its ramp."""
    from edgewise.clock import SystemClock
    from hub.experiments.overview import listed as every
    from hub.ledger.ledger import open_ledger
    from hub.release.live_policy import LivePolicy
    from hub.release.repository import Repository

    with open_ledger(data_dir) as ledger:
        found = every(LivePolicy(Repository(data_dir, SystemClock()))(), ledger.ramp_steps())
    headings = ["experiment", "placements", "arms", "coverage", "step", "outcome", "guardrails"]
    rows = [_row(of) for of in found.experiments]
    shown = table(headings, rows) if rows else "the live release has no experiment"
    Terminal(json=json, quiet=quiet).result(found, shown)


def ramp(
    key: Key,
    data_dir: DataDir,
    *,
    advance: Annotated[bool, typer.Option("--advance", help="Take the next step, if nothing holds it back.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Go back to the first step.")] = False,
    override: Annotated[
        str, typer.Option(metavar="REASON", help="Why the step is taken all the same; goes into the audit.")
    ] = "",
    days: Days = DAYS,
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say which step of its ramp an experiment is at, and what holds the next one back; or take it.

    A step that is taken is written down: the next `site apply` builds the release with its coverage, and a person
    approves and promotes that as any other.
    """
    if advance and restart:
        raise typer.BadParameter("forwards or back, not both", param_hint="--restart")
    if override and not advance:
        raise typer.BadParameter("only with --advance", param_hint="--override")
    from hub.audit import person
    from hub.experiments import ramp as ramps

    terminal = Terminal(json=json, quiet=quiet)
    with _trial(key, data_dir, days, terminal) as (ledger, trial):
        if advance or restart:
            who = person(by, os.environ)
            take = ramps.restart if restart else ramps.advance
            step = take(ledger, trial, by=who, **({} if restart else {"override": override}))
            said = f"{step.who} takes {step.experiment} to {step.coverage:g}; next: edgewise site apply DIR"
            terminal.result(step, said)
            return
        found = ramps.ramp_of(ledger, trial)
    terminal.result(found, *_ramp_shown(found))


@contextmanager
def _trial(key: str, data_dir: Path, days: float, terminal: Terminal) -> Iterator[tuple[Ledger, Trial]]:
    """An experiment of the live release, and the ledger that knows of it. Raises InputError where there is none."""
    from edgewise.clock import SystemClock
    from edgewise.errors import InputError
    from edgewise.ids import ExperimentKey
    from hub.experiments.policies import ReleasedPolicies, Rules
    from hub.experiments.trial import read_trial
    from hub.ledger.ledger import open_ledger
    from hub.release.live_policy import LivePolicy
    from hub.release.repository import Repository

    clock = SystemClock()
    repository = Repository(data_dir, clock)
    policy = LivePolicy(repository)()
    if policy is None:
        raise InputError(f"{data_dir} has no live release, so that no experiment runs; promote one first")
    rules = Rules(ExperimentKey(key), policy, ReleasedPolicies(repository))
    now_ms = clock.now_ms()
    with open_ledger(data_dir) as ledger:
        with terminal.working(f"reading what {key} did"):
            trial = read_trial(ledger, rules, since_ms=now_ms - round(days * _DAY_MS), now_ms=now_ms)
        yield ledger, trial


def _shown(found: ExperimentReport) -> list[Any]:
    from hub.experiments.page import coverage_sentence, span_sentence

    parts: list[Any] = [*analysis_shown(found.analysis), span_sentence(found)]
    if found.coverage is not None:
        parts.append(coverage_sentence(found.coverage))
    parts += [
        f"{name}: {count:,} people wait, their window is still open" for name, count in found.waiting.items() if count
    ]
    if found.left_out:
        parts.append("left out: " + ", ".join(f"{why} {units:,}" for why, units in found.left_out.items()))
    parts += [f"{arm}: {of.sentence}" for arm, of in found.novelty.items()]
    parts += [f"{of.attribute}, {arm}: {each.sentence}" for of in found.segments for arm, each in of.variants.items()]
    if found.holdout is not None:
        parts += [f"holdout: {of.sentence}" for of in found.holdout.verdicts.values()]
    parts.append(f"run time: {found.run_time.sentence}")
    return parts


def _row(of: Listed) -> list[str]:
    arms = ", ".join(f"{arm} {weight:g}" for arm, weight in of.arms.items())
    step = "" if of.step is None else f"{of.step} of {of.steps}"
    where = ", ".join(of.placements) or "does not run"
    return [of.key, where, arms, f"{of.coverage:g}", step, of.outcome or "none", ", ".join(of.guardrails) or "none"]


def _ramp_shown(found: RampStanding) -> list[Any]:
    gates = [f"  {'open' if gate.is_open else 'HELD'}  {gate.name}: {gate.sentence}" for gate in found.gates]
    return [f"step {found.step} of {found.steps}: {found.sentence}", *gates]
