"""P6: from a click until the list has changed: on the node that took it, and on another one through the hub.

Both are timed for the same click, so that no click meets the one before on its way. In this figure two nodes and a hub
share one disk and two cores; each click waits for two commits of that disk (the node's spool, then the hub's ledger).
What the disk takes for one by itself is measured after each click and stands beside: nothing that is durable can be
faster.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from edgewise.errors import UnavailableError
from figures import shop
from figures.figure import Bound, Measured, Row, judge
from figures.ground import Ground
from hub.prove.caller import Caller

SAME: Final = Bound(10.0, 5.0, "ms")
OTHER: Final = Bound(100.0, 50.0, "ms")
WAIT_S: Final = 10.0
LOOK_EVERY_S: Final = 0.001
"""At the other node; without a pause, looking would take the processor time that the click needs on its way there."""
RECORD_BYTES: Final = 700
"""A click in the spool, roughly."""


class Click(NamedTuple):
    """Seconds from sending."""

    acknowledged: float
    """Durable on its node, and answered."""
    same: float
    other: float
    disk: float
    """Afterwards: to append as many bytes to a file on the same disk, and fdatasync."""


def measure(ground: Ground) -> Measured:
    """Each click is that of a new visitor whom both nodes have seen; the film that he clicked leaves his list."""
    stage = ground.stage
    data_dir = stage.released(shop.build())
    with stage.hub(data_dir) as hub, stage.node(hub=hub.address) as one, stage.node(hub=hub.address) as two:
        one.wait_for(1)
        two.wait_for(1)
        with Caller(one.url, shop.WRITE_KEY) as here, Caller(two.url, shop.WRITE_KEY) as there:
            disk = stage.fresh("disk")
            clicks = [_click(here, there, f"clicker-{number}", disk) for number in range(stage.effort.clicks)]
    acknowledged, same, other, floor = zip(*clicks, strict=True)
    beside = (
        f"acknowledged after {_spread(acknowledged)}, durable by then; the disk alone takes {_spread(floor)} to make "
        "one record durable"
    )
    return Measured(
        [
            _row("click -> changed decision on the same node, p99", SAME, same, floor, beside),
            _row("click -> changed decision on the other node, through the hub, p99", OTHER, other, floor, beside),
        ]
    )


def _row(what: str, bound: Bound, seconds: tuple[float, ...], floor: tuple[float, ...], beside: str) -> Row:
    p50, p90, p99 = _milliseconds(seconds)
    disk_p50, _, disk_p99 = _milliseconds(floor)
    detail = {
        "clicks": len(seconds),
        "p50_ms": round(p50, 3),
        "p90_ms": round(p90, 3),
        "max_ms": 1_000 * max(seconds),
        "disk_p50_ms": round(disk_p50, 3),
        "disk_p99_ms": round(disk_p99, 3),
    }
    return judge("P6", what, bound, [p99], short=f"p50 {p50:.1f} ms, p90 {p90:.1f} ms; {beside}", detail=detail)


def _milliseconds(seconds: tuple[float, ...]) -> list[float]:
    """Quantiles .5, .9 and .99."""
    found: list[float] = (np.quantile(np.asarray(seconds), [0.5, 0.9, 0.99]) * 1_000).tolist()
    return found


def _spread(seconds: tuple[float, ...]) -> str:
    p50, _, p99 = _milliseconds(seconds)
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"


def _click(here: Caller, there: Caller, visitor: str, disk: Path) -> Click:
    """One visitor's.

    Raises:
        UnavailableError: a node did not decide otherwise within WAIT_S.
    """
    there.shown(visitor, shop.UNSEEN)
    before = here.shown(visitor, shop.UNSEEN)
    began_s = time.perf_counter()
    said = {"anonymousId": visitor, "event": "Product Clicked", "properties": {"product_id": before[0]}}
    here.post("/v1/track", said)
    acknowledged_s = time.perf_counter() - began_s
    same_s = _until_changed(here, visitor, before, began_s, every_s=0)
    other_s = _until_changed(there, visitor, before, began_s, every_s=LOOK_EVERY_S)
    return Click(acknowledged_s, same_s, other_s, _made_durable(disk))


def _until_changed(watcher: Caller, visitor: str, before: list[str], began_s: float, *, every_s: float) -> float:
    # a dry run leaves no trace, so that looking does not slow down what is looked at
    while watcher.shown(visitor, shop.UNSEEN, dryRun=True) == before:
        if time.perf_counter() - began_s > WAIT_S:
            raise UnavailableError(f"a click has changed nothing at {watcher.url} for {WAIT_S:g} s")
        time.sleep(every_s)
    return time.perf_counter() - began_s


def _made_durable(file: Path) -> float:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        began_s = time.perf_counter()
        os.write(descriptor, bytes(RECORD_BYTES))
        os.fdatasync(descriptor)
        return time.perf_counter() - began_s
    finally:
        os.close(descriptor)
