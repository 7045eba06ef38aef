"""How long requests have waited when they are read: longer than anybody can see who only looks at his own clock.

While an event loop answers what it has read, the next requests wait in the kernel, and are read later as if they had
come just then. So the loop's turns are watched: what is read in a turn that began right behind another one, without a
pause in between, may have waited for all of that one.

A turn:  ... requests are answered | poll: sockets are read | answered | ...
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Turns:
    """Of one event loop; told of everything that is read."""

    def __init__(self, loop: asyncio.AbstractEventLoop, now_ms: Callable[[], float]) -> None:
        self._loop = loop
        self._now_ms = now_ms
        self._began_ms = 0.0
        self._has_begun = False
        self._is_busy = False
        """The turn before has not ended in a pause."""

    def read(self, note: Callable[[float, float], None]) -> float:
        """Now, in monotonic milliseconds. The first call of a turn notes how long its requests may have waited."""
        now_ms = self._now_ms()
        if not self._has_begun:
            self._has_begun = True
            note(now_ms - self._began_ms if self._is_busy else 0.0, now_ms)
            self._began_ms = now_ms
            # Runs before the answers of this turn, and asks to be called once more behind the next poll, which
            # therefore does not wait: if that poll has read something, the loop is busy.
            self._loop.call_soon(self._answering)
        return now_ms

    def _answering(self) -> None:
        self._has_begun = False
        self._is_busy = True
        self._loop.call_soon(self._polled)

    def _polled(self) -> None:
        if not self._has_begun:
            self._is_busy = False
