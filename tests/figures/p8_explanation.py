"""P8: what an explanation of one shown item costs the node, asked for and not asked for in turn."""

from __future__ import annotations

from statistics import median
from typing import Any, Final

from figures import shop
from figures.figure import Bound, Measured, judge
from figures.ground import Ground
from hub.prove.caller import Caller

BOUND: Final = Bound(1.10, 1.05, "x")
WHAT: Final = "server time of a decision with the explanation of one shown item / without"
PAIRS: Final = 1_500
QUICK_PAIRS: Final = 400


def measure(ground: Ground) -> Measured:
    """Medians of the time inside the node (`tookMs`) of decisions by turns."""
    stage = ground.stage
    pairs = QUICK_PAIRS if stage.effort.is_quick else PAIRS
    ratios, detail = [], []
    with stage.node(bundle=ground.bundle) as node, Caller(node.url, shop.WRITE_KEY) as caller:
        stage.peak(node.url, ground.mix)  # known visitors, and a warm node
        for _ in range(stage.effort.runs):
            took_ms: dict[bool, list[float]] = {False: [], True: []}
            for turn in range(2 * pairs):
                explain = turn % 2 == 1
                took_ms[explain].append(_took_ms(caller, turn // 2, explain=explain))
            off, on = median(took_ms[False]), median(took_ms[True])
            ratios.append(on / off)
            detail.append({"off_ms": round(off, 4), "on_ms": round(on, 4)})
    short = f"{1_000 * (detail[-1]['on_ms'] - detail[-1]['off_ms']):.0f} us for the attribution model and its words"
    return Measured([judge("P8", WHAT, BOUND, ratios, short=short, detail={"runs": detail, "pairs": pairs})])


def _took_ms(caller: Caller, number: int, *, explain: bool) -> float:
    said: dict[str, Any] = {
        "anonymousId": f"known-{number % 500:08d}",
        "placements": [{"name": shop.HERO, "count": 1}],
        "options": {"explain": explain},
    }
    answer = caller.post("/v1/decide", said)
    assert bool(answer["placements"][shop.HERO]["items"][0]["why"]) == explain, answer
    return float(answer["tookMs"])
