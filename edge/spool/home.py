"""A producer's folder beside its segments: what it holds, what it says of itself, and what it keeps for need.

lock         held while the producer lives (`edge.spool.producers`)
synced       u64, little endian: records below it survive a power loss
undeclared   one frame: the gap that is still to be declared. Who is killed meanwhile has said what he dropped
reserve      room on the disk that a visitor's will gets when there is none else
"""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Final

from edge.spool.files import Files
from edge.spool.producers import LOCK, hold, is_alive
from edgewise.errors import MALFORMED
from edgewise.frames import frame, scan
from edgewise.records import GapRecord, decode_record, encode_record

SYNCED: Final = "synced"
UNDECLARED: Final = "undeclared"
RESERVE: Final = "reserve"
RESERVE_BYTES: Final = 256 << 10
"""Some hundred statements; more than one that mutes all that can be muted."""
_NOTHING: Final = bytes(512)
"""As much as the frame of a gap takes: overwritten in place, it needs no room on a full disk."""
_u64 = struct.Struct("<Q")


class Home:
    """One producer's folder, made and held by it."""

    def __init__(self, folder: Path, files: Files) -> None:
        """Make and hold the folder.

        Raises:
            FileExistsError: the folder was used before; an epoch is never used twice.
            OSError: it cannot be made, and nothing is left of it as far as the disk lets us.
        """
        self.folder: Final = folder
        self._files = files
        self.descriptors = [hold(folder, files)]
        self._gap: GapRecord | None = None
        self._has_reserve = False
        try:
            self._synced = self._create(SYNCED, _u64.pack(0))
            self._undeclared = self._create(UNDECLARED, _NOTHING)
        except OSError:
            self.close()
            with contextlib.suppress(OSError):
                for name in (SYNCED, UNDECLARED, LOCK):
                    files.remove(folder / name)
                folder.rmdir()
            raise
        self._take_back_reserves()
        self.keep_reserve()

    def _create(self, name: str, content: bytes) -> int:
        descriptor = self._files.create(self.folder / name, appends=False)
        self.descriptors.append(descriptor)
        self._files.overwrite(descriptor, content)
        return descriptor

    def tell_synced(self, seq: int) -> None:
        """Records below `seq` are durable. Not vital: of a dead process the frames are trusted, not this number."""
        with contextlib.suppress(OSError):
            self._files.overwrite(self._synced, _u64.pack(seq))

    def tell_gap(self, gap: GapRecord | None) -> None:
        """What was dropped and is not declared yet; None when nothing is. As far as the disk lets us."""
        if gap != self._gap:
            with contextlib.suppress(OSError):
                self._files.overwrite(self._undeclared, _NOTHING if gap is None else frame(encode_record(gap)))
                self._gap = gap

    def keep_reserve(self) -> None:
        """Set room aside, where there is any and none is set aside yet."""
        if not self._has_reserve:
            with contextlib.suppress(OSError):
                self._files.reserve(self.folder / RESERVE, RESERVE_BYTES)
                self._has_reserve = True

    def _take_back_reserves(self) -> None:
        """Who was killed could not give his back, and without a hub his folder stays."""
        with contextlib.suppress(OSError):
            for kept in self.folder.parent.glob(f"*/{RESERVE}"):
                if not is_alive(kept.parent):
                    self._files.remove(kept)

    def give_reserve(self) -> bool:
        """Let the room that was set aside be written to; False when there is none left."""
        had, self._has_reserve = self._has_reserve, False
        with contextlib.suppress(OSError):
            self._files.remove(self.folder / RESERVE)
        return had

    def close(self) -> None:
        """Let go of the folder."""
        self.give_reserve()
        for descriptor in self.descriptors:
            self._files.close(descriptor)


def read_synced(folder: Path) -> int:
    """Records below this number survive a power loss; 0 while the file is not there or not whole."""
    try:
        data = (folder / SYNCED).read_bytes()
    except FileNotFoundError:
        return 0
    return int(_u64.unpack(data)[0]) if len(data) == _u64.size else 0


def read_undeclared(folder: Path) -> GapRecord | None:
    """What a producer has dropped and not lived to declare; None when there is nothing, or nothing whole."""
    with contextlib.suppress(OSError, *MALFORMED):
        for found in scan((folder / UNDECLARED).read_bytes()):
            record = decode_record(found.payload)
            return record if isinstance(record, GapRecord) else None
    return None
