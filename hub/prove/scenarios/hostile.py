"""Requests that want to smuggle, requests without end, and clients who never come to the point.

The probes are the edge's own (`python -m edge.testing.probes`), run as a process against a node that serves. What good
visitors feel of a thousand slow clients is measured by the same load with and without them.
"""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Final

import msgspec
import numpy as np

from edgewise.errors import MALFORMED, UnavailableError
from hub.processes import last_words
from hub.prove.figure import NONE, Figure, Must
from hub.prove.lab import Lab, Running, workers_under_load
from hub.prove.load import Loaded, steady
from hub.prove.order import Order
from hub.prove.slow import slow_clients

RATE: Final = 200.0
"""Of the good visitors, a second: well below what any node can do, for it is the neighbours that are looked at."""
ROUNDS: Final = 4
MOST_RATIO: Final = 1.2
SMUGGLING: Final = 14
_PROBES_S: Final = 300.0


class _Probe(msgspec.Struct):
    kind: str
    name: str
    passed: bool
    second_served: bool = False


class _Slow(msgspec.Struct):
    kind: str
    sockets: int
    closed: int
    passed: bool


class _Report(msgspec.Struct):
    probes: list[_Probe]
    slow: list[_Slow]
    alive_afterwards: bool


def run(lab: Lab, order: Order) -> list[Figure]:
    """Probe, then compare."""
    with lab.shop(workers=workers_under_load()) as running:
        lab.tell("send what no client should", 0.0)
        told = _probe(running, order.slow_sockets)
        ratios, thrown_out, errors = [], 0, 0
        for number in range(ROUNDS):
            lab.tell(f"good visitors, round {number + 1} of {ROUNDS}", (number + 1) / (ROUNDS + 1))
            alone = _visit(running, order, number)
            with slow_clients(running.url, order.slow_sockets, lab.clock) as slow:
                beside = _visit(running, order, number)
                thrown_out += slow.thrown_out
            errors += alone.errors + beside.errors
            ratios.append(beside.p99_ms / alone.p99_ms if alone.p99_ms else math.nan)
    framing = [probe for probe in told.probes if probe.kind == "framing"]
    others = [probe for probe in told.probes if probe.kind != "framing"]
    return [
        Figure("probes that want to smuggle a request", len(framing), must=Must(">=", SMUGGLING)),
        Figure("  of them not refused", _count(framing), must=NONE),
        Figure("  second requests that were served", sum(probe.second_served for probe in told.probes), must=NONE),
        Figure("heads, bodies and readers without measure", len(others), must=Must(">=", 1)),
        Figure("  of them not refused", _count(others), must=NONE),
        Figure(
            "slow clients, of all kinds", sum(kind.sockets for kind in told.slow), must=Must(">=", order.slow_sockets)
        ),
        Figure("  kinds that were not thrown out in time", sum(not kind.passed for kind in told.slow), must=NONE),
        Figure("does not answer afterwards", float(not told.alive_afterwards), must=NONE),
        Figure("good visitors' failed requests", errors, must=NONE),
        Figure("slow clients thrown out meanwhile", thrown_out),
        Figure("p99 of decisions with slow clients / without", float(np.median(ratios)), must=Must("<", MOST_RATIO)),
    ]


def _visit(running: Running, order: Order, number: int) -> Loaded:
    return steady(running.url, running.write_key, rate=RATE, duration_s=order.window_s, seed=order.seed + number)


def _probe(running: Running, slow_sockets: int) -> _Report:
    words = ["-m", "edge.testing.probes", running.url, "--json", "--write-key", running.write_key]
    try:
        ended = subprocess.run(
            [sys.executable, *words, "--slow-sockets", str(slow_sockets)],
            capture_output=True,
            timeout=_PROBES_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"the probes did not end within {_PROBES_S:.0f} s") from None
    try:
        return msgspec.json.decode(ended.stdout, type=_Report)
    except MALFORMED:
        raise UnavailableError(f"the probes failed: {last_words(ended.stderr)}") from None


def _count(probes: list[_Probe]) -> int:
    return sum(not probe.passed for probe in probes)
