"""Simulated time: an event loop whose clock jumps to whatever comes next, and whose threads are steps of its own.

One seed, one history: nothing here looks at the machine's clock, and nothing runs beside the loop.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar

from fault_seeds import Random
from typing_extensions import override

from edgewise.clock import Clock

T = TypeVar("T")
START_MS = 1_700_000_000_000


class StuckError(Exception):
    """Everybody waits, and nothing is going to happen."""


class _Jumping(selectors.SelectSelector):
    """Waits for no socket: the time of the wait simply passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    @override
    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise StuckError("nothing is scheduled")
        self.now_s += max(timeout, 0.0)
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """What is run in an executor takes a drawn time, and happens in one moment in the middle of it."""

    def __init__(self, random: Random, *, most_in_thread_ms: float = 5.0) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)
        self._random = random
        self._most_in_thread_s = most_in_thread_ms / 1_000

    @override
    def time(self) -> float:
        return self._jumping.now_s

    @override
    def run_in_executor(  # type: ignore[override]  # typeshed wants the very same type variables
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        done: asyncio.Future[T] = self.create_future()

        def answer(result: T | None, failed: BaseException | None) -> None:
            if done.done():
                return
            if failed is not None:
                done.set_exception(failed)
            else:
                done.set_result(result)  # type: ignore[arg-type]

        def run() -> None:
            if done.cancelled():
                return  # its process is dead
            try:
                outcome, failed = func(*args), None
            except Exception as raised:  # noqa: BLE001  # it belongs to whoever waits
                outcome, failed = None, raised
            self.call_later(self._pause_s(), answer, outcome, failed)

        self.call_later(self._pause_s(), run)
        return done

    def _pause_s(self) -> float:
        return self._random.random() * self._most_in_thread_s / 2


class LoopClock(Clock):
    """The time of a simulated loop; what one machine takes for the time of day may be off, and jump."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.off_ms = 0
        """Ahead of the others by so much."""

    @override
    def now_ms(self) -> int:
        return START_MS + int(self._loop.time() * 1_000) + self.off_ms

    @override
    def monotonic_ms(self) -> float:
        return self._loop.time() * 1_000


def simulate(story: Callable[[], Coroutine[Any, Any, T]], random: Random) -> T:
    """Run a story in simulated time; an exception in whatever nobody waits for fails it, too."""
    unheard: list[BaseException] = []

    def note(_: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        if (raised := context.get("exception")) is not None:
            unheard.append(raised)

    loop = SimulatedLoop(random)
    loop.set_exception_handler(note)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(story())
    if unheard:
        raise unheard[0]
    return result
