"""P3: what visitors wait at 60 % of the knee: as it is, while bundles are swapped, and while the hub is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from figures import shop
from figures.figure import Bound, Measured, Row, judge
from figures.ground import SHED_SHARE, Ground
from figures.stage import Hub, Node, finished, release

BOUND: Final = Bound(10.0, 10.0, "ms", aim_of="p99.9")
SHARE: Final = 0.6
"""Of the knee."""
HUB_WINDOW_S: Final = 8.0
SWAPS: Final = 2


def measure(ground: Ground) -> Measured:
    """Three rows; with a hub the node also sends every exposure up while it is measured."""
    stage, rate = ground.stage, SHARE * ground.standing.knee
    rows = []
    with stage.node(bundle=ground.bundle) as node:
        told = [stage.open_loop(node.url, rate, mix=ground.mix) for _ in range(stage.effort.runs)]
    rows.append(_row(ground, "p99 at 60 % of the knee, open loop", told))
    built = shop.build()
    data_dir = stage.released(built)
    with stage.hub(data_dir) as hub, stage.node(hub=hub.address) as node:
        node.wait_for(1)
        swapped = [_while_swapping(ground, data_dir, node, rate, run) for run in range(stage.effort.runs)]
        rows.append(_row(ground, f"the same, while {SWAPS} new bundles are fetched, tried and swapped in", swapped))
        lost = _while_hub_is_lost(ground, hub, node, rate)
        rows.append(_row(ground, "the same, while the hub is killed and stays away", [lost]))
    return Measured(rows)


def _while_swapping(ground: Ground, data_dir: Path, node: Node, rate: float, run: int) -> dict[str, Any]:
    stage = ground.stage
    words = stage.steady(rate, seconds=stage.effort.window_s if stage.effort.is_quick else HUB_WINDOW_S)
    first = 2 + run * SWAPS
    news = [shop.build(version=version) for version in range(first, first + SWAPS)]
    with stage.loading(node.url, *words, mix=ground.mix) as running:
        node.wait_for_load()
        for built in news:
            release(data_dir, built)
            node.wait_for(built.manifest.version)
        swaps_ended_in_time = running.is_running
        told = finished(running)
    return {**told, "swapped_while_measured": swaps_ended_in_time}


def _while_hub_is_lost(ground: Ground, hub: Hub, node: Node, rate: float) -> dict[str, Any]:
    stage = ground.stage
    words = stage.steady(rate, seconds=stage.effort.window_s if stage.effort.is_quick else HUB_WINDOW_S)
    with stage.loading(node.url, *words, mix=ground.mix) as running:
        node.wait_for_load()
        hub.started.process.kill()
        hub.started.process.wait()
        return finished(running)


def _row(ground: Ground, what: str, told: list[dict[str, Any]]) -> Row:
    p99s = [float(each["latency_ms"]["p99"] or "nan") for each in told]
    errors = sum(each["errors"] for each in told)
    detail = {
        "rate_per_s": round(told[0]["rate"]),
        "p99_9_ms": [each["latency_ms"]["p99.9"] for each in told],
        "p50_ms": [each["latency_ms"]["p50"] for each in told],
        "errors": errors,
        "errors_by": told[-1]["errors_by"],
        "hurried_share": max(each["hurried_share"] for each in told),
        "generator_kept_up": all(each["generator"]["kept_up"] for each in told),
    }
    short = ground.disturbance()
    hurried = max(each["hurried_share"] for each in told)
    if hurried > SHED_SHARE:
        p99s, short = [float("nan")], f"{hurried:.1%} of placements were answered by a fallback in a hurry; {short}"
    if errors:
        p99s, short = [float("nan")], f"{errors} errors: {told[-1]['errors_by']}"
    aimed = [float(each["latency_ms"]["p99.9"] or "nan") for each in told]
    return judge("P3", what, BOUND, p99s, short=short, aimed=aimed, detail=detail)
