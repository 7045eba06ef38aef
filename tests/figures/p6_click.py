"""P6: from a click until the list has changed: on the node that took it, and on another one through the hub."""

from __future__ import annotations

import time
from typing import Final

import numpy as np

from edgewise.errors import UnavailableError
from figures import shop
from figures.figure import Bound, Measured, Row, judge
from figures.ground import Ground
from hub.prove.caller import Caller

SAME: Final = Bound(10.0, 5.0, "ms")
OTHER: Final = Bound(100.0, 50.0, "ms")
WAIT_S: Final = 10.0


def measure(ground: Ground) -> Measured:
    """Each click is that of a new visitor whom both nodes have seen; the film that he clicked leaves his list."""
    stage = ground.stage
    clicks = stage.effort.clicks
    data_dir = stage.released(shop.build())
    with stage.hub(data_dir) as hub, stage.node(hub=hub.address) as one, stage.node(hub=hub.address) as two:
        one.wait_for(1)
        two.wait_for(1)
        with Caller(one.url, shop.WRITE_KEY) as here, Caller(two.url, shop.WRITE_KEY) as there:
            same = [_click(here, here, there, f"clicker-same-{number}") for number in range(clicks)]
            other = [_click(here, there, there, f"clicker-other-{number}") for number in range(clicks)]
    return Measured(
        [
            _row("click -> changed decision on the same node, p99", SAME, same),
            _row("click -> changed decision on the other node, through the hub, p99", OTHER, other),
        ]
    )


def _row(what: str, bound: Bound, seconds: list[float]) -> Row:
    p50, p90, p99 = (np.quantile(np.asarray(seconds), [0.5, 0.9, 0.99]) * 1_000).tolist()
    detail = {"clicks": len(seconds), "p50_ms": round(p50, 3), "p90_ms": round(p90, 3), "max_ms": 1_000 * max(seconds)}
    short = f"p50 {p50:.1f} ms, p90 {p90:.1f} ms; a click is durable (fdatasync) before it is answered"
    return judge("P6", what, bound, [p99], short=short, detail=detail)


def _click(here: Caller, watcher: Caller, there: Caller, visitor: str) -> float:
    """Seconds from sending until `watcher` decides otherwise.

    Raises:
        UnavailableError: it did not within WAIT_S.
    """
    there.shown(visitor, shop.UNSEEN)
    before = here.shown(visitor, shop.UNSEEN)
    began_s = time.perf_counter()
    # a dry run leaves no trace, so that looking does not slow down what is looked at
    said = {"anonymousId": visitor, "event": "Product Clicked", "properties": {"product_id": before[0]}}
    here.post("/v1/track", said)
    while watcher.shown(visitor, shop.UNSEEN, dryRun=True) == before:
        if time.perf_counter() - began_s > WAIT_S:
            raise UnavailableError(f"a click has changed nothing at {watcher.url} for {WAIT_S:g} s")
    return time.perf_counter() - began_s
