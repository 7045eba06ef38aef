"""Until when each connection may go on as it does: one timer for all, so that a request sets and cancels none.

A connection has at most one entry that counts. Its deadline may move away from it unnoticed: when the entry comes up,
the connection is asked, and put back. Only a deadline that comes nearer needs a new entry.
"""

from __future__ import annotations

import heapq
import math
from typing import Final, Protocol

AT_ONCE: Final = 32
"""Connections ended in one go: a thousand slow ones that began together must not hold up everybody else's answers."""


class Watched(Protocol):
    """A connection, as far as deadlines go."""

    due_ms: float
    """When it ends if nothing happens."""
    entry: Entry | None
    """The one that counts."""

    def expire(self, now_ms: float) -> None:
        """Its time is up."""


class Entry:
    """When to look at a connection."""

    __slots__ = ("at_ms", "watched")

    def __init__(self, at_ms: float, watched: Watched) -> None:
        self.at_ms = at_ms
        self.watched: Watched | None = watched
        """None: nothing is to be done any more. So a closed connection is not kept until its time."""


class Deadlines:
    """Of all connections of one worker."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Entry]] = []
        self._made = 0

    def watch(self, watched: Watched) -> None:
        """Note a deadline that may have come nearer."""
        entry = watched.entry
        if entry is not None:
            if watched.due_ms >= entry.at_ms:
                return
            entry.watched = None
        watched.entry = entry = Entry(watched.due_ms, watched)
        self._made += 1
        heapq.heappush(self._entries, (entry.at_ms, self._made, entry))

    def forget(self, watched: Watched) -> None:
        """It is closed."""
        if watched.entry is not None:
            watched.entry.watched = None
            watched.entry = None

    def sweep(self, now_ms: float) -> bool:
        """End those whose time is up; whether there are more of them."""
        entries, ended = self._entries, 0
        while entries and entries[0][0] <= now_ms:
            if ended >= AT_ONCE:
                return True
            watched = heapq.heappop(entries)[2].watched
            if watched is None:
                continue
            watched.entry = None
            if watched.due_ms <= now_ms:
                watched.expire(now_ms)
                ended += 1
            if watched.due_ms < math.inf:
                self.watch(watched)
        return False
