"""The closed loop against small servers: it counts right answers only, goes on when one closes, says who is silent."""

from __future__ import annotations

import math
import subprocess
import sys
import time

import pytest
from bench_server import Asked, answer_right, http, right, serving

from edgewise.errors import UnavailableError
from figures.closed_loop import peak, post, send_all
from figures.processor import family, meter_of, used_s

QUESTION = b'{"anonymousId":"a","placements":[{"name":"home_hero"}]}'


def test_right_answers_are_counted_and_the_warm_up_is_not() -> None:
    asked: list[float] = []

    async def noting(one: Asked) -> bytes:
        asked.append(time.perf_counter())
        assert one.headers["authorization"] == "Basic a2V5Og=="
        return right(one)

    with serving(noting) as url:
        found = peak(
            url, [post(f"{url}/v1/decide", QUESTION, write_key="key")], connections=3, seconds=0.3, warm_up_s=0.2
        )
    assert found.errors == found.degraded == 0
    assert 0 < found.rate * 0.3 < len(asked)
    assert 0 < found.p50_ms <= found.p95_ms <= found.p99_ms
    assert math.isnan(found.cpu_s)


def test_refusals_fallbacks_and_closed_connections_are_told_apart() -> None:
    async def mixed(asked: Asked) -> bytes | None:
        return (None, http(b"{}", 503), right(asked, "FALLBACK_OVERLOAD"), right(asked))[asked.number % 4]

    with serving(mixed) as url:
        found = peak(url, [post(f"{url}/v1/decide", QUESTION)], connections=4, seconds=0.3, warm_up_s=0.0)
    right_count = round(found.rate * 0.3)
    assert found.errors > 0
    assert 0 < found.degraded <= right_count + 1
    assert found.rate > 0


def test_requests_are_sent_in_their_order_and_a_refusal_is_told() -> None:
    bodies: list[bytes] = []

    async def noting(asked: Asked) -> bytes:
        bodies.append(asked.body)
        return right(asked) if len(bodies) < 4 else http(b'{"detail":"enough"}', 429)

    with serving(noting) as url:
        path = f"{url}/v1/track"
        send_all(url, [post(path, f'{{"n":{n}}}'.encode()) for n in range(3)])
        assert bodies == [b'{"n":0}', b'{"n":1}', b'{"n":2}']
        with pytest.raises(UnavailableError, match="enough"):
            send_all(url, [post(path, b"{}")])


def test_who_is_not_there_is_told() -> None:
    with serving(answer_right) as url:
        pass
    with pytest.raises(UnavailableError, match="refused"):
        peak(url, [post(f"{url}/v1/decide", QUESTION)], connections=1, seconds=0.1, warm_up_s=0.0)


def test_processor_time_is_that_of_a_process_and_of_its_children() -> None:
    """A child that has burned a fifth of a second, below a parent that waits for it."""
    burn = "import time\nwhile time.process_time() < 0.2: pass\nprint(flush=True)\ninput()"
    middle = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", middle], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        members = family(parent.pid)
        used = used_s(members)
        alone = meter_of(parent.pid)()
        parent.communicate("\n")
    assert len(members) == 2
    assert used >= 0.2 + alone - 0.02
    assert used_s(members) == 0
