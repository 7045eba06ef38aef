"""Makes durable what other processes of the node have written, for whoever answers for a record of theirs.

That is a repetition of what another worker took: the acknowledgement is that one's who got it. Repetitions may come in
floods, so all who ask share one look at the disk, one look is under way at a time, and what a look has made durable
costs the next one a `stat`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from pathlib import Path
from typing import NamedTuple

from edge.node.layout import producer_of
from edge.spool.contents import segments_of
from edge.spool.files import Files


class _Seen(NamedTuple):
    size_bytes: int
    changed_ns: int


class Others:
    """The other producers' segments, as this process has seen them. Belongs to one event loop."""

    def __init__(self, own: Path, files: Files) -> None:
        self._own = own
        self._files = files
        self._durable: dict[Path, _Seen] = {}
        self._doubtful: set[Path] = set()
        """Segments of which a sync has failed here: whatever a later one says of the same bytes proves nothing."""
        self._under_way: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def sync(self) -> None:
        """Return once everything is durable that others had written before the call.

        Raises:
            OSError: the disk fails.
        """
        if self._next is None:
            self._next = asyncio.ensure_future(self._look_after(self._under_way))
            self._next.add_done_callback(take_exception)
        await asyncio.shield(self._next)

    async def _look_after(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        # Who comes from here on may answer for something that this look has passed already.
        self._under_way, self._next = self._next, None
        await asyncio.get_running_loop().run_in_executor(None, self._look)

    def _look(self) -> None:
        there: set[Path] = set()
        for folder in self._own.parent.iterdir():
            if folder == self._own or producer_of(folder.name) is None:
                continue
            segments = segments_of(folder)
            are_new = any(segment not in self._durable for segment in segments)
            for segment in segments:
                with contextlib.suppress(FileNotFoundError):  # what is gone meanwhile is stored
                    self._sync(segment)
                    there.add(segment)
            if are_new:
                with contextlib.suppress(FileNotFoundError):
                    self._files.sync_folder(folder)
        self._durable = {segment: seen for segment, seen in self._durable.items() if segment in there}
        self._doubtful &= there

    def _sync(self, segment: Path) -> None:
        status = segment.stat()
        seen, known = _Seen(status.st_size, status.st_mtime_ns), self._durable.get(segment)
        if seen == known:
            return
        if segment in self._doubtful and (known is None or seen.size_bytes > known.size_bytes):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        descriptor = self._files.open(segment)
        try:
            self._files.sync(descriptor)
        except OSError:
            self._doubtful.add(segment)
            raise
        finally:
            self._files.close(descriptor)
        self._durable[segment] = seen


def take_exception(ended: asyncio.Task[None]) -> None:
    """It has been raised in all who waited, if anybody did."""
    if not ended.cancelled():
        ended.exception()
