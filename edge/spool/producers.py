"""Who still writes to a spool folder: its producer holds a lock in it for as long as it lives.

A lock, not a process id in a file: the kernel lets go of it whatever way a process ends, and ids are used again.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

LOCK: Final = "lock"


def hold(folder: Path) -> int:
    """Make a producer's folder and lock it; keep the returned descriptor open for as long as you write.

    The lock file appears under its name only once it is locked, so that nobody can look at it in between.

    Raises:
        FileExistsError: another process made this folder.
    """
    folder.mkdir(mode=0o700, parents=True)
    beside = folder / f".{LOCK}"
    descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    beside.rename(folder / LOCK)
    return descriptor


def is_alive(folder: Path) -> bool:
    """Whether some process holds the folder. One without a lock file is about to be held, so it counts as alive."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
