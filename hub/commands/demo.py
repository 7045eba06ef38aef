"""`edgewise demo`: a film shop on real behaviour, on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Final

import typer

from edgewise.terminal import Json, Quiet, Terminal

if TYPE_CHECKING:
    from hub.demo.storefront import Storefront

app = typer.Typer(help="A film shop on real behaviour: hub, two edge nodes and a page, on this machine.")

PORT: Final = 8080


@app.command()
def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="End when everything was measured.")] = False,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port of the shop's page.", min=0, max=65_535, show_default="8080, or any free one if it is taken"
        ),
    ] = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="A simulated world instead of MovieLens; needs no download.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Learn from history, release to two edge nodes, live the rest again, and print what came of it.

    With --json the first line says where everything answers, the second holds the figures. Stays up until Ctrl-C or
    SIGTERM, or ends with --once. Exits with 1 if the challenger was not better, or a decision failed.
    """
    from edgewise.clock import SystemClock
    from hub.datasets.download import default_cache
    from hub.demo.figures import page, tables
    from hub.demo.run import Demo, load_history

    terminal = Terminal(json=json, quiet=quiet)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _leave(stop))
    cache = default_cache(os.environ)
    failed = False
    with contextlib.suppress(_Left), tempfile.TemporaryDirectory(prefix="edgewise-demo-") as folder:
        storefront = _open_storefront(port)
        with _step(terminal, "read MovieLens 100k (downloaded once)" if not simulated else "simulate a world"):
            history, why = load_history(cache, offline=simulated)
        if history.simulated:
            terminal.note(f"SIMULATED WORLD, no real behaviour: {why}")
        run = Demo(Path(folder), history, storefront, SystemClock(), lambda text: _step(terminal, text))
        version = run.learn_and_release()
        with run.serve(version) as (addresses, the_hub):
            if json:
                terminal.result(addresses)
            terminal.print(f"shop  {addresses.storefront}   edges  {'  '.join(addresses.edges)}   hub  {addresses.hub}")
            figures = run.measure(addresses, the_hub, version, cache)
            storefront.publish(page(figures), figures)
            terminal.result(figures, *tables(figures))
            failed = bool(figures.errors or figures.hub_down.errors) or not figures.challenger_is_better
            if not once:
                terminal.print(
                    f"\nOpen {addresses.storefront} and click a film; /results has the plot. Ctrl-C ends it."
                )
                stop.wait()
    if failed:
        raise typer.Exit(1)


class _Left(BaseException):
    """The person at the terminal has had enough. Not an Exception, so that nothing on the way swallows it."""


def _leave(stop: threading.Event) -> None:
    if stop.is_set():
        return
    stop.set()
    raise _Left


def _open_storefront(port: int | None) -> Storefront:
    from edgewise.errors import UnavailableError
    from hub.demo.storefront import Storefront

    try:
        return Storefront(PORT if port is None else port)
    except OSError as taken:
        if port is None:
            return Storefront(0)
        raise UnavailableError(f"the shop's page cannot have port {port}: {taken.strerror}") from taken


@contextlib.contextmanager
def _step(terminal: Terminal, text: str) -> Iterator[Callable[[int], None]]:
    started = perf_counter()
    done = 0
    lock = threading.Lock()

    with terminal.err.status(text) if not terminal.quiet else contextlib.nullcontext() as spinner:

        def progress(units: int) -> None:
            nonlocal done
            with lock:
                done += units
                if spinner is not None and done % 200 == 0:
                    spinner.update(f"{text}: {done:,} done")

        yield progress
    terminal.note(f"{text}: {perf_counter() - started:.1f} s")
