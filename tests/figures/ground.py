"""What several figures stand on, measured or made once: the shop's bundle, the floors, the peak and the knee."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from statistics import median
from typing import NamedTuple

from figures import floors, shop
from figures.stage import Stage

from edgewise.terminal import Terminal


class Throughput(NamedTuple):
    """One run: the floors, and right after them the decision."""

    floors: floors.Floors
    decided: float
    """Full decisions a second of one worker."""
    degraded: int


class Standing(NamedTuple):
    """What a node with the standard shop can do."""

    runs: list[Throughput]
    knee: float
    knee_note: str
    bare_p99_ms: float
    """Of the bare route, open loop at 60 % of the knee: what this machine adds by itself."""

    @property
    def peak(self) -> float:
        """Decisions a second, median of the runs."""
        return median(run.decided for run in self.runs)


class Ground:
    """Kept for the whole run."""

    def __init__(self, stage: Stage, terminal: Terminal, peers: Path | None) -> None:
        self.stage = stage
        self.terminal = terminal
        self.peers = peers
        """The folder that knows how generic model servers are set up; None: there is none."""

    @cached_property
    def bundle(self) -> Path:
        """The standard shop, for `--bundle`."""
        return self.stage.bundle(shop.build())

    @cached_property
    def mix(self) -> Path:
        """Four of five visitors are known and have touched twenty items."""
        return shop.write_mix(self.stage.folder, "hero")

    @cached_property
    def standing(self) -> Standing:
        """Peak and knee, the floors in turn with them."""
        stage, runs = self.stage, []
        with floors.bare_route(stage) as bare, stage.node(bundle=self.bundle) as node:
            for run in range(stage.effort.runs):
                measured = floors.Floors(floors.http_floor_s(stage, bare), floors.model_floor_s(stage))
                found = stage.peak(node.url, self.mix, is_primed=run > 0)
                runs.append(Throughput(measured, found.rate, found.degraded))
            peak = median(run.decided for run in runs)
            knee, note = stage.knee(node.url, self.mix, peak)
            strangers = shop.write_mix(stage.folder, "bare", visitors={"history": 0})
            bare_p99_ms = stage.open_loop(bare, 0.6 * knee, mix=strangers)["latency_ms"]["p99"]
        if note:
            self.terminal.note(note)
        return Standing(runs, knee, note, bare_p99_ms)

    def disturbance(self) -> str:
        """How much of a latency is this machine's own, for reasons."""
        standing = self.standing
        told = f"in the same run the bare route alone had a p99 of {standing.bare_p99_ms:.1f} ms at that rate"
        return f"{told}; {standing.knee_note}" if standing.knee_note else told
