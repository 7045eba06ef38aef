"""How long requests have waited when they are read: longer than anybody can see who only looks at his own clock.

While an event loop answers what it has read, the next requests wait in the kernel, and are read later as if they had
come just then. So the loop's turns are watched: what is read in a turn that began right behind another one, without a
pause in between, came at some time during that one, and has waited for half of it on average. Not for all of it: fifty
clients of whom each asks again as soon as he is answered would look like twice the queue that they are.

Only work counts: a turn that was long because the machine ran something else has not left more to do, and shedding
would not have shortened it. So of a turn at most twice the processor time counts that it took.

A turn:  ... requests are answered | poll: sockets are read | answered | ...
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

STARVED: Final = 2.0
"""Of the processor time of a turn: what a worker waits that shares its core with one other."""
SMOOTHING: Final = 0.1
"""Share of the last turn in what a request is taken to cost."""


class Turns:
    """Of one event loop; told of everything that is read."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, now_ms: Callable[[], float], spent_ms: Callable[[], float]
    ) -> None:
        """`spent_ms` is the processor time of the loop's thread."""
        self._loop = loop
        self._now_ms = now_ms
        self._spent_ms = spent_ms
        self._spent_before_ms = 0.0
        self._began_ms = 0.0
        self._has_begun = False
        self._is_busy = False
        """The turn before has not ended in a pause."""
        self._taken = 0
        """Requests that this turn answers."""
        self._cost_ms = 0.0
        """Of a request, as far as the turns before tell."""
        self.waited_ms = 0.0
        """How long what this turn has read has waited in the kernel, on average."""

    def read(self, note: Callable[[float, float], None]) -> float:
        """Now, in monotonic milliseconds. The first call of a turn notes how long its requests have waited."""
        now_ms = self._now_ms()
        if not self._has_begun:
            self._has_begun = True
            self.waited_ms, spent_ms = 0.0, self._spent_ms()
            if self._is_busy:
                turn_ms = min(now_ms - self._began_ms, STARVED * (spent_ms - self._spent_before_ms))
                self.waited_ms = turn_ms / 2
                if self._taken:
                    self._cost_ms += SMOOTHING * (turn_ms / self._taken - self._cost_ms)
            note(self.waited_ms, now_ms)
            self._began_ms = now_ms
            self._spent_before_ms = spent_ms
            self._taken = 0
            # Runs before the answers of this turn, and asks to be called once more behind the next poll, which
            # therefore does not wait: if that poll has read something, the loop is busy.
            self._loop.call_soon(self._answering)
        return now_ms

    def take(self) -> None:
        """One more request is to be answered in this turn."""
        self._taken += 1

    @property
    def wait_ms(self) -> float:
        """How long a request that is taken now will have waited when it is looked at.

        In the kernel, and behind those that were read before it.
        """
        return self.waited_ms + self._taken * self._cost_ms

    def _answering(self) -> None:
        self._has_begun = False
        self._is_busy = True
        self._loop.call_soon(self._polled)

    def _polled(self) -> None:
        if not self._has_begun:
            self._is_busy = False
