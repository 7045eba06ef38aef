"""Who reads the cache for too long: an old reader keeps freed pages from being used, until the map is full of them.

LMDB tells the transaction that each reader looks at, not since when; so that is noted from look to look.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from edge.profiles.cache_file import CacheFile

ALARM_MS: Final = 60_000
"""A decision reads for less than a millisecond."""


class Reader(NamedTuple):
    """One slot of the reader table that is in use."""

    pid: int
    thread: str
    transaction: int


class ReaderWatch:
    """The readers of one cache, from look to look."""

    def __init__(self, file: CacheFile) -> None:
        self._file = file
        self._seen_ms: dict[Reader, float] = {}

    def look(self, now_ms: float) -> dict[Reader, float]:
        """Give back what killed processes held; who reads now, and for how many milliseconds at least."""
        self._file.env.reader_check()
        current = _readers(self._file.env.readers())
        self._seen_ms = {reader: self._seen_ms.get(reader, now_ms) for reader in current}
        return {reader: now_ms - since_ms for reader, since_ms in self._seen_ms.items()}


def _readers(table: str) -> list[Reader]:
    """LMDB's table: pid, thread and transaction a line, `-` for a slot that is only kept."""
    found: list[Reader] = []
    for line in table.splitlines():
        words = line.split()
        if len(words) == 3 and words[0].isdecimal() and words[2].isdecimal():  # noqa: PLR2004
            found.append(Reader(int(words[0]), words[1], int(words[2])))
    return found
