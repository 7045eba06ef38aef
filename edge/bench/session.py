"""A bench from its first connection to its figures."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
import numpy as np
import uvloop

from edge.bench.arrivals import STEADY, replayed, scheduled
from edge.bench.generator import Generator
from edge.bench.http1 import Target, parse_target
from edge.bench.knee import Knee, KneeSearch, Step
from edge.bench.machine import Machine, Node, this_machine
from edge.bench.mix import Mix, load_mix
from edge.bench.order import DEFAULT_DURATION_S, DEFAULT_RATE, DEFAULT_STEP_S, MAX_RATE, Order
from edge.bench.preflight import look_at, prime, probe
from edge.bench.visits import Visits
from edge.bench.watched import Offers, Watched
from edge.bench.weblog import read_weblog
from edge.bench.window import Measured, Plan, Watch, measure
from edgewise.clock import Clock

SETTLE_S: Final = 0.5
"""At each step of a search, before measuring."""
STEP_PATIENCE_S: Final = 1.0
LOG_TAIL_S: Final = 1e-3
"""A window is open at its end; the last moment of a log belongs to it."""


class Outcome(msgspec.Struct, frozen=True):
    """All that came out. Where the knee was looked for, `measured` is the window at the knee."""

    order: Order
    mix: Mix
    rate: float
    """Asked for, requests a second; of a log, its mean."""
    measured_s: float
    measured: Measured
    steps: list[Step]
    knee: Knee | None
    machine: Machine
    node: Node | None
    """None when the node does not show its status."""
    warnings: list[str]
    watched: Offers | None = None
    """Of the item that was watched for, over all windows."""


def run_bench(order: Order, watch: Watch, clock: Clock) -> Outcome:
    """Do what was ordered.

    Raises:
        InputError: an option, a profile or a log is wrong, or the node does not take such requests.
        UnavailableError: the node cannot be reached.
    """
    order.check()
    target, mix, machine = parse_target(order.url), load_mix(order.profile), this_machine(clock)
    draw = np.random.default_rng(order.seed)
    log = [] if order.replay is None else read_weblog(order.replay, draw)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        watched = None
        if order.watch_item is not None:
            watched = Watched(order.watch_item, clock.now_ms() - time.perf_counter() * 1_000)
        return runner.run(_Session(order, target, mix, draw, watch, watched=watched).run(log, machine))


class _Session:
    def __init__(
        self,
        order: Order,
        target: Target,
        mix: Mix,
        draw: np.random.Generator,
        watch: Watch,
        *,
        watched: Watched | None,
    ) -> None:
        self._order = order
        self._target = target
        self._mix = mix
        self._draw = draw
        self._watch = watch
        self._watched = watched
        self._visits = Visits(mix, target, draw, run=os.urandom(6).hex(), write_key=order.write_key)

    async def run(self, log: list[float], machine: Machine) -> Outcome:
        order, knee = self._order, None
        generator = Generator(
            self._target,
            self._visits,
            connections=order.connections,
            timeout_s=order.timeout_s,
            watched=self._watched,
        )
        warnings: list[str] = []
        steps: list[Step] = []
        try:
            self._watch(f"opening {order.connections:,} connections", 0.0, None)
            await generator.fleet.open()
            node = await look_at(generator, self._target)
            await probe(generator, self._target, self._visits, node)
            self._watch("telling what known visitors did before", 0.0, None)
            if (untold := await prime(generator, self._visits)) is not None:
                warnings.append(untold)
            with _quiet_collector():
                if order.find_knee:
                    measured, rate, search = await self._find_knee(generator)
                    steps, knee, measured_s = search.steps, search.knee, order.duration_s or DEFAULT_STEP_S
                else:
                    plan, rate = self._plan_of_log(log) if log else self._plan_of_rate()
                    measured, measured_s = await measure(generator, plan, self._watch), plan.measured_s
        finally:
            await generator.close()
        warnings += trouble_of(measured, knee)
        offers = self._watched.offers() if self._watched is not None else None
        return Outcome(order, self._mix, rate, measured_s, measured, steps, knee, machine, node, warnings, offers)

    def _plan_of_rate(self) -> tuple[Plan, float]:
        order, shape = self._order, self._mix.shape
        rate, measured_s = order.rate or DEFAULT_RATE, order.duration_s or DEFAULT_DURATION_S
        due = scheduled(order.arrivals, rate, measured_s, self._draw, shape)
        return Plan(self._steady(rate * shape[0].factor, order.warm_up_s), order.warm_up_s, due, measured_s), rate

    def _plan_of_log(self, log: list[float]) -> tuple[Plan, float]:
        order = self._order
        offsets_s = list(replayed(log, order.speed, order.duration_s or math.inf))
        measured_s = order.duration_s or max(1.0, offsets_s[-1] + LOG_TAIL_S)
        rate = len(offsets_s) / measured_s
        return Plan(self._steady(rate, order.warm_up_s), order.warm_up_s, iter(offsets_s), measured_s), rate

    def _steady(self, rate: float, length_s: float) -> Iterator[float]:
        return scheduled(self._order.arrivals, rate, length_s, self._draw, STEADY)

    async def _find_knee(self, generator: Generator) -> tuple[Measured, float, KneeSearch]:
        """The window at the knee, or at the last rate if none held."""
        order = self._order
        search = KneeSearch(order.knee_start, MAX_RATE, order.limits, least=order.knee_least)
        step_s, warm_up_s = order.duration_s or DEFAULT_STEP_S, order.warm_up_s
        best: tuple[Measured, float] | None = None
        held_rate = 0.0
        while (rate := search.next_rate) is not None:
            self._watch(f"trying {rate:,.0f}/s", 0.0, None)
            due = self._steady(rate, step_s)
            plan = Plan(self._steady(rate, warm_up_s), warm_up_s, due, step_s, STEP_PATIENCE_S)
            measured = await measure(generator, plan, self._watch)
            warm_up_s = min(SETTLE_S, step_s)
            step = search.tell(step_of(rate, measured))
            self._watch(f"{rate:,.0f}/s {'held' if step.held else f'broke: {step.broken_by}'}", 1.0, measured.tally)
            if (step.held and rate > held_rate) or not held_rate:
                best = measured, rate
            held_rate = max(held_rate, rate if step.held else 0.0)
        assert best is not None
        return *best, search


def step_of(rate: float, measured: Measured) -> Step:
    """What a search for the knee is told."""
    figures, own = measured.figures, measured.own
    p99_ms = math.nan if figures.latency_ms.p99 is None else figures.latency_ms.p99
    return Step(
        rate,
        figures.offered,
        figures.goodput,
        p99_ms,
        figures.error_share,
        is_own_fault=own.is_busy or own.is_late,
        hurried_share=figures.hurried_share,
    )


def trouble_of(measured: Measured, knee: Knee | None) -> list[str]:
    """What a reader must know before believing the figures, a sentence each."""
    figures, own = measured.figures, measured.own
    warnings = []
    if own.is_busy:
        warnings.append(
            f"the generator used {own.cpu_share:.0%} of a core: it is the bottleneck itself, and latencies contain its "
            f"own queue; its ceiling here is {own.ceiling:,.0f}/s: ask for less, or run several of it"
        )
    elif own.is_late:
        warnings.append(
            f"the generator was late itself (scheduling lag p99 {figures.scheduling_lag_ms.p99:.2f} ms), and latencies "
            "contain that; give it a core of its own"
        )
    if knee is not None and knee.is_own_fault:
        warnings.append("at the rate that broke the generator was late or busy itself: the node may hold more")
    if figures.fallback_share:
        warnings.append(f"{figures.fallback_share:.2%} of placements were answered by a fallback")
    if own.reopened_connections:
        warnings.append(
            f"{own.reopened_connections:,} connections were closed on the way and opened again, and "
            f"{figures.retries:,} requests sent once more for it"
        )
    return warnings


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Keep the garbage collector from pausing a run: what is there stays, and little is made that needs it."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
