"""A file that says itself whether it is whole: replaced at one go, and told apart from what it was by one stat.

    SHA-256 of the rest, hex digits
    the rest

What a disk has damaged is taken for nothing: all that lies in such files can be had from the hub again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edge.node.bundles import sha256
from edge.node.durable import replace_file

_DIGEST_BYTES: Final = 65
"""64 digits and a newline."""


class DigestedFile:
    """One such file, which needs not be there."""

    def __init__(self, path: Path, most_bytes: int = -1) -> None:
        """`most_bytes` are read of the rest, so that a longer one is taken for damaged; -1: all."""
        self._path = path
        self._most_bytes = most_bytes

    def generation(self) -> object:
        """Equal as long as the file was not replaced; one stat, so it may be asked every few milliseconds."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_ino, found.st_mtime_ns)

    def read(self) -> bytes | None:
        """The rest; None where there is no file, or a damaged one."""
        try:
            with self._path.open("rb") as file:
                digest, data = file.read(_DIGEST_BYTES), file.read(self._most_bytes)
        except OSError:
            return None
        return data if digest == _digest_of(data) else None

    def replace(self, data: bytes) -> None:
        """Durably. Raises OSError when the disk does not take it; then nothing has changed."""
        replace_file(self._path, _digest_of(data) + data)


def _digest_of(data: bytes) -> bytes:
    return f"{sha256(data)}\n".encode()
