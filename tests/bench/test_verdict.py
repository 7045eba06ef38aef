"""When a bench has failed: a threshold was crossed, or the generator could not keep up and nothing is known."""

from __future__ import annotations

import msgspec
from bench_server import answer_right, serving

from edge.bench.order import Order
from edge.bench.session import run_bench
from edge.bench.threshold import Judged
from edge.bench.verdict import as_object, has_failed
from edgewise.clock import SystemClock

KEPT = Judged("p99>10ms", 1.0, crossed=False)
CROSSED = Judged("p99>10ms", 11.0, crossed=True)


def test_a_late_generator_fails_a_run_whatever_the_thresholds_say() -> None:
    with serving(answer_right) as url:
        order = Order(url=url, rate=100.0, duration_s=0.2, warm_up_s=0.0, connections=2, profile="strangers")
        outcome = run_bench(order, lambda *_: None, SystemClock())
    measured = outcome.measured
    for kept_up in (True, False):
        own = msgspec.structs.replace(measured.own, kept_up=kept_up)
        told = msgspec.structs.replace(outcome, measured=measured._replace(own=own))
        assert has_failed(told, [KEPT]) is not kept_up
        assert has_failed(told, [KEPT, CROSSED])
        assert as_object(told, [])["failed"] is not kept_up
        assert as_object(told, [])["generator"].kept_up is kept_up
