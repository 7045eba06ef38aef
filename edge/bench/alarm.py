"""Waking an event loop at a moment, to some ten microseconds.

Loops round timers to whole milliseconds (epoll's unit), which would make every arrival half a millisecond late, as much
as a decision takes. Linux has a timer that is a file (timerfd_create(2)); Python offers it from 3.13 on, so that until
then it is called by its C name.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable
from typing import Final

_MONOTONIC: Final = 1
_ABSOLUTE: Final = 1
_NANOSECONDS: Final = 1_000_000_000


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Timer(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Alarm:
    """Calls `ring` once at the moment that was set last, on the loop that runs."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ring = ring
        self._later: asyncio.TimerHandle | None = None
        self._file = _open_timer()
        if self._file >= 0:
            self._timer = _Timer()
            self._loop.add_reader(self._file, self._expired)

    def set(self, at_s: float) -> None:
        """Ring at `at_s` of `time.perf_counter()`; at once, when that has passed."""
        if self._file < 0:
            if self._later is not None:
                self._later.cancel()
            self._later = self._loop.call_later(max(0.0, at_s - time.perf_counter()), self._ring)
            return
        at_ns = max(1, int(at_s * _NANOSECONDS))
        self._timer.value.seconds, self._timer.value.nanoseconds = divmod(at_ns, _NANOSECONDS)
        _libc.timerfd_settime(self._file, _ABSOLUTE, ctypes.byref(self._timer), None)

    def close(self) -> None:
        """Never ring again."""
        if self._later is not None:
            self._later.cancel()
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = -1

    def _expired(self) -> None:
        try:
            os.read(self._file, 8)
        except BlockingIOError:
            return  # it was set anew meanwhile
        self._ring()


_libc: Final = ctypes.CDLL(None, use_errno=True)


def _open_timer() -> int:
    """A file descriptor, or -1 where there are no such timers."""
    if not sys.platform.startswith("linux"):
        return -1
    return int(_libc.timerfd_create(_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC))
