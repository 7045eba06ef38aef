"""What several figures stand on, measured or made once: the shop's bundle, the floors, the peak and the knee."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from edgewise.terminal import Terminal
from figures import floors, mixes, shop
from figures.closed_loop import Peak
from figures.processor import meter_of
from figures.stage import Stage

ALONE: Final = 0.9
"""A server that has less of its core, while it is asked for more than it can do, is not alone on it."""
SHED_SHARE: Final = 0.02
"""A run with more fallbacks measures them and not decisions."""


class Throughput(NamedTuple):
    """One run: the floors, and right after them the decision."""

    http: Peak
    model_s: float
    decided: Peak

    @property
    def floors(self) -> floors.Floors:
        """What the decision cannot be cheaper than."""
        return floors.Floors(self.http.cpu_s, self.model_s)


class Standing(NamedTuple):
    """What a node with the standard shop can do."""

    runs: list[Throughput]
    knee: float
    knee_note: str
    bare_p99_ms: float
    """Of the bare route, open loop at 60 % of the knee: what this machine adds by itself."""

    @property
    def peak(self) -> float:
        """Decisions a second of one worker, median of the runs."""
        return median(run.decided.rate for run in self.runs)

    @property
    def core_share(self) -> float:
        """How much of its core the worker had while it was asked as fast as it could answer; 1 if it is alone."""
        return median(run.decided.core_share for run in self.runs)


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
        return mixes.write_mix(self.stage.folder, "hero")

    @cached_property
    def standing(self) -> Standing:
        """Peak and knee, the floors in turn with them."""
        stage, runs = self.stage, []
        with floors.bare_route(stage) as bare:
            with stage.node(bundle=self.bundle, is_patient=True) as node:
                meter = meter_of(node.worker_pid())
                for run in range(stage.effort.runs):
                    http, model_s = floors.http_floor(stage, bare), floors.model_floor_s(stage)
                    decided = stage.peak(node.url, self.mix, is_primed=run > 0, meter=meter)
                    runs.append(Throughput(http, model_s, decided))
            peak = median(run.decided.rate for run in runs)
            with stage.node(bundle=self.bundle) as node:
                knee, note = stage.knee(node.url, self.mix, peak)
            strangers = mixes.write_mix(stage.folder, "bare", visitors={"history": 0})
            bare_p99_ms = stage.open_loop(bare.url, 0.6 * knee, mix=strangers)["latency_ms"]["p99"]
        if note:
            self.terminal.note(note)
        return Standing(runs, knee, note, bare_p99_ms)

    def disturbance(self) -> str:
        """How much of a latency is this machine's own, for reasons."""
        standing = self.standing
        told = f"in the same run the bare route had a p99 of {standing.bare_p99_ms:.1f} ms at 60 % of the knee"
        if standing.core_share < ALONE:
            told += f", and the worker had only {standing.core_share:.0%} of its core: others ran on it"
        return f"{told}; {standing.knee_note}" if standing.knee_note else told
