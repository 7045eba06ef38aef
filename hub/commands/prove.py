"""`edgewise prove`: break things on purpose, and print what the visitors lost by it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from edgewise.terminal import Json, Quiet, Terminal, table

if TYPE_CHECKING:
    from rich.progress import Progress

    from hub.prove.figure import Proof
    from hub.prove.lab import Tell
    from hub.prove.run import Told
    from hub.prove.scenario import Scenario

app = typer.Typer(help="Prove the reliability figures on real processes of this machine.")

FAILED = 1


@app.command()
def prove(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Smaller sizes: minutes instead of half an hour.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="SCENARIO", help="One scenario; repeatable.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Say what can be proven, and end.")] = False,
    seed: Annotated[int | None, typer.Option(help="Of victims, moments and visitors.", show_default="1")] = None,
    kills: Annotated[int | None, typer.Option(metavar="N", help="Processes to kill.", show_default="300")] = None,
    swaps: Annotated[int | None, typer.Option(metavar="N", help="Releases to swap.", show_default="100")] = None,
    away: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds without the hub.", show_default="600")
    ] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Workers of the node.", show_default="2")] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write the figures as a page, too.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Start a hub and a node, put visitors on them, kill, swap, cut off and fill up, and count what was lost.

    Everything runs on loopback in temporary folders. Exit 1 when a figure is not what it must be.
    """
    from edgewise.clock import SystemClock
    from hub.prove.order import sized
    from hub.prove.page import page
    from hub.prove.run import prove as run
    from hub.prove.scenario import named
    from hub.prove.words import COLUMNS, as_object, failures, in_a_line, in_rows

    terminal = Terminal(json=json, quiet=quiet)
    scenarios = named(only or [])
    if list_:
        listed = [{"name": each.name, "about": each.about} for each in scenarios]
        shown = table(["scenario", "what"], [[each.name, each.about] for each in scenarios])
        terminal.result({"scenarios": listed}, shown)
        return
    order = sized(quick=quick, seed=seed, kills=kills, swaps=swaps, away_s=away, workers=workers)
    proofs: list[Proof] = []
    with _ended_in_order(), _progress(terminal) as progress:
        for proof in run(scenarios, order, SystemClock(), _told(progress)):
            proofs.append(proof)
            terminal.note(in_a_line(proof))
    if report is not None:
        report.write_text(page(proofs), "utf-8")
    passed = all(proof.passed for proof in proofs)
    drawn = table(list(COLUMNS), [row for proof in proofs for row in in_rows(proof)])
    terminal.result({"passed": passed, "proofs": [as_object(proof) for proof in proofs]}, drawn)
    if not passed:
        for line in failures(proofs):
            terminal.error(line)
        raise typer.Exit(FAILED)


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """SIGTERM ends what was started, as Ctrl-C does."""

    def leave(number: int, _: object) -> NoReturn:
        raise typer.Exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _progress(terminal: Terminal) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    hidden = terminal.quiet or not terminal.err.is_terminal
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[told]}"))
    return Progress(*columns, console=terminal.err, transient=True, disable=hidden)


def _told(progress: Progress) -> Told:
    """A line of progress for each scenario, gone when the next begins."""

    def begin(scenario: Scenario) -> Tell:
        for task in progress.task_ids:
            progress.remove_task(task)
        task = progress.add_task(scenario.name, total=1.0, told="")

        def tell(what: str, done: float) -> None:
            progress.update(task, completed=done, told=what)

        return tell

    return begin
