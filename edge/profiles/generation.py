"""Which of the cache's files counts. One that is damaged is left behind for the next, while it is in use.

    profiles/data.mdb, lock.mdb, stamp.json, lock      generation 0
    profiles/generation                                which one counts; absent: 0
    profiles/g1/data.mdb, …                            generation 1

Who has an older one open still reads it, until he looks here again. A file is replaced by another name, not in place:
others have it mapped.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from edge.node.durable import replace_file

_GENERATION: Final = "generation"


def begin_anew(folder: Path, generation: int | None = None) -> None:
    """Let all processes leave the file behind as soon as they look; of several who ask for the same one the first does.

    Without a `generation`: whichever counts now. Raises nothing: on a full disk it is asked for again.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder / f"{_GENERATION}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            current = generation_of(folder)
            if generation in (None, current):
                replace_file(folder / _GENERATION, f"{current + 1}\n".encode())
        finally:
            os.close(descriptor)


def generation_of(folder: Path) -> int:
    """Which one counts now."""
    with contextlib.suppress(OSError, ValueError):
        return max(0, int((folder / _GENERATION).read_bytes()))
    return 0


def place_of(folder: Path, generation: int) -> Path:
    """The folder of one generation."""
    return folder / f"g{generation}" if generation else folder


def current_place(folder: Path) -> Path:
    """The folder of the one that counts now."""
    return place_of(folder, generation_of(folder))


def leave_behind(folder: Path, generation: int, files: Iterable[str]) -> None:
    """Delete all others; `files` are those of generation 0."""
    for old in folder.glob("g*"):
        if old.is_dir() and old != place_of(folder, generation):
            shutil.rmtree(old, ignore_errors=True)
    if generation:
        for file in files:
            (folder / file).unlink(missing_ok=True)
