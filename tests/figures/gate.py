"""The gate that Unleash Edge publishes for itself, held by a decision that runs a model.

Fifty virtual users who ask again at once, 10 s, p95 below 10 ms, errors below 1 %
(https://github.com/Unleash/unleash-edge, benchmarks/clientfeaturesendpoint.js at 01e7f04). As there, server and load
share the machine and nothing is pinned; the node is as shipped, with two workers. Here no error is allowed, and an
answer without the model does not count.
"""

from __future__ import annotations

from typing import Final

from figures import mixes
from figures.cores import on_cores
from figures.figure import Bound, Measured, judge
from figures.ground import Ground
from figures.processor import meter_of_family

USERS: Final = 50
WORKERS: Final = 2
SECONDS: Final = 10.0
P95: Final = Bound(10.0, 5.0, "ms")
ERRORS: Final = Bound(0.0, 0.0, "errors")
FALLBACKS: Final = Bound(0.01, 0.0, "of answers")
STARTER_KEY: Final = "demo"
WHAT: Final = f"Unleash Edge's gate: starter bundle, home_hero, {USERS} users in a closed loop, {SECONDS:g} s"


def measure(ground: Ground) -> Measured:
    """The starter bundle, fifty connections that ask again as soon as they are answered."""
    stage = ground.stage
    mix = mixes.write_mix(stage.folder, "starter", visitors={"history": 0})
    seconds = stage.effort.window_s if stage.effort.is_quick else SECONDS
    with stage.node(workers=WORKERS, is_pinned=False) as node, on_cores(stage.cores.every):
        meter = meter_of_family(node.started.process.pid)
        found = stage.peak(node.url, mix, connections=USERS, seconds=seconds, write_key=STARTER_KEY, meter=meter)
    detail = {
        "answers_per_s": round(found.rate),
        "answer_us": round(1e6 * found.cpu_s),
        "cores_used": round(found.core_share, 3),
        "p50_ms": round(found.p50_ms, 2),
        "p99_ms": round(found.p99_ms, 2),
    }
    short = (
        f"{found.rate:,.0f} answers a second of {1e6 * found.cpu_s:.0f} us each keep {USERS} users waiting "
        f"{found.p50_ms:.1f} ms (p50); the node had {found.core_share:.2f} cores"
    )
    return Measured(
        [
            judge("gate", f"{WHAT}: p95", P95, [found.p95_ms], short=short, detail=detail),
            judge("gate", f"{WHAT}: errors", ERRORS, [found.errors], short="connections broke, or status is not 200"),
            judge("gate", f"{WHAT}: without the model", FALLBACKS, [found.degraded_share], short=short),
        ]
    )
