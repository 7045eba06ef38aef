"""Workers that crash: two within a minute, and the profile cache is left behind."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from agent_world import log

from edge.probation import PROBATION_MS, CacheProbation
from edge.profiles.generation import generation_of
from edgewise.clock import ManualClock


@pytest.mark.parametrize(
    ("ends", "generation"),
    [
        ([(0, -signal.SIGSEGV)], 0),
        ([(0, -signal.SIGSEGV), (PROBATION_MS, -signal.SIGBUS)], 1),
        ([(0, -signal.SIGSEGV), (PROBATION_MS + 1, -signal.SIGBUS)], 0),
        ([(0, -signal.SIGKILL), (1, -signal.SIGKILL), (2, 1)], 0),
        ([(0, -signal.SIGABRT), (1, -signal.SIGKILL), (2, -signal.SIGABRT), (3, -signal.SIGABRT)], 1),
        ([(number, -signal.SIGSEGV) for number in range(4)], 2),
    ],
)
def test_a_cache_over_which_workers_crash_is_left_behind(
    tmp_path: Path, ends: list[tuple[int, int]], generation: int
) -> None:
    clock = ManualClock(0)
    probation = CacheProbation(tmp_path, clock=clock, log=log("critical"))
    at_ms = 0
    for when_ms, code in ends:
        clock.advance(when_ms - at_ms)
        at_ms = when_ms
        probation.ended(code)
    assert generation_of(tmp_path) == generation
