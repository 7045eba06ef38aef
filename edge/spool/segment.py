"""One segment file while it is written to, and the frames in it that are not durable yet."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import NamedTuple

from edge.spool.files import Files


class Written(NamedTuple):
    """A frame that is in a file and not yet durable. `first_seq` differs from `seq` for a gap only."""

    first_seq: int
    seq: int
    lanes: str
    framed: bytes
    is_gap: bool


class Segment:
    """One open file. `durable_bytes` of its `size_bytes` have been synced."""

    def __init__(self, path: Path, files: Files) -> None:
        self.path = path
        self._files = files
        # One that is there already was given up before any of it counted, and did not let itself be removed or cut.
        files.remove(path)
        self.descriptor = files.create(path, appends=True)
        self.size_bytes = 0
        self.durable_bytes = 0
        self.is_torn = False
        """Part of a frame is left at its end, and would hide whatever followed."""

    def append(self, framed: bytes) -> None:
        """Raises OSError; then nothing of `framed` counts."""
        written_bytes = 0
        try:
            written_bytes = self._files.append(self.descriptor, framed)
        finally:
            if written_bytes != len(framed):
                self.is_torn = True
                self._files.truncate(self.descriptor, self.size_bytes)
                self.is_torn = False
        if written_bytes != len(framed):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size_bytes += len(framed)

    def abandon(self) -> None:
        """Keep only what is durable. A failed sync is not tried again: the kernel may already call it done."""
        with contextlib.suppress(OSError):
            self._files.truncate(self.descriptor, self.durable_bytes)
        if not self.durable_bytes:
            with contextlib.suppress(OSError):
                self._files.remove(self.path)
        self._files.close(self.descriptor)
