"""P2: a full decision among a hundred candidates against generic servers that only score the same model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from figures.closed_loop import peak
from figures.figure import Bound, Measured, judge, not_measured
from figures.floors import CONNECTIONS
from figures.ground import Ground
from figures.peers import PEERS, Peer, Rival

from edgewise.errors import UnavailableError

BOUND: Final = Bound(3.5, 5.0, "x", at_least=True)
WHAT: Final = "throughput / that of the best generic model server on the same trees, 100 candidates, one core"


def measure(ground: Ground) -> Measured:
    """Our peak against the best of the peers, each with one core; what does not install says why."""
    if ground.peers is None:
        return Measured([not_measured("P2", WHAT, BOUND, "no folder of peers: name one by --peers")])
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    found: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for peer in PEERS:
        try:
            found[peer.name] = _rates(ground, peer, ground.peers, Path(home) / "edgewise" / "peers")
        except UnavailableError as why:
            missing[peer.name] = str(why)
            ground.terminal.note(f"{peer.name}: {why}")
    if not found:
        why = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        return Measured([not_measured("P2", WHAT, BOUND, f"no peer runs here: {why}")])
    best = max(found, key=lambda name: max(found[name]))
    ratios = [run.decided / max(found[best]) for run in ground.standing.runs]
    detail = {
        "decisions_per_s": [round(run.decided) for run in ground.standing.runs],
        "peers_per_s": {name: [round(rate) for rate in rates] for name, rates in found.items()},
        "best": best,
        "missing": missing,
    }
    short = f"the best peer, {best}, scores {max(found[best]):,.0f}/s, and we decide {ground.standing.peak:,.0f}/s"
    return Measured([judge("P2", WHAT, BOUND, ratios, short=short, detail=detail)])


def _rates(ground: Ground, peer: Peer, programs: Path, cache: Path) -> list[float]:
    stage = ground.stage
    rival = Rival(peer, programs, stage, cache)
    with rival.serving() as url:
        return [
            peak(
                url,
                [rival.request(url)],
                connections=CONNECTIONS,
                seconds=stage.effort.window_s,
                warm_up_s=stage.effort.warm_up_s,
            ).rate
            for _ in range(stage.effort.runs)
        ]
