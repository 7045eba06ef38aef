"""What costs much to make and is asked for often: made one at a time, and at most once in a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Made(NamedTuple, Generic[V]):
    value: V
    of: object
    at_ms: int


class MadeLately(Generic[K, V]):
    """The latest value of each key. Threads that ask at once wait for one of them to make it."""

    def __init__(self, every_ms: int) -> None:
        self._every_ms = every_ms
        self._lock = threading.Lock()
        self._made: dict[K, _Made[V]] = {}

    def get(self, key: K, make: Callable[[], V], *, of: object, now_ms: int) -> V:
        """Perhaps of a moment ago, but never of anything else than `of` (by identity: the release that is live now).

        Raises what `make` raises; nothing is kept of that.
        """
        with self._lock:
            made = self._made.get(key)
            if made is None or made.of is not of or not 0 <= now_ms - made.at_ms < self._every_ms:
                made = self._made[key] = _Made(make(), of, now_ms)
            return made.value
