"""Workers that crash: two within a minute, and the profile cache is left behind."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from agent_world import log

from edge.node.bundles import BundleStore
from edge.node.layout import NodePaths
from edge.probation import PROBATION_MS, CacheProbation, Probation
from edge.profiles.generation import generation_of
from edge.testing.small_bundle import small_bundle
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


@pytest.mark.parametrize("is_swapped", [False, True])
def test_a_bundle_is_suspected_if_workers_crash_after_its_swap_not_if_it_was_there_before(
    tmp_path: Path,
    is_swapped: bool,  # noqa: FBT001
) -> None:
    paths = NodePaths(tmp_path)
    paths.create()
    store, clock = BundleStore(paths), ManualClock(0)
    probation = Probation(store, clock=clock, log=log("critical"))
    digests = []
    for version in (1, 2):
        if version == 2 and is_swapped:
            probation.begin()
        bundle = small_bundle("shop", version=version)
        digests.append(store.stage(bundle.manifest_bytes, bundle.resources))
        store.activate(digests[-1])
    if not is_swapped:
        probation.begin()
    clock.advance(PROBATION_MS)
    for _ in range(2):
        clock.advance(PROBATION_MS // 3)
        probation.ended(-signal.SIGSEGV)
    assert store.current() == digests[0 if is_swapped else 1]
    assert (store.quarantined(digests[1]) is not None) is is_swapped
