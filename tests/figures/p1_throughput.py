"""P1: full decisions of one core against what the two floors of the same run allow.

Both sides are counted in processor time: a worker that is asked as fast as it can answer makes as many decisions a
second as its core has time for, and what else runs on the machine is in neither side. Rates by the clock stand beside.
"""

from __future__ import annotations

import math
from typing import Final

from figures.figure import Bound, Measured, judge
from figures.ground import ALONE, SHED_SHARE, Ground

BOUND: Final = Bound(0.75, 0.90, "x", at_least=True)
WHAT: Final = "full decision over HTTP, 100 candidates x 100 trees: throughput / what HTTP floor and model floor allow"


def measure(ground: Ground) -> Measured:
    """Floors and decision in turn, so that a slow minute of the machine slows both."""
    standing = ground.standing
    runs = standing.runs
    ratios = [(1 / run.decided.cpu_s) / run.floors.rate for run in runs]
    last = runs[-1]
    http_us, model_us, whole_us = (1e6 * s for s in (last.http.cpu_s, last.model_s, last.decided.cpu_s))
    short = (
        f"{whole_us:.0f} us a decision: HTTP floor {http_us:.0f}, model floor {model_us:.0f}, "
        f"and {whole_us - http_us - model_us:.0f} us for profile, features, policy, exposure and answer"
    )
    if standing.core_share < ALONE:
        short += f"; the worker had {standing.core_share:.0%} of its core, so its caches were shared as well"
    shed = max(run.decided.degraded_share for run in runs)
    if shed > SHED_SHARE:
        ratios, short = (
            [math.nan],
            f"{shed:.1%} of the answers were fallbacks, which are cheaper than decisions; {short}",
        )
    detail = {
        "http_floor_us": [round(1e6 * run.http.cpu_s, 1) for run in runs],
        "model_floor_us": [round(1e6 * run.model_s, 1) for run in runs],
        "decision_us": [round(1e6 * run.decided.cpu_s, 1) for run in runs],
        "http_floor_per_s": [round(run.http.rate) for run in runs],
        "decisions_per_s": [round(run.decided.rate) for run in runs],
        "core_share": [round(run.decided.core_share, 3) for run in runs],
        "answered_by_a_fallback": [run.decided.degraded for run in runs],
    }
    return Measured([judge("P1", WHAT, BOUND, ratios, short=short, detail=detail)])
