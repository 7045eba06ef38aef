"""The gate that Unleash Edge publishes for itself, held by a decision that runs a model; and ours, which is open loop.

Theirs: 50 virtual users who ask again at once, 10 s, p95 below 10 ms, errors below 1 %
(https://github.com/Unleash/unleash-edge, benchmarks/clientfeaturesendpoint.js at 01e7f04). Here no error is allowed.
"""

from __future__ import annotations

from typing import Final

from figures import shop
from figures.figure import Bound, Measured, judge
from figures.ground import Ground
from figures.processor import meter_of

USERS: Final = 50
SECONDS: Final = 10.0
P95: Final = Bound(10.0, 5.0, "ms")
ERRORS: Final = Bound(0.0, 0.0, "errors")
STARTER_KEY: Final = "demo"
WHAT: Final = f"Unleash Edge's gate: starter bundle, home_hero, {USERS} users in a closed loop, {SECONDS:g} s"


def measure(ground: Ground) -> Measured:
    """The starter bundle on one worker, fifty connections that ask again as soon as they are answered."""
    stage = ground.stage
    mix = shop.write_mix(stage.folder, "starter", visitors={"history": 0})
    seconds = stage.effort.window_s if stage.effort.is_quick else SECONDS
    with stage.node() as node:
        meter = meter_of(node.worker_pid())
        found = stage.peak(node.url, mix, connections=USERS, seconds=seconds, write_key=STARTER_KEY, meter=meter)
    detail = {
        "answers_per_s": round(found.rate),
        "answer_us": round(1e6 * found.cpu_s),
        "core_share": round(found.core_share, 3),
        "p50_ms": round(found.p50_ms, 2),
        "p99_ms": round(found.p99_ms, 2),
        "answered_by_a_fallback": found.degraded,
    }
    short = (
        f"{found.rate:,.0f} answers a second by one worker, which had {found.core_share:.0%} of its core and needs "
        f"{1e6 * found.cpu_s:.0f} us for one, keep {USERS} users waiting {found.p50_ms:.1f} ms (p50)"
    )
    return Measured(
        [
            judge("gate", f"{WHAT}: p95", P95, [found.p95_ms], short=short, detail=detail),
            judge("gate", f"{WHAT}: errors", ERRORS, [found.errors], short="connections broke, or status is not 200"),
        ]
    )
