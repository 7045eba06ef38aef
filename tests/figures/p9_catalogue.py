"""P9: retrieval and ranking from a catalogue of a hundred thousand items, over HTTP."""

from __future__ import annotations

from typing import Final

from figures import mixes, shop, stock
from figures.figure import Bound, Measured, judge
from figures.ground import Ground
from figures.shop import Shape

ITEMS: Final = 100_000
BOUND: Final = Bound(10.0, 5.0, "ms")
SHARE: Final = 0.6
"""Of the most that the node answers."""


def measure(ground: Ground) -> Measured:
    """Open loop at 60 % of the peak of this very question."""
    stage = ground.stage
    items = [stock.film(number) for number in range(0, ITEMS, ITEMS // 500)]
    mix = mixes.write_mix(stage.folder, "wide", items=items, requests=[mixes.hero(shop.WIDE)])
    bundle = stage.bundle(shop.build(Shape(items=ITEMS)))
    with stage.node(bundle=bundle, is_patient=True) as node:
        peak = stage.peak(node.url, mix).rate
    with stage.node(bundle=bundle) as node:
        told = [stage.open_loop(node.url, SHARE * peak, mix=mix) for _ in range(stage.effort.runs)]
    p99s = [float(each["latency_ms"]["p99"] or "nan") for each in told]
    detail = {
        "peak_per_s": round(peak),
        "rate_per_s": round(SHARE * peak),
        "p50_ms": [each["latency_ms"]["p50"] for each in told],
        "p99_9_ms": [each["latency_ms"]["p99.9"] for each in told],
        "in_the_node_p50_ms": [each["node_ms"]["p50"] for each in told],
        "errors": sum(each["errors"] for each in told),
        "hurried_share": max(each["hurried_share"] for each in told),
    }
    what = f"retrieval and ranking from {ITEMS:,} items, open loop at 60 % of its peak: p99"
    short = f"one decision takes {told[-1]['node_ms']['p50']} ms in the node (p50); {ground.disturbance()}"
    return Measured([judge("P9", what, BOUND, p99s, short=short, detail=detail)])
