"""`python -m figures`, called by `make bench`; see the package."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from edge.bench.machine import this_machine
from edgewise.clock import SystemClock
from edgewise.errors import EdgewiseError
from edgewise.terminal import Terminal
from figures.cores import Cores, on_core
from figures.ground import Ground
from figures.index import CURVES, FIGURES, chosen
from figures.page import page
from figures.peers import find_peers
from figures.sheet import LEAST_WIDTH, Sheet, in_tables
from figures.stage import FULL, QUICK, Stage

app = typer.Typer(add_completion=False)


@app.command()
def figures(
    *,
    only: Annotated[
        list[str] | None, typer.Option(metavar="ID", help=f"One of {', '.join(FIGURES)}, {CURVES}. Repeatable.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One short run of each: below three minutes.")] = False,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write everything as JSON.")] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write a page with plots.")] = None,
    peers: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where generic model servers are described, for P2.",
            show_default="$EDGEWISE_PEERS or ../shared/bench/peers, if there",
        ),
    ] = None,
) -> None:
    """Measure P1 to P11 on this machine; exit 1 when one does not keep what it must."""
    terminal = Terminal()
    machine, cores = this_machine(SystemClock()), Cores.of_machine()
    began_s = time.perf_counter()
    rows: list[Any] = []
    curves: list[Any] = []
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="edgewise-figures-") as folder, on_core(cores.load):
        stage = Stage(Path(folder), cores, QUICK if quick else FULL)
        ground = Ground(stage, terminal, find_peers(peers, os.environ, Path.cwd()))
        for name, measure in chosen(only or []).items():
            started_s = time.perf_counter()
            try:
                with terminal.working(f"{name} …"):
                    measured = measure(ground)
            except (EdgewiseError, OSError, TimeoutError, AssertionError) as broken:
                failed[name] = f"{type(broken).__name__}: {broken}".splitlines()[0]
                terminal.error(f"{name}: {failed[name]}")
                continue
            rows += measured.rows
            curves += measured.curves
            terminal.note(f"{name}: {time.perf_counter() - started_s:.1f} s")
    sheet = Sheet(
        rows=rows,
        curves=curves,
        failed=failed,
        machine=machine,
        cores={"server": cores.server, "load": cores.load, "hub": cores.hub},
        took_s=round(time.perf_counter() - began_s, 1),
        is_quick=quick,
    )
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(sheet), indent=2) + b"\n")
    if report is not None:
        report.write_text(page(sheet), "utf-8")
    if not terminal.out.is_terminal:
        terminal.out.width = max(terminal.out.width, LEAST_WIDTH)
    for part in in_tables(sheet):
        terminal.print(part)
    if sheet.is_short:
        sys.exit(1)


if __name__ == "__main__":
    try:
        app()
    except EdgewiseError as refused:
        Terminal().problem(refused)
        sys.exit(1)
