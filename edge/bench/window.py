"""One measured window of time: a schedule, its warm-up before it, what came of it, and how well the generator did."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final, NamedTuple

import msgspec

from edge.bench.generator import Generator
from edge.bench.tally import Figures, Tally

START_S: Final = 0.05
"""From making a schedule to its first moment."""
LATE_MS: Final = 1.0
LATE_SHARE: Final = 0.1
"""Of the p99: a generator that is late by less does not change what is read."""
BUSY: Final = 0.9
BEHIND_MS: Final = 5.0
"""A generator that sends half of its requests later than this does not keep its own schedule."""

Watch = Callable[[str, float, Tally | None], None]
"""Is told about once a second: what runs, how much of it is done (0..1), and what was counted so far."""


class Own(msgspec.Struct, frozen=True):
    """What the generator says of itself."""

    cpu_share: float
    """Of one core."""
    is_busy: bool
    """It had next to nothing left of its core: latencies contain its own queue."""
    is_late: bool
    """Its scheduling lag is a part of the p99 that matters."""
    reopened_connections: int
    cpu_us: float
    """Of the generator's core for a request and its answer; its idle loop is in it, so that low rates look dear."""
    ceiling: float
    """Requests a second at which its core would be full at that cost."""
    kept_up: bool
    """It sent what was due when it was due; otherwise the figures are the generator's and not the node's."""


class Measured(NamedTuple):
    """One window and what was counted in it."""

    tally: Tally
    figures: Figures
    own: Own


class Plan(NamedTuple):
    """When to send. Both schedules are offsets in seconds from the beginning of their part."""

    warm_up: Iterator[float]
    warm_up_s: float
    measured: Iterator[float]
    measured_s: float
    patience_s: float | None = None
    """How long to wait for answers behind the end; None: until the timeout."""


async def measure(generator: Generator, plan: Plan, watch: Watch) -> Measured:
    """Run a plan."""
    starts_s = time.perf_counter() + START_S
    begins_s = starts_s + plan.warm_up_s
    due_s = chain(
        (starts_s + offset_s for offset_s in plan.warm_up), (begins_s + offset_s for offset_s in plan.measured)
    )
    tally = Tally(begins_s, begins_s + plan.measured_s)
    telling = asyncio.get_running_loop().create_task(_tell(watch, starts_s, tally))
    reopened, sent = generator.fleet.reopened, generator.sent
    cpu_s, wall_s = time.thread_time(), time.perf_counter()
    try:
        await generator.run(due_s, tally, patience_s=plan.patience_s)
    finally:
        telling.cancel()
    used_s = time.thread_time() - cpu_s
    cpu_share, cpu_us = used_s / (time.perf_counter() - wall_s), used_s * 1e6 / max(1, generator.sent - sent)
    figures = tally.figures()
    lag_ms, p99_ms = figures.scheduling_lag_ms, figures.latency_ms.p99 or 0.0
    own = Own(
        cpu_share=round(cpu_share, 3),
        is_busy=cpu_share > BUSY,
        is_late=(lag_ms.p99 or 0.0) > max(LATE_MS, LATE_SHARE * p99_ms),
        reopened_connections=generator.fleet.reopened - reopened,
        cpu_us=round(cpu_us, 1),
        ceiling=round(1e6 / cpu_us) if cpu_us else 0.0,
        kept_up=cpu_share <= BUSY and (lag_ms.p50 or 0.0) <= BEHIND_MS,
    )
    return Measured(tally, figures, own)


async def _tell(watch: Watch, starts_s: float, tally: Tally) -> None:
    while True:
        await asyncio.sleep(1.0)
        now_s = time.perf_counter()
        done = (now_s - starts_s) / (tally.ends_s - starts_s)
        what = "warming up" if now_s < tally.begins_s else "measuring" if done < 1 else "waiting for answers"
        watch(what, min(done, 1.0), tally)
