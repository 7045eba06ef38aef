"""A small disk of its own: a tmpfs that can be filled to the last byte, and given back."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hub.prove.lab import NotHereError

_PIECE: Final = 64 << 10


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """Mount a tmpfs there until the block ends.

    Raises:
        NotHereError: this machine does not let us; that takes root, and a container that may mount.
    """
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=0700", "edgewise-prove", str(folder)]
    try:
        tried = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NotHereError("there is no `mount` here, so no disk can be filled up") from None
    if tried.returncode:
        said = tried.stderr.strip() or f"exit code {tried.returncode}"
        raise NotHereError(f"no small tmpfs can be mounted here, so no disk can be filled up: {said}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)


class Filler:
    """A file that takes whatever room is left."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def fill(self) -> int:
        """Take what is free now; how many bytes that were."""
        taken, piece = 0, _PIECE
        while piece:
            try:
                taken += os.write(self._descriptor, bytes(piece))
            except OSError as full:
                if full.errno != errno.ENOSPC:
                    raise
                piece //= 2
        return taken

    def give_back(self) -> None:
        """All of it."""
        os.close(self._descriptor)
        self._path.unlink()
