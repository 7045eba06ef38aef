"""Where figures are measured: nodes, hubs and load as processes of their own, on cores of their own.

`cores` says which. The whole family of a node shares one: supervisor, agent, worker, and the trial of a new bundle.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from processes import Started, ask, edgewise, until

from edge.bench.http1 import parse_target
from edge.bench.mix import load_mix
from edge.bench.visits import Visits
from edgewise.errors import MALFORMED, UnavailableError
from figures import closed_loop, shop
from figures.cores import Cores, on_core, on_cores
from figures.processor import Meter
from hub.keys import make_keys
from hub.processes import last_words
from hub.prove.load import Load
from hub.release.bundle import BuiltBundle
from hub.release.candidates import write_bundle
from hub.release.repository import Repository

PREPARED: Final = 4_000
"""Requests made ahead for a closed loop."""
PATIENCE_S: Final = 240.0
SOME: Final = 100
"""Decisions; a load tries a few by itself before it begins."""
PATIENT: Final = ("queue_delay_target_ms", "queue_delay_most_ms")
"""Settings by which a node sheds work."""
PATIENCE_MS: Final = 10_000.0
START_S: Final = 60.0
"""Until a node serves what it was given."""


class Effort(NamedTuple):
    """How long everything takes."""

    runs: int
    window_s: float
    """Of one measurement."""
    warm_up_s: float
    step_s: float
    """Of the search for the knee."""
    clicks: int
    is_quick: bool


FULL: Final = Effort(runs=3, window_s=4.0, warm_up_s=1.0, step_s=2.0, clicks=1_000, is_quick=False)
QUICK: Final = Effort(runs=1, window_s=1.5, warm_up_s=0.5, step_s=0.8, clicks=60, is_quick=True)


class Node(NamedTuple):
    """An edge node that runs."""

    url: str
    data_dir: Path
    started: Started

    def status(self) -> Any:
        """What `/status` says."""
        return ask(f"{self.url}/status")

    def wait_for(self, version: int) -> None:
        """Wait until it serves a bundle of that version.

        Raises:
            TimeoutError: it did not in time.
        """
        until(lambda: self.status()["bundle"]["version"] == version, most_s=START_S)

    def wait_for_load(self) -> None:
        """Wait until requests arrive: what is done to the node next happens under load.

        Raises:
            TimeoutError: none did in time.
        """
        before = self.decisions()
        until(lambda: self.decisions() > before + SOME, most_s=START_S)

    def decisions(self) -> int:
        """How many its workers have made."""
        return sum(int(worker["decisions"]) for worker in self.status()["workers"])

    def worker_pid(self) -> int:
        """Of its first worker."""
        return int(next(worker["pid"] for worker in self.status()["workers"] if worker["pid"]))


class Hub(NamedTuple):
    """A hub that runs."""

    address: str
    admin: str
    """URL."""
    data_dir: Path
    started: Started


class Stage:
    """Starts processes below a folder, and asks what they can do."""

    def __init__(self, folder: Path, cores: Cores, effort: Effort) -> None:
        self.folder = folder
        self.cores = cores
        self.effort = effort
        self._made = 0

    def fresh(self, name: str) -> Path:
        """A path that nothing uses yet."""
        self._made += 1
        return self.folder / f"{self._made:03d}-{name}"

    # --- processes ----------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def node(
        self,
        *,
        bundle: Path | None = None,
        hub: str | None = None,
        workers: int = 1,
        is_pinned: bool = True,
        is_patient: bool = False,
    ) -> Iterator[Node]:
        """A node on the server's core, or on all; without a bundle and a hub it has the starter bundle.

        A patient one sheds no work however long requests wait: for throughput of decisions, which fallbacks are not.
        """
        data_dir = self.fresh("node")
        words = ["edge", "serve", "--port", "0", "--workers", str(workers), "--data-dir", str(data_dir)]
        words += ["--bundle", str(bundle)] if bundle else []
        words += ["--hub", hub] if hub else []
        if is_patient:
            config = self.fresh("patient.toml")
            config.write_text("".join(f"{name} = {PATIENCE_MS}\n" for name in PATIENT), "utf-8")
            words += ["--config", str(config)]
        with self._running({self.cores.server} if is_pinned else self.cores.every, words) as started:
            yield Node(started.said["url"], data_dir, started)

    @contextlib.contextmanager
    def hub(self, data_dir: Path, *, is_pinned: bool = True) -> Iterator[Hub]:
        """A hub of a data folder, on the hub's core or on all."""
        words = ["hub", "serve", "--data-dir", str(data_dir), "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        with self._running({self.cores.hub} if is_pinned else self.cores.every, words) as started:
            yield Hub(started.said["hub"], started.said["admin"], data_dir, started)

    @contextlib.contextmanager
    def _running(self, cores: set[int], words: Sequence[str]) -> Iterator[Started]:
        with contextlib.ExitStack() as stack:
            log = self.fresh("log")
            try:
                with on_cores(cores):
                    started = stack.enter_context(edgewise(*words, log=log))
            except (TimeoutError, AssertionError) as silent:  # ended, or has not said yet where it answers
                last = last_words(log.read_bytes())
                raise UnavailableError(f"`edgewise {words[0]} {words[1]}` did not start in time: {last}") from silent
            yield started

    def released(self, built: BuiltBundle) -> Path:
        """A hub's data folder in which a bundle is signed and assigned to all nodes."""
        data_dir = self.fresh("hub")
        make_keys(data_dir)
        repository = Repository(data_dir)
        repository.create(shop.SITE)
        release(data_dir, built)
        return data_dir

    def bundle(self, built: BuiltBundle) -> Path:
        """A folder for `--bundle`."""
        folder = self.fresh("bundle")
        write_bundle(folder, built)
        return folder

    # --- load ---------------------------------------------------------------------------------------------------------
    def load(self, node: str, *words: str, mix: Path) -> dict[str, Any]:
        """What `edgewise bench` measures from the load's core.

        Raises:
            UnavailableError: it could not, in its own words.
        """
        with self.loading(node, *words, mix=mix) as running:
            return finished(running)

    @contextlib.contextmanager
    def loading(self, node: str, *words: str, mix: Path) -> Iterator[Load]:
        """`edgewise bench`, while something else happens; `finished` waits for what it measures."""
        with on_core(self.cores.load):
            running = Load(node, "--profile", str(mix), "--write-key", shop.WRITE_KEY, *words)
        try:
            yield running
        finally:
            running.end()

    def open_loop(
        self, node: str, rate: float, *, mix: Path, seconds: float | None = None, connections: int = 50
    ) -> dict[str, Any]:
        """A steady open loop: what `edgewise bench` tells."""
        return self.load(node, *self.steady(rate, seconds=seconds, connections=connections), mix=mix)

    def steady(self, rate: float, *, seconds: float | None = None, connections: int = 50) -> list[str]:
        """The words of a steady open loop."""
        words = {"--rate": rate, "--duration": seconds or self.effort.window_s, "--warm-up": self.effort.warm_up_s}
        return [str(part) for pair in {**words, "--connections": connections}.items() for part in pair]

    def peak(
        self,
        node: str,
        mix: Path,
        *,
        connections: int = 4,
        seconds: float | None = None,
        is_primed: bool = False,
        write_key: str = shop.WRITE_KEY,
        meter: Meter = lambda: math.nan,
    ) -> closed_loop.Peak:
        """The most that a node answers, of what a mix asks, after its visitors' history was told."""
        target = parse_target(node)
        visits = Visits(
            load_mix(str(mix)), target, np.random.default_rng(1), run=os.urandom(6).hex(), write_key=write_key
        )
        if not is_primed:
            closed_loop.send_all(node, [told.data for told in visits.history()])
        requests = [visits.next().data for _ in range(PREPARED)]
        return closed_loop.peak(
            node,
            requests,
            connections=connections,
            seconds=seconds or self.effort.window_s,
            warm_up_s=self.effort.warm_up_s,
            meter=meter,
        )

    def knee(self, node: str, mix: Path, peak: float) -> tuple[float, str]:
        """The highest rate that holds below 10 ms (p99), and a note where the machine did not let it be found.

        A disturbed machine breaks low rates, too; a share of the peak then stands in, and the note says so.
        """
        words = ["--find-knee", "--duration", str(self.effort.step_s), "--warm-up", str(self.effort.warm_up_s)]
        words += ["--knee-start", str(peak / 2), "--knee-least", str(KNEE_SHARE * peak / 2)]
        told = self.load(node, *words, mix=mix)
        rate = told["knee"]["rate"] or 0.0
        if rate >= KNEE_SHARE * peak:
            return rate, ""
        found = f"the knee was found at {rate:,.0f}/s only" if rate else "no rate held"
        return STAND_IN * peak, f"{found} ({told['knee']['broken_by']}): {STAND_IN:.0%} of the peak stands in"


KNEE_SHARE: Final = 0.4
"""Of the peak: a knee below it is the machine's, not the node's."""
STAND_IN: Final = 0.7


def finished(running: Load) -> dict[str, Any]:
    """What a load has measured, once it ends; that a threshold was crossed, or the generator late, is told in it.

    Raises:
        UnavailableError: it measured nothing, with its last words, or did not end in time.
    """
    output = running.output(PATIENCE_S)
    try:
        told: dict[str, Any] = json.loads(output.told)
    except MALFORMED:
        told = {}
    if "latency_ms" not in told:
        raise output.failed()
    return told


def release(data_dir: Path, built: BuiltBundle) -> None:
    """Sign a bundle and assign it to all nodes; a hub that runs tells them."""
    repository = Repository(data_dir)
    repository.publish_release(built.manifest_bytes, built.resources)
    repository.assign(built.manifest.version)
