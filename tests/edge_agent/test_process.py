"""A process that ends is started again: sooner where it was of use, later and later where it never is."""

from __future__ import annotations

import asyncio
import os

import pytest
from agent_world import log, patiently

from edge.process import FIRST_PAUSE_MS, LONGEST_PAUSE_MS, HasWorked, Process, pause_after
from edge.testing.fake_hub import eventually
from edgewise.clock import SystemClock

ENDS_AT_ONCE = "edge.log"
"""A module that does nothing when it is run."""


def failures_after_each_end(has_worked: HasWorked, ends: int) -> list[int]:
    async def story() -> list[int]:
        counted: list[int] = []
        enough = asyncio.Event()
        process = Process("x", ENDS_AT_ONCE, [], clock=SystemClock(), log=log(), log_file=None, has_worked=has_worked)

        async def on_exit(code: int) -> None:
            assert code == 0
            counted.append(process.failures)
            if len(counted) == ends:
                enough.set()

        process.start(on_exit)
        await enough.wait()
        await process.stop(1_000)
        return counted[:ends]

    return patiently(story())


@pytest.mark.process
def test_an_end_without_any_work_is_a_failed_start_and_counts_on() -> None:
    assert failures_after_each_end(lambda _: False, 3) == [1, 2, 3]


@pytest.mark.process
def test_who_has_worked_did_not_fail_to_start_however_soon_it_ended() -> None:
    seen: set[int] = set()

    def has_worked(pid: int) -> bool:
        seen.add(pid)
        return True

    assert failures_after_each_end(has_worked, 3) == [1, 1, 1]
    assert len(seen) >= 3


@pytest.mark.process
def test_ctrl_c_does_not_reach_a_child_that_shares_processor_time_with_its_like_all_the_same() -> None:
    async def story() -> None:
        stays = ["0", "--bind", "127.0.0.1"]
        process = Process("x", "http.server", stays, clock=SystemClock(), log=log(), log_file=None)

        async def on_exit(_: int) -> None: ...

        process.start(on_exit)
        await eventually(lambda: process.pid is not None)
        assert process.pid is not None
        assert os.getpgid(process.pid) != os.getpgid(0)
        assert os.getsid(process.pid) == os.getsid(0)
        await process.stop(1_000)

    patiently(story())


def test_pauses_double_up_to_the_longest_however_often_it_fails() -> None:
    assert [pause_after(failures) for failures in (1, 2, 3)] == [FIRST_PAUSE_MS, 2 * FIRST_PAUSE_MS, 4 * FIRST_PAUSE_MS]
    assert {pause_after(failures) for failures in (20, 1_025, 10**6)} == {LONGEST_PAUSE_MS}
