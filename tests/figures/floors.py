"""What no decision can be cheaper than: HTTP floor and model floor, measured in the same run as the decision."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.scoring.scorer import OnnxScorer
from figures import shop, trees
from figures.closed_loop import Peak, peak, post
from figures.cores import on_core
from figures.processor import meter_of
from figures.shop import STANDARD
from figures.stage import Stage

BLOCKS: Final = 50
"""Blocks of candidates that are scored in turn: one and the same would be learned by the processor."""
QUESTION: Final = b'{"anonymousId":"known-00000001","placements":[{"name":"home_hero"}]}'
CONNECTIONS: Final = 4
"""Enough that a server never waits for a question; few, so that no queue grows in which a node would shed work."""


Work = Callable[[int], object]
"""Is told its turn."""


class Floors(NamedTuple):
    """Seconds of processor time for one request."""

    http_s: float
    model_s: float

    @property
    def rate(self) -> float:
        """Requests a second of a core that pays for nothing else."""
        return 1.0 / (self.http_s + self.model_s)


class Bare(NamedTuple):
    """The bare route, running."""

    url: str
    pid: int


@contextlib.contextmanager
def bare_route(stage: Stage) -> Iterator[Bare]:
    """The bare route, on the server's core."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with on_core(stage.cores.server):
        process = subprocess.Popen(
            [sys.executable, "-m", "figures.floor_server"], stdout=subprocess.PIPE, env=environment
        )
    try:
        assert process.stdout is not None
        yield Bare(json.loads(process.stdout.readline())["url"], process.pid)
    finally:
        process.terminate()
        process.communicate()


def http_floor(stage: Stage, bare: Bare) -> Peak:
    """What the bare route answers, and what that costs its core."""
    url = f"{bare.url}/v1/decide"
    effort = stage.effort
    asked = post(url, QUESTION, write_key=shop.WRITE_KEY)
    return peak(
        url,
        [asked],
        connections=CONNECTIONS,
        seconds=effort.window_s,
        warm_up_s=effort.warm_up_s,
        meter=meter_of(bare.pid),
    )


def model_floor_s(stage: Stage) -> float:
    """What the model alone costs for a hundred candidates, on the server's core."""
    model = trees.model(STANDARD.trees).model
    assert model is not None
    scorer, blocks = OnnxScorer(model), blocks_of(STANDARD.candidates)
    with on_core(stage.cores.server):
        return seconds_each(lambda turn: scorer.score(blocks[turn % BLOCKS]), stage.effort.window_s / 2)


def blocks_of(candidates: int) -> list[NDArray[np.float32]]:
    """Feature rows of simulated visitors, `candidates` at a time."""
    matrix = trees.training().matrix
    draw = np.random.default_rng(3)
    return [np.ascontiguousarray(matrix[draw.integers(len(matrix), size=candidates)]) for _ in range(BLOCKS)]


def seconds_each(work: Work, seconds: float) -> float:
    """Mean cost of a call in seconds of processor time, the first fifth left out as warm-up."""
    turn, began_s = 0, time.perf_counter()
    while time.perf_counter() - began_s < seconds / 5:
        work(turn)
        turn += 1
    first, used_s, began_s = turn, time.thread_time(), time.perf_counter()
    while time.perf_counter() - began_s < seconds or turn == first:
        work(turn)
        turn += 1
    return (time.thread_time() - used_s) / (turn - first)
