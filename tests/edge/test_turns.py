"""How long requests have waited in the kernel: told by the loop's turns. The loop is played by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from edge.worker.turns import STARVED, Turns


class Loop:
    """A loop whose turns the test makes."""

    def __init__(self) -> None:
        self.ready: list[Callable[[], None]] = []
        self.now_ms = 0.0
        self.spent_ms = 0.0
        self.noted: list[float] = []
        self.turns = Turns(cast("asyncio.AbstractEventLoop", self), lambda: self.now_ms, lambda: self.spent_ms)

    def call_soon(self, callback: Callable[[], None], *_: Any) -> None:
        self.ready.append(callback)

    def poll(self, *, reads: int) -> None:
        for _ in range(reads):
            self.turns.read(lambda waited_ms, _now_ms: self.noted.append(waited_ms))
            self.turns.take()

    def answer(self, *, work_ms: float, stolen_ms: float = 0.0) -> None:
        """What is ready runs; answering takes its time."""
        ready, self.ready = self.ready, []
        for callback in ready:
            callback()
        self.spent_ms += work_ms
        self.now_ms += work_ms + stolen_ms


def test_who_comes_to_a_resting_loop_has_not_waited() -> None:
    loop = Loop()
    for _ in range(5):
        loop.poll(reads=1)
        loop.answer(work_ms=0.5)
        loop.poll(reads=0)  # nothing new: the loop will sleep in its next poll
        loop.answer(work_ms=0.0)
        assert loop.ready == []
        loop.now_ms += 100.0
    assert loop.noted == [0.0] * 5


def test_who_is_read_right_behind_a_turn_has_waited_for_half_of_it() -> None:
    loop = Loop()
    loop.poll(reads=3)
    loop.answer(work_ms=4.0)
    loop.poll(reads=2)
    assert loop.noted == [0.0, 2.0]
    assert loop.turns.waited_ms == 2.0
    loop.answer(work_ms=1.0)
    loop.poll(reads=1)
    assert loop.noted == [0.0, 2.0, 0.5], "once a turn, however many are read"


def test_time_that_the_machine_gave_to_others_counts_up_to_as_much_as_ours() -> None:
    loop = Loop()
    loop.poll(reads=1)
    loop.answer(work_ms=2.0, stolen_ms=1.0)
    loop.poll(reads=1)
    loop.answer(work_ms=2.0, stolen_ms=90.0)
    loop.poll(reads=1)
    assert loop.noted == [0.0, 1.5, STARVED * 2.0 / 2]


def test_the_wait_to_come_grows_with_what_was_read_before() -> None:
    loop = Loop()
    for _ in range(100):
        loop.poll(reads=10)
        loop.answer(work_ms=5.0)
    loop.poll(reads=4)
    assert loop.turns.wait_ms == pytest.approx(5.0 / 2 + 4 * 0.5, rel=0.01)
