"""The latest time that a visitor's statement carries on this node: kept on disk, because the profile cache may go.

A statement counts from its time, and a clock may jump back. What the visitor stated before bounds it from below where
that is known. Where it is not yet, because the cache was lost and the hub has not answered, this time does: it is at
least that of whatever he stated here. It does not bound the statements of those who are known: once a clock had been
ahead by a day, all who state something here would be ahead of what they state on other nodes for that day.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

_DIGITS: Final = 20


class StatementTime:
    """Shared by all workers of a node."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def latest_ms(self) -> int:
        """Of all statements that were kept; 0 where none was, or what is there cannot be read."""
        try:
            text = self._path.read_bytes()
        except OSError:
            return 0
        return int(text) if len(text) == _DIGITS and text.isdigit() else 0

    def keep(self, time_ms: int) -> None:
        """Remember it durably, unless a later one is kept. A full disk takes it: it is always as long. Blocking.

        Raises:
            OSError: the disk fails.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if time_ms > self.latest_ms():
                os.pwrite(descriptor, f"{time_ms:0{_DIGITS}}".encode(), 0)
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
