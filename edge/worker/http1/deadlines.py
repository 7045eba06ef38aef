"""Until when each connection may go on as it does: one timer for all, so that a request sets and cancels none.

A connection has at most one entry that counts. Its deadline may move away from it unnoticed: when the entry comes up,
the connection is asked, and put back. Only a deadline that comes nearer needs a new entry.
"""

from __future__ import annotations

import heapq
from typing import Final, Protocol

AT_ONCE: Final = 32
"""Connections ended in one go: a thousand slow ones that began together must not hold up everybody else's answers."""


class Watched(Protocol):
    """A connection, as far as deadlines go."""

    due_ms: float
    """When it ends if nothing happens."""
    watched_ms: float
    """Of the entry that counts; infinity: there is none."""

    def expire(self, now_ms: float) -> None:
        """Its time is up."""


class Deadlines:
    """Of all connections of one worker."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Watched]] = []
        self._made = 0

    def watch(self, watched: Watched) -> None:
        """Note a deadline that may have come nearer."""
        if watched.due_ms < watched.watched_ms:
            watched.watched_ms = watched.due_ms
            self._made += 1
            heapq.heappush(self._entries, (watched.due_ms, self._made, watched))

    def sweep(self, now_ms: float) -> bool:
        """End those whose time is up; whether there are more of them."""
        entries, ended = self._entries, 0
        while entries and entries[0][0] <= now_ms:
            if ended >= AT_ONCE:
                return True
            noted_ms, _, watched = heapq.heappop(entries)
            if noted_ms != watched.watched_ms:
                continue  # a nearer one was noted since
            watched.watched_ms = float("inf")
            if watched.due_ms <= now_ms:
                watched.expire(now_ms)
                ended += 1
            if watched.due_ms < float("inf"):
                self.watch(watched)
        return False
