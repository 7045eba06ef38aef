"""A measured window: it says what the generator costs, and when it did not keep its own schedule."""

from __future__ import annotations

import time

import numpy as np
import uvloop
from bench_server import Answering, Asked, answer_right, listening, right

from edge.bench.arrivals import Arrivals, scheduled
from edge.bench.generator import Generator
from edge.bench.http1 import parse_target
from edge.bench.mix import decode_mix
from edge.bench.visits import Visits
from edge.bench.window import BEHIND_MS, Measured, Plan, measure

MIX = '[[requests]]\nask = "decide"\nshare = 1\nplacements = [{name = "home_hero"}]\n'


def window(answer: Answering, rate: float, seconds: float = 0.4) -> Measured:
    """Measure a server that lives on the generator's own loop, so that it can keep the generator from its work."""

    async def run() -> Measured:
        async with listening(answer) as url:
            target, draw = parse_target(url), np.random.default_rng(1)
            visits = Visits(decode_mix(MIX, "test"), target, draw, run="0123456789ab", write_key=None)
            generator = Generator(target, visits, connections=4, timeout_s=20.0)
            await generator.fleet.open()
            due = scheduled(Arrivals.CONSTANT, rate, seconds, draw)
            measured = await measure(generator, Plan(iter(()), 0.0, due, seconds), lambda *_: None)
            assert generator.sent == measured.tally.due
            await generator.close()
            return measured

    return uvloop.run(run())


def test_a_generator_says_what_a_request_costs_it_and_how_many_it_could_make() -> None:
    own = window(answer_right, 200.0).own
    assert own.cpu_us > 0
    assert own.ceiling * own.cpu_us == 1e6 or abs(own.ceiling * own.cpu_us / 1e6 - 1) < 0.01


def test_a_generator_that_is_kept_from_its_schedule_does_not_blame_the_server() -> None:
    async def slow(asked: Asked) -> bytes:
        time.sleep(0.03)  # noqa: ASYNC251  # holds the loop on purpose
        return right(asked)

    measured = window(slow, 200.0)
    assert (measured.figures.scheduling_lag_ms.p50 or 0) > BEHIND_MS
    assert not measured.own.kept_up
