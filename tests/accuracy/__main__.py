"""`python -m accuracy`, called by `make bench-accuracy`; see the package."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from accuracy import benches
from accuracy.claim import Claim, Verdict
from accuracy.ground import Ground
from edge.bench.machine import Machine, this_machine
from edge.bench.words import machine_in_words
from edgewise.clock import SystemClock
from edgewise.errors import EdgewiseError, InputError, UnavailableError
from edgewise.terminal import Terminal, table
from hub.report_page import heading, in_table, page, sentence, sentences

app = typer.Typer(add_completion=False)
LEAST_WIDTH = 200
"""Of what is no terminal, such as a log: a row stays a line."""
COLUMNS = ("", "measured", "95 %", "must", "what")
NAMES = sorted(module.name for module in pkgutil.iter_modules(benches.__path__))


class Sheet(msgspec.Struct, frozen=True):
    """Everything that one run came to; the object of `--json`."""

    claims: dict[str, list[Claim]]
    failed: dict[str, str]
    """Benches that broke, and how."""
    took_s: dict[str, float]
    machine: Machine

    @property
    def is_short(self) -> bool:
        """A bench broke, or a claim does not keep what it must."""
        missed = (claim.verdict is Verdict.MISSED for found in self.claims.values() for claim in found)
        return bool(self.failed) or any(missed)


@app.command()
def accuracy(
    *,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help=f"One of {', '.join(NAMES)}.")] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write everything as JSON.")] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write a page.")] = None,
) -> None:
    """Measure the models on public data; exit 1 when one does not keep what it must."""
    terminal = Terminal()
    for name in only or []:
        if name not in NAMES:
            raise InputError(f"--only {name}: expected one of {', '.join(NAMES)}")
    sheet = _measured(only or NAMES, terminal)
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(sheet), indent=2) + b"\n")
    if report is not None:
        report.write_text(_page(sheet), "utf-8")
    if not terminal.out.is_terminal:
        terminal.out.width = max(terminal.out.width, LEAST_WIDTH)
    for name, found in sheet.claims.items():
        terminal.print(table(list(COLUMNS), [_cells(claim) for claim in found], title=name))
        for reason in _reasons(found):
            terminal.print(reason)
    for protocol in _protocols(sheet):
        terminal.print(protocol)
    terminal.print(machine_in_words(sheet.machine))
    if sheet.is_short:
        sys.exit(1)


def _measured(names: Sequence[str], terminal: Terminal) -> Sheet:
    claims: dict[str, list[Claim]] = {}
    failed: dict[str, str] = {}
    took_s: dict[str, float] = {}
    for name in names:
        began_s = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="edgewise-accuracy-") as folder:
            try:
                with terminal.working(f"{name} …"):
                    bench: Any = importlib.import_module(f"accuracy.benches.{name}")
                    claims[name] = bench.measure(Ground(Path(folder), terminal))
            except UnavailableError as absent:
                claims[name] = [Claim(what=name, value=None, protocol="", reason=str(absent))]
            except (EdgewiseError, OSError, TimeoutError, AssertionError) as broken:
                failed[name] = f"{type(broken).__name__}: {broken}".splitlines()[0]
                terminal.error(f"{name}: {failed[name]}")
        took_s[name] = round(time.perf_counter() - began_s, 1)
        terminal.note(f"{name}: {took_s[name]} s")
    return Sheet(claims, failed, took_s, this_machine(SystemClock()))


def _cells(claim: Claim) -> list[str]:
    measured = "-" if claim.value is None else f"{claim.value:.4f}"
    interval = "" if claim.low is None or claim.high is None else f"[{claim.low:.4f}, {claim.high:.4f}]"
    bound = f"{claim.bound} ({claim.source})" if claim.source else claim.bound
    return [str(claim.verdict), measured, interval, bound, claim.what]


def _reasons(found: list[Claim]) -> list[str]:
    return [f"{claim.what}: {claim.reason}" for claim in found if claim.reason]


def _protocols(sheet: Sheet) -> list[str]:
    every = {(name, claim.protocol): None for name, found in sheet.claims.items() for claim in found if claim.protocol}
    return [f"{name}: {protocol}" for name, protocol in every]


def _page(sheet: Sheet) -> str:
    parts = []
    for name, found in sheet.claims.items():
        parts += [heading(name), in_table(COLUMNS, [_cells(claim) for claim in found]), sentences(_reasons(found))]
    parts += [sentence(f"{name} broke: {how}", is_warning=True) for name, how in sheet.failed.items()]
    parts += [heading("Protocols"), sentences(_protocols(sheet)), sentence(machine_in_words(sheet.machine))]
    return page("How good the models are", *parts)


if __name__ == "__main__":
    try:
        app()
    except EdgewiseError as refused:
        Terminal().problem(refused)
        sys.exit(1)
