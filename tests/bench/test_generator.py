"""The generator against small servers that stall, refuse, close and lie: it never waits, and loses count of nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
import uvloop
from bench_server import Answering, Asked, answer_right, http, listening, right

from edge.bench.alarm import Alarm
from edge.bench.arrivals import Arrivals, scheduled
from edge.bench.generator import Generator
from edge.bench.http1 import parse_target
from edge.bench.mix import decode_mix
from edge.bench.tally import Tally
from edge.bench.visits import Visits
from edgewise.errors import UnavailableError

DECIDE_ONLY = '[[requests]]\nask = "decide"\nshare = 1\nplacements = [{name = "home_hero"}]\n'
RATE = 500.0
SECONDS = 0.4
ALL = int(RATE * SECONDS)

Meanwhile = Callable[[Tally], Awaitable[None]]


def load(
    answer: Answering, *, connections: int = 4, timeout_s: float = 20.0, meanwhile: Meanwhile | None = None
) -> Tally:
    """Send `ALL` requests at a constant rate to a server, and wait for what becomes of them."""

    async def run() -> Tally:
        async with listening(answer) as url:
            target, draw = parse_target(url), np.random.default_rng(1)
            visits = Visits(decode_mix(DECIDE_ONLY, "test"), target, draw, run="0123456789ab", write_key=None)
            generator = Generator(target, visits, connections=connections, timeout_s=timeout_s)
            await generator.fleet.open()
            begins_s = time.perf_counter() + 0.01
            tally = Tally(begins_s, begins_s + SECONDS)
            due_s = (begins_s + offset_s for offset_s in scheduled(Arrivals.CONSTANT, RATE, SECONDS, draw))
            loading = asyncio.create_task(generator.run(due_s, tally))
            if meanwhile is not None:
                await meanwhile(tally)
            await loading
            await generator.close()
            return tally

    tally = uvloop.run(run())
    assert tally.due == ALL
    assert tally.due == tally.right_count + tally.error_count
    return tally


def test_a_sound_server_answers_all_and_none_is_sent_before_its_moment() -> None:
    tally = load(answer_right)
    assert tally.right_count == ALL
    assert tally.lag.count == ALL
    assert tally.node.max_us == 250
    assert tally.service.max_us <= tally.latency.max_us


def test_a_stall_is_felt_by_everybody_who_came_meanwhile() -> None:
    """The server answers nothing until 150 more have become due: a closed loop on 4 connections would never send them.

    So each of them waited, by construction, until at least the last of the 150 was due.
    """
    stalled_from, until_due = 20, 170
    go_on = asyncio.Event()

    async def stalling(asked: Asked) -> bytes:
        if asked.number >= stalled_from:
            await go_on.wait()
        return right(asked)

    async def release(tally: Tally) -> None:
        while tally.due < until_due:  # noqa: ASYNC110  # a count has no event
            await asyncio.sleep(0.001)
        go_on.set()

    tally = load(stalling, meanwhile=release)
    assert tally.right_count == ALL
    # of 200, the 130 from number 20 to 149 waited for at least 20 further gaps of 2 ms
    assert tally.latency.quantile_us(0.5) >= 20 * 2_000
    assert tally.latency.max_us >= (until_due - stalled_from - 2) * 2_000


def test_silence_ends_with_the_timeout_and_counts_as_waited() -> None:
    async def silent(asked: Asked) -> bytes:
        if asked.number >= 10:
            await asyncio.Event().wait()
        return right(asked)

    tally = load(silent, timeout_s=0.3)
    assert tally.right_count <= 10
    assert set(tally.errors) <= {"no answer in time", "no connection was free in time"}
    assert tally.latency.count == ALL
    assert tally.latency.quantile_us(0.5) >= 300_000


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (http(b"{}", 503, "Retry-After: 1"), "status 503"),
        (http(b"{}"), "malformed decision at $"),
        (http(b"not json"), "not JSON"),
        (b"SSH-2.0\r\n\r\n", "no HTTP answer: no HTTP/1.1 status line: b'SSH-2.0\\r\\n\\r\\n'"),
        (http(b"{}") + b"more", "no HTTP answer: 4 bytes behind the end of an answer"),
    ],
)
def test_wrong_answers_are_errors_by_kind(said: bytes, kind: str) -> None:
    async def every_tenth(asked: Asked) -> bytes:
        return said if asked.number % 10 == 5 else right(asked)

    tally = load(every_tenth)
    assert set(tally.errors) == {kind}
    assert tally.errors[kind] == ALL // 10


def test_a_connection_that_is_closed_under_a_request_costs_one_retry() -> None:
    """As browsers do. The request counts from its first time, and is counted once."""

    async def closing(asked: Asked) -> bytes | None:
        return None if asked.number in {50, 100} else right(asked)

    tally = load(closing)
    assert tally.right_count == ALL
    assert tally.retries == 2


def test_a_server_that_always_closes_is_not_asked_a_third_time() -> None:
    asked_at: list[int] = []

    async def closing(asked: Asked) -> None:
        asked_at.append(asked.number)

    tally = load(closing)
    assert tally.right_count == 0
    assert tally.errors["connection lost"] == ALL
    assert tally.retries == ALL
    assert len(asked_at) == 2 * ALL


def test_connections_that_a_server_does_not_keep_are_opened_again() -> None:
    async def once(asked: Asked) -> bytes:
        return right(asked).replace(b"Content-Type", b"Connection: close\r\nContent-Type")

    tally = load(once)
    assert tally.right_count == ALL


def test_who_cannot_connect_is_told_why() -> None:
    async def run() -> None:
        async with listening(answer_right) as url:
            pass
        target = parse_target(url)
        visits = Visits(
            decode_mix(DECIDE_ONLY, "test"), target, np.random.default_rng(1), run="0123456789ab", write_key=None
        )
        generator = Generator(target, visits, connections=3, timeout_s=1.0)
        with pytest.raises(UnavailableError, match="cannot connect: Connection refused"):
            await generator.fleet.open()
        await generator.close()

    uvloop.run(run())


def test_an_alarm_rings_once_not_before_its_moment_and_at_once_for_what_has_passed() -> None:
    async def run() -> None:
        rung: list[float] = []
        bell = asyncio.Event()

        def ring() -> None:
            rung.append(time.perf_counter())
            bell.set()

        alarm = Alarm(ring)
        for ahead_s in (0.02, -5.0, 0.0):
            bell.clear()
            at_s = time.perf_counter() + ahead_s
            alarm.set(at_s + 3_600)
            alarm.set(at_s)
            await asyncio.wait_for(bell.wait(), 30)
            assert rung[-1] >= at_s
        assert len(rung) == 3
        alarm.close()
        await asyncio.sleep(0)
        assert len(rung) == 3

    uvloop.run(run())
