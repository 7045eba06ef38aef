"""Pauses between attempts: doubling, capped, and jittered, so that a fleet does not come back all at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

Draw = Callable[[], float]
"""Uniform in [0, 1)."""


class Backoff:
    """Half of each pause is fixed, so that no draw makes a tight loop; half is drawn."""

    def __init__(self, first_ms: float, most_ms: float, draw: Draw) -> None:
        self._first_ms = first_ms
        self._most_ms = most_ms
        self._draw = draw
        self._failures = 0

    def next_ms(self) -> float:
        """How long to wait after one more failure: in [p / 2, p), p = min(most, first * 2**failures)."""
        pause_ms = min(self._most_ms, self._first_ms * 2.0 ** min(self._failures, 40))
        self._failures += 1
        return pause_ms * (0.5 + 0.5 * self._draw())

    def reset(self) -> None:
        """An attempt has succeeded."""
        self._failures = 0


async def pause(stopping: asyncio.Event, pause_ms: float) -> bool:
    """Wait, but not beyond `stopping`; True when that is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), pause_ms / 1_000)
    return stopping.is_set()


async def either(stopping: asyncio.Event, other: asyncio.Event, most_ms: float) -> None:
    """Wait for one of two events, but not longer than `most_ms`."""
    waiting = [asyncio.create_task(stopping.wait()), asyncio.create_task(other.wait())]
    try:
        await asyncio.wait(waiting, timeout=most_ms / 1_000, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
