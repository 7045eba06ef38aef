"""`edgewise bench`: load for an edge node, and what its visitors would have waited."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgewise.terminal import Json, Quiet, Terminal, table

if TYPE_CHECKING:
    from rich.progress import Progress

    from edge.bench.session import Outcome
    from edge.bench.threshold import Judged
    from edge.bench.window import Watch

app = typer.Typer(help="Put load on an edge node, and measure what its visitors wait.")


@app.command()
def bench(
    url: Annotated[str, typer.Argument(help="The node, such as http://127.0.0.1:8090.")],
    *,
    rate: Annotated[
        float | None, typer.Option(metavar="R", help="Requests a second, sent whatever happens.", show_default="500")
    ] = None,
    find_knee: Annotated[
        bool, typer.Option("--find-knee", help="Look for the highest rate that holds: p99, errors and goodput.")
    ] = False,
    duration: Annotated[
        float | None,
        typer.Option(metavar="S", help="Seconds that are measured.", show_default="10; 4 a step of --find-knee"),
    ] = None,
    connections: Annotated[int, typer.Option(metavar="N", help="Kept open, up to 25,000.")] = 50,
    profile: Annotated[
        str, typer.Option(metavar="FILE", help="Who comes and asks what: TOML, or home, clicks, flash-sale, hundred.")
    ] = "home",
    fail_if: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="Exit 1 if so: 'p99>10ms', 'errors>1%', 'goodput<900/s'. Repeatable."),
    ] = None,
    arrivals: Annotated[str, typer.Option(metavar="KIND", help="poisson or constant.")] = "poisson",
    replay: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Send when this web log says: moments, or Common Log Format.")
    ] = None,
    speed: Annotated[float, typer.Option(metavar="X", help="Of the replay: 2 is twice as fast.")] = 1.0,
    warm_up: Annotated[float, typer.Option(metavar="S", help="Seconds before measuring, at the same rate.")] = 2.0,
    timeout: Annotated[float, typer.Option(metavar="S", help="How long a visitor waits.")] = 10.0,
    knee_p99: Annotated[float, typer.Option(metavar="MS", help="With --find-knee: the p99 that must hold.")] = 10.0,
    knee_start: Annotated[
        float, typer.Option(metavar="R", help="With --find-knee: the rate that is tried first.")
    ] = 100.0,
    knee_least: Annotated[float, typer.Option(metavar="R", help="With --find-knee: nothing below is tried.")] = 1.0,
    watch_item: Annotated[
        str | None, typer.Option(metavar="ITEM", help="Tell when this item was offered, such as one that sells out.")
    ] = None,
    write_key: Annotated[str | None, typer.Option(metavar="KEY", help="The site's write key.")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of arrivals and visitors.")] = 1,
    report: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write a page with curves.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Send requests to a node at moments decided ahead (open loop), and measure from these moments.

    A request that has to wait because the node stalls counts from when it was meant to be sent, as its visitor would
    count. Answers are checked; what is not right is an error. Exit 1 when a --fail-if condition holds, or when the
    generator itself could not keep up, so that nothing can be said of the node.
    """
    from edge.bench.arrivals import Arrivals
    from edge.bench.knee import Limits
    from edge.bench.order import Order
    from edge.bench.session import run_bench
    from edge.bench.threshold import parse_threshold
    from edge.bench.verdict import as_object, has_failed, judge_all
    from edge.bench.words import in_words
    from edgewise.clock import SystemClock
    from edgewise.errors import InputError, Problem
    from edgewise.ids import ItemId

    terminal = Terminal(json=json, quiet=quiet)
    thresholds = [parse_threshold(text) for text in fail_if or []]
    if any(threshold.metric == "knee" for threshold in thresholds) and not find_knee:
        raise InputError("--fail-if knee…: needs --find-knee", (Problem("--fail-if", "needs --find-knee"),))
    if arrivals not in list(Arrivals):
        raise InputError(f"--arrivals {arrivals}: expected poisson or constant", (Problem("--arrivals", arrivals),))
    order = Order(
        url=url,
        rate=rate,
        find_knee=find_knee,
        duration_s=duration,
        connections=connections,
        profile=profile,
        arrivals=Arrivals(arrivals),
        replay=replay,
        speed=speed,
        warm_up_s=warm_up,
        timeout_s=timeout,
        seed=seed,
        write_key=write_key,
        limits=Limits(p99_ms=knee_p99),
        knee_start=knee_start,
        knee_least=knee_least,
        watch_item=None if watch_item is None else ItemId(watch_item),
    )
    with _progress(terminal) as progress:
        outcome = run_bench(order, _watch(terminal, progress), SystemClock())
    judged = judge_all(outcome, thresholds)
    if report is not None:
        from edge.bench.page import page

        report.write_text(page(outcome, judged), "utf-8")
    terminal.result(as_object(outcome, judged), *_in_words(outcome, judged))
    for warning in outcome.warnings:
        terminal.note(f"note: {warning}")
    crossed = [each for each in judged if each.crossed]
    if (json or quiet) and crossed:
        for each in crossed:
            terminal.error(in_words(each))
    own = outcome.measured.own
    if not own.kept_up:
        terminal.error(
            f"the generator could not keep up (its ceiling here is {own.ceiling:,.0f}/s): this says nothing of the node"
        )
    if has_failed(outcome, judged):
        raise typer.Exit(1)


def _progress(terminal: Terminal) -> Progress:
    """Drawn once a second by `_watch` and not by a thread of its own, which would make requests late."""
    from rich.progress import BarColumn, Progress, TextColumn

    hidden = terminal.quiet or not terminal.err.is_terminal
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
    return Progress(*columns, console=terminal.err, auto_refresh=False, transient=True, disable=hidden)


def _watch(terminal: Terminal, progress: Progress) -> Watch:
    task = progress.add_task("", total=1.0, told="")

    def watch(what: str, done: float, tally: Any) -> None:
        told = ""
        if tally is not None and tally.due:
            p99_ms = tally.latency.quantile_us(0.99) / 1_000
            told = f"{tally.due:,} due, {tally.error_count:,} wrong, p99 {p99_ms:.2f} ms"
        progress.update(task, description=what, completed=done, told=told)
        progress.refresh()
        if what.endswith("held") or " broke: " in what:
            terminal.note(what)

    return watch


def _in_words(outcome: Outcome, judged: list[Judged]) -> list[Any]:
    from edge.bench.words import COLUMNS, figures_in_words, heading, in_words, knee_in_words, latencies_in_rows, where

    latencies = table(["ms", *COLUMNS], latencies_in_rows(outcome))
    parts: list[Any] = [heading(outcome), latencies, *figures_in_words(outcome)]
    if outcome.knee is not None:
        parts.append(knee_in_words(outcome))
    parts += map(in_words, judged)
    return [*parts, where(outcome)]
