"""The one clock that every process takes its time from, so that a fleet can run in simulated time."""

from __future__ import annotations

import datetime as dt
import time
from typing import Protocol

from typing_extensions import override


def utc_minute(time_ms: int) -> str:
    """A moment as people read it: `2026-11-27 22:15 UTC`."""
    return dt.datetime.fromtimestamp(time_ms / 1_000, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


class Clock(Protocol):
    """Wall time for meaning, monotonic time for waiting; both in milliseconds."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        ...

    def monotonic_ms(self) -> float:
        """Milliseconds since some fixed moment; never goes back."""
        ...


class SystemClock(Clock):
    """The machine's own clock."""

    @override
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    @override
    def monotonic_ms(self) -> float:
        return time.perf_counter_ns() / 1e6


class ManualClock(Clock):
    """A clock that stands still until it is moved; for tests of ours and of users."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms
        self._monotonic_ms = 0.0

    @override
    def now_ms(self) -> int:
        return self._now_ms

    @override
    def monotonic_ms(self) -> float:
        return self._monotonic_ms

    def advance(self, by_ms: float) -> None:
        """Move both hands forward."""
        self._now_ms += int(by_ms)
        self._monotonic_ms += by_ms

    def jump(self, by_ms: int) -> None:
        """Move the wall time only, as a clock correction does."""
        self._now_ms += by_ms
