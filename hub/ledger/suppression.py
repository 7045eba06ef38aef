"""Who was erased, in a file of its own beside the ledger: what a backup of the ledger cannot bring back.

    {"list": "5f0c…"}                                                     the first line: which list this is
    {"number": 1, "time_ms": …, "subjects": ["9b1e…"], "forever": false}  one erasure a line, numbered from 1

It holds keyed hashes only, is appended to and synced before anything is deleted, and never shortened. The ledger counts
how far it has followed the list, so a ledger that was restored from an older backup knows what it has to delete again.
Nodes name the list and a number as well: how far they have carried erasures out.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from edgewise.errors import MALFORMED, UnavailableError
from edgewise.ids import SubjectId
from hub.durable import locked, sync_folder

FILE: Final = "suppressions.jsonl"


class Suppression(msgspec.Struct, frozen=True):
    """One erasure."""

    number: int
    time_ms: int
    """What happened until then stays away."""
    subjects: tuple[SubjectId, ...]
    forever: bool = False
    """Whatever happens later stays away, too."""
    keeps_later: bool = False
    """What was stored by then but had happened after `time_ms` was kept: the visitor had come back."""
    request: str = ""
    """Id that a node gave the visitor who asked; one request has one entry, however often it is tried."""
    pseudonyms: tuple[str, ...] = ()
    """What imported decision logs call this person, as far as that was known (`hub.imports.pseudonyms`)."""


class _Head(msgspec.Struct, frozen=True):
    list: str


class Listed(NamedTuple):
    """The whole list."""

    name: str
    """Which list this is; 32 hex digits, or "" before the first erasure."""
    entries: tuple[Suppression, ...]


class SuppressionList:
    """The list of one data folder. Safe among processes: appending holds a lock, reading takes whole lines only."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE
        self._lock = data_dir / f"{FILE}.lock"
        self._read: tuple[int, Listed] = (0, Listed("", ()))

    def listed(self) -> Listed:
        """Every erasure, oldest first.

        Raises:
            UnavailableError: a line is damaged. Nobody may be served from a ledger whose erasures are not known.
        """
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            size = 0
        if size != self._read[0]:
            self._read = size, self._parsed(self.path.read_bytes()[:size])
        return self._read[1]

    def append(
        self,
        subjects: Collection[SubjectId],
        *,
        time_ms: int,
        forever: bool = False,
        keeps_later: bool = False,
        request: str = "",
        pseudonyms: Collection[str] = (),
    ) -> Suppression:
        """Write an erasure down; it is on disk when this returns. A request that was written down keeps its entry.

        Raises:
            UnavailableError: the disk refuses, or the list is damaged; then nothing may be deleted either.
        """
        with locked(self._lock):
            listed = self.listed()
            if request and (known := next((one for one in listed.entries if one.request == request), None)):
                return known
            entry = Suppression(
                number=len(listed.entries) + 1,
                time_ms=time_ms,
                subjects=tuple(sorted(subjects)),
                forever=forever,
                keeps_later=keeps_later,
                request=request,
                pseudonyms=tuple(sorted(pseudonyms)),
            )
            lines = [] if listed.name else [_Head(secrets.token_hex(16))]
            data = b"".join(msgspec.json.encode(line) + b"\n" for line in [*lines, entry])
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    # behind the last whole line: whoever wrote a torn one died before he deleted anything
                    os.ftruncate(descriptor, self._whole_bytes())
                    os.lseek(descriptor, 0, os.SEEK_END)
                    if os.write(descriptor, data) != len(data):
                        raise OSError(28, "no space left on device")
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                sync_folder(self.path.parent)
            except OSError as refused:
                raise UnavailableError(f"{self.path}: {refused.strerror}; nothing was erased") from None
        return entry

    def _whole_bytes(self) -> int:
        return self.path.read_bytes().rfind(b"\n") + 1

    def _parsed(self, data: bytes) -> Listed:
        head, *lines = data[: data.rfind(b"\n") + 1].splitlines() or [b""]
        if not head:
            return Listed("", ())
        try:
            name = msgspec.json.decode(head, type=_Head).list
            entries = tuple(_entries.decode(line) for line in lines)
        except MALFORMED as wrong:
            raise UnavailableError(
                f"{self.path} is damaged ({wrong}): it says who was erased; restore it from a copy"
            ) from None
        for number, entry in enumerate(entries, 1):
            if entry.number != number:
                raise UnavailableError(f"{self.path} is damaged: erasure {entry.number} in the place of {number}")
        return Listed(name, entries)


_entries = msgspec.json.Decoder(Suppression)
