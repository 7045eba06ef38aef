"""P4: ten thousand open connections at half of the knee; and a flash sale on as many, in which an item sells out."""

from __future__ import annotations

import json
import time
from typing import Any, Final

from processes import until

from figures import mixes, shop
from figures.cores import on_core
from figures.figure import Bound, Measured, Row, judge, not_measured
from figures.ground import Ground
from figures.stage import Hub, Node, finished
from hub.prove.scenarios.flash_sale import facts_version, hottest, sell_out

CONNECTIONS: Final = 10_000
SHARE: Final = 0.5
"""Of the knee, in the steady part."""
ERRORS: Final = Bound(0.0, 0.0, "errors")
LATENCY: Final = Bound(10.0, 10.0, "ms", aim_of="p99.9")
SOLD_OUT: Final = Bound(1.0, 0.25, "s")
SALE: Final = "flash sale, a step to the knee, 80 % new visitors, 10,000 connections"
LAST_OFFER: Final = f"{SALE}: last offer of the item after its stock of 0 arrived at the node"
SALE_S: Final = 10.0
LEFT_S: Final = 2.0
"""Of the sale, when the fact arrives: long enough for an offer that must not be."""
CALM: Final = 0.2
"""Of the burst's rate, in the first and the last fifth."""


def measure(ground: Ground) -> Measured:
    """Steady, then the sale."""
    return Measured([*_steady(ground), *_sale(ground)])


def _steady(ground: Ground) -> list[Row]:
    stage, rate = ground.stage, SHARE * ground.standing.knee
    with stage.node(bundle=ground.bundle) as node:
        told = [
            stage.open_loop(node.url, rate, mix=ground.mix, connections=CONNECTIONS) for _ in range(stage.effort.runs)
        ]
    detail = _detail(told)
    what = f"{CONNECTIONS:,} open connections at 50 % of the knee"
    return [
        judge("P4", f"{what}: errors", ERRORS, [each["errors"] for each in told], short=_errors(told), detail=detail),
        _latency(ground, f"{what}: p99", told),
    ]


def _sale(ground: Ground) -> list[Row]:
    stage = ground.stage
    mix = mixes.write_mix(stage.folder, "sale", visitors={"new": 0.8}, shape=[(1, CALM), (3, 1.0), (1, CALM)])
    data_dir = stage.released(shop.build())
    with stage.hub(data_dir) as hub, stage.node(hub=hub.address) as node:
        node.wait_for(1)
        hot = hottest(node.url, shop.WRITE_KEY)
        words = stage.steady(ground.standing.knee, seconds=SALE_S, connections=CONNECTIONS)
        with stage.loading(node.url, *words, "--watch-item", hot, mix=mix) as running:
            node.wait_for_load()
            arrived_s, why = _sell_out(ground, hub, node, hot)
            told = finished(running)
        ended_s = time.time()  # noqa: TID251  # the load tells Unix time, too
    rows = [
        judge("P4", f"{SALE}: errors", ERRORS, [told["errors"]], short=_errors([told]), detail=_detail([told])),
        _latency(ground, f"{SALE}: p99", [told]),
    ]
    watched = told["watched"]
    if arrived_s is not None and ended_s - arrived_s < LEFT_S:
        why = f"the fact arrived {ended_s - arrived_s:.1f} s before the sale was over, too late to be missed"
    elif not watched["offers"]:
        why = f"{hot} was never offered, so nothing could sell out"
    if why or arrived_s is None:
        return [*rows, not_measured("P4", LAST_OFFER, SOLD_OUT, why)]
    late_s = watched["last_ms"] / 1_000 - arrived_s
    detail = {"item": hot, "offers": watched["offers"], "seconds_behind_arrival": round(late_s, 3)}
    short = f"{hot} was still offered {late_s:.2f} s after the fact had arrived"
    return [*rows, judge("P4", LAST_OFFER, SOLD_OUT, [max(0.0, late_s)], short=short, detail=detail)]


def _latency(ground: Ground, what: str, told: list[dict[str, Any]]) -> Row:
    p99s, aimed = ([float(each["latency_ms"][share] or "nan") for each in told] for share in ("p99", "p99.9"))
    return judge("P4", what, LATENCY, p99s, short=ground.disturbance(), aimed=aimed)


def _sell_out(ground: Ground, hub: Hub, node: Node, item: str) -> tuple[float | None, str]:
    """Set the item's stock to 0 at the hub; when `/status` said so at the node (Unix time), or why it never did."""
    before = facts_version(node.status())
    with on_core(ground.stage.cores.hub):
        sell_out(hub.data_dir, item)
    try:
        until(lambda: facts_version(node.status()) > before, most_s=SALE_S)
    except TimeoutError:
        return None, f"no live fact arrived at the node within {SALE_S:g} s"
    return time.time(), ""  # noqa: TID251  # the load tells Unix time, too


def _detail(told: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "rate_per_s": round(told[0]["rate"]),
        "p99_9_ms": [each["latency_ms"]["p99.9"] for each in told],
        "errors_by": told[-1]["errors_by"],
        "hurried_share": max(each["hurried_share"] for each in told),
        "generator_kept_up": all(each["generator"]["kept_up"] for each in told),
        "reopened_connections": [each["generator"]["reopened_connections"] for each in told],
    }


def _errors(told: list[dict[str, Any]]) -> str:
    return json.dumps(told[-1]["errors_by"])
