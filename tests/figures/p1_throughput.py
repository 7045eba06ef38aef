"""P1: full decisions a second against what the two floors of the same run allow."""

from __future__ import annotations

from typing import Final

from figures.figure import Bound, Measured, judge
from figures.ground import Ground

BOUND: Final = Bound(0.75, 0.90, "x", at_least=True)
WHAT: Final = "full decision over HTTP, 100 candidates x 100 trees: throughput / what HTTP floor and model floor allow"


def measure(ground: Ground) -> Measured:
    """Floors and decision in turn, so that a slow minute of the machine slows both."""
    runs = ground.standing.runs
    ratios = [run.decided / run.floors.rate for run in runs]
    last = runs[-1]
    http_us, model_us, whole_us = (1e6 * s for s in (last.floors.http_s, last.floors.model_s, 1 / last.decided))
    short = (
        f"{whole_us:.0f} us a decision: HTTP floor {http_us:.0f}, model floor {model_us:.0f}, "
        f"and {whole_us - http_us - model_us:.0f} us for profile, features, policy, exposure and answer"
    )
    detail = {
        "http_floor_per_s": [round(1 / run.floors.http_s) for run in runs],
        "model_floor_us": [round(1e6 * run.floors.model_s, 1) for run in runs],
        "decisions_per_s": [round(run.decided) for run in runs],
        "answered_by_a_fallback": [run.degraded for run in runs],
    }
    return Measured([judge("P1", WHAT, BOUND, ratios, short=short, detail=detail)])
