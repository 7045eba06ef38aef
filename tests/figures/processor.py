"""Processor time of other processes, as Linux counts it: what a request costs whoever else uses the core."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

from hub.prove.victims import descendants

Meter = Callable[[], float]
"""Seconds of processor time that were used so far."""


def meter_of(pid: int) -> Meter:
    """All threads of one process."""
    return lambda: used_s([pid])


def meter_of_family(pid: int) -> Meter:
    """A process and everything that it has started, however deep."""
    return lambda: used_s(family(pid))


def used_s(pids: Iterable[int]) -> float:
    """Of all threads that live, in nanosecond steps (proc(5), schedstat)."""
    total_ns = 0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):  # ended meanwhile
                total_ns += int(thread.read_text("ascii").split()[0])
    return total_ns / 1e9


def family(pid: int) -> list[int]:
    """A process and its living descendants; a child that was left behind by its parent is not among them."""
    return [pid, *descendants(pid)]
