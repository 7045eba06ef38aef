"""Who still writes to a spool folder: its producer holds a lock in it for as long as it lives.

A lock, not a process id in a file: the kernel lets go of it whatever way a process ends, and ids are used again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from typing import Final

from edge.spool.files import Files, SystemFiles

LOCK: Final = "lock"


def hold(folder: Path, files: Files | None = None) -> int:
    """Make a producer's folder and lock it; keep the returned descriptor open for as long as you write.

    The folder appears under its name only once it is locked, so that nobody can look at it in between; its name is
    durable, or a power loss could take a folder away whose files were synced.

    Raises:
        FileExistsError: another process made this folder.
    """
    files = SystemFiles() if files is None else files
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name}")
    files.make_folder(beside)
    descriptor: int | None = None
    try:
        descriptor = files.create(beside / LOCK, appends=False)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        files.rename(beside, folder)
        files.sync_folder(folder.parent)
    except OSError as refused:
        if descriptor is not None:
            files.close(descriptor)
        with contextlib.suppress(OSError):  # so that it can be tried again once a full disk has room
            files.remove(beside / LOCK)
            beside.rmdir()
        if refused.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder)) from refused
        raise
    return descriptor


def is_alive(folder: Path) -> bool:
    """Whether some process holds the folder. One without a lock file has lost its name to a power loss."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
