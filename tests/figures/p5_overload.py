"""P5: five times as many visitors as the node can serve: how much of the peak stays, and what the others are told."""

from __future__ import annotations

from typing import Any, Final

from figures import mixes
from figures.figure import Bound, Measured, Row, judge
from figures.ground import Ground
from figures.stage import Node

TIMES: Final = 5.0
AIM_TIMES: Final = 10.0
"""What the aim asks for."""
GOODPUT: Final = Bound(0.90, 0.95, "x", at_least=True)
LATENCY: Final = Bound(10.0, 10.0, "ms")
UNDECLARED: Final = Bound(0.0, 0.0, "answers")
CONNECTIONS: Final = 2_000
"""More than wait at any time: visitors do not queue inside the generator."""
ALLOWED: Final = "status 503"


def measure(ground: Ground) -> Measured:
    """Goodput / peak, p99 of what was accepted, and everything that is neither an answer nor a declared 503."""
    stage, peak = ground.stage, ground.standing.peak
    mix = mixes.write_mix(stage.folder, "overload")
    with stage.node(bundle=ground.bundle) as node:
        told = {
            times: [_overload(ground, node, times * peak, mix) for _ in range(stage.effort.runs)]
            for times in ([TIMES] if stage.effort.is_quick else [TIMES, AIM_TIMES])
        }
    return Measured([row for times, each in told.items() for row in _rows(each, peak, times)])


def _overload(ground: Ground, node: Node, rate: float, mix: Any) -> dict[str, Any]:
    return ground.stage.open_loop(
        node.url, rate, mix=mix, seconds=ground.stage.effort.window_s, connections=CONNECTIONS
    )


def _rows(told: list[dict[str, Any]], peak: float, times: float) -> list[Row]:
    strange = [sum(n for kind, n in each["errors_by"].items() if kind != ALLOWED) for each in told]
    detail = {
        "offered_per_s": [each["offered"] for each in told],
        "goodput_per_s": [each["goodput"] for each in told],
        "peak_per_s": round(peak),
        "errors_by": told[-1]["errors_by"],
        "fallback_share": [round(each["fallback_share"], 4) for each in told],
        "generator_kept_up": all(each["generator"]["kept_up"] for each in told),
        "generator_ceiling_per_s": told[-1]["generator"]["ceiling"],
    }
    accepted = [float(each["by_kind_ms"].get("decide", {}).get("p99") or "nan") for each in told]
    goodput = [each["goodput"] / peak for each in told]
    said = ", ".join(f"{count:,} x {kind}" for kind, count in told[-1]["errors_by"].items()) or "no errors"
    return [
        judge("P5", f"{times:g} x overload, open loop: goodput / peak", GOODPUT, goodput, short=said, detail=detail),
        judge("P5", "the same: p99 of the accepted", LATENCY, accepted, short="accepted requests wait in a queue"),
        judge("P5", "the same: answers but 200 and a declared 503", UNDECLARED, strange, short=said),
    ]
