"""P2: a full decision among a hundred candidates against generic servers that only score the same model.

In processor time of a core, as P1; rates by the clock are told beside.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from statistics import median
from typing import Final

from edgewise.errors import UnavailableError
from figures.closed_loop import Peak, peak
from figures.figure import Bound, Measured, judge, not_measured
from figures.floors import CONNECTIONS
from figures.ground import SHED_SHARE, Ground
from figures.peers import PEERS, Peer, Rival

BOUND: Final = Bound(3.5, 5.0, "x", at_least=True)
WHAT: Final = "throughput / that of the best generic model server on the same trees, 100 candidates, one core"


def measure(ground: Ground) -> Measured:
    """Our peak against the best of the peers, each with one core; what does not install says why."""
    if ground.peers is None:
        return Measured([not_measured("P2", WHAT, BOUND, "no folder of peers: name one by --peers")])
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    found: dict[str, list[Peak]] = {}
    missing: dict[str, str] = {}
    for peer in PEERS:
        try:
            found[peer.name] = _peaks(ground, peer, ground.peers, Path(home) / "edgewise" / "peers")
        except UnavailableError as why:
            missing[peer.name] = str(why)
            ground.terminal.note(f"{peer.name}: {why}")
    if not found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        return Measured([not_measured("P2", WHAT, BOUND, f"no peer runs here: {reasons}")])
    cost_s = {name: median(each.cpu_s for each in peaks) for name, peaks in found.items()}
    best = min(cost_s, key=lambda name: cost_s[name])
    ours = [run.decided for run in ground.standing.runs]
    detail = {
        "decision_us": [round(1e6 * each.cpu_s) for each in ours],
        "decisions_per_s": [round(each.rate) for each in ours],
        "peers_us": {name: [round(1e6 * each.cpu_s) for each in peaks] for name, peaks in found.items()},
        "peers_per_s": {name: [round(each.rate) for each in peaks] for name, peaks in found.items()},
        "best": best,
        "missing": missing,
    }
    shed = max(each.degraded_share for each in ours)
    ratios = [math.nan if shed > SHED_SHARE else cost_s[best] / each.cpu_s for each in ours]
    short = (
        f"the best peer, {best}, scores for {1e6 * cost_s[best]:.0f} us, we decide for {1e6 * ours[-1].cpu_s:.0f} us"
    )
    if shed > SHED_SHARE:
        short = f"{shed:.1%} of our answers were fallbacks, which are cheaper than decisions; {short}"
    return Measured([judge("P2", WHAT, BOUND, ratios, short=short, detail=detail)])


def _peaks(ground: Ground, peer: Peer, programs: Path, cache: Path) -> list[Peak]:
    stage = ground.stage
    rival = Rival(peer, programs, stage, cache)
    with rival.serving() as (url, meter):
        return [
            peak(
                url,
                [rival.request(url)],
                connections=CONNECTIONS,
                seconds=stage.effort.window_s,
                warm_up_s=stage.effort.warm_up_s,
                meter=meter,
            )
            for _ in range(stage.effort.runs)
        ]
