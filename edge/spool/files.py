"""The calls by which a spool changes the disk. Reading needs none of them: what is read is checked frame by frame.

One narrow seam, so that a disk that loses what was never synced can stand behind it (`tests/fault_disk.py`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from typing_extensions import override

from edge.node.durable import sync_folder


class Files(Protocol):
    """Every call may raise OSError. A name is durable once its folder was synced, content once the file was."""

    def make_folder(self, folder: Path) -> None:
        """Make one folder below one that is there; FileExistsError when its name is taken."""
        ...

    def create(self, path: Path, *, appends: bool) -> int:
        """A new file as a descriptor, to append to or to overwrite; FileExistsError when its name is taken."""
        ...

    def open(self, path: Path) -> int:
        """A file that is there, to be synced; FileNotFoundError when it is not."""
        ...

    def append(self, descriptor: int, data: bytes) -> int:
        """Returns how many bytes were written: on a full disk fewer than were given."""
        ...

    def overwrite(self, descriptor: int, data: bytes) -> None:
        """Put a few bytes at the beginning."""
        ...

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        """Cut the end off."""
        ...

    def sync(self, descriptor: int) -> None:
        """Make the content durable. Called in a thread. After a failure, a success proves nothing."""
        ...

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable. Called in a thread."""
        ...

    def rename(self, path: Path, to: Path) -> None:
        """Fails where `to` is a folder that holds something."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file's name; one that is not there is fine."""
        ...

    def close(self, descriptor: int) -> None:
        """Let go of a file, and of its lock."""
        ...

    def reserve(self, path: Path, size_bytes: int) -> None:
        """Take so much of the disk under a name, which `remove` gives back."""
        ...

    def free_bytes(self, folder: Path) -> int:
        """How much more the folder's disk takes from this user. Called in a thread."""
        ...


class SystemFiles(Files):
    """The operating system's own."""

    @override
    def make_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)

    @override
    def create(self, path: Path, *, appends: bool) -> int:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | (os.O_APPEND if appends else 0), 0o600)

    @override
    def open(self, path: Path) -> int:
        return os.open(path, os.O_RDONLY)

    @override
    def append(self, descriptor: int, data: bytes) -> int:
        return os.write(descriptor, data)

    @override
    def overwrite(self, descriptor: int, data: bytes) -> None:
        os.pwrite(descriptor, data, 0)

    @override
    def truncate(self, descriptor: int, size_bytes: int) -> None:
        os.ftruncate(descriptor, size_bytes)

    @override
    def sync(self, descriptor: int) -> None:
        os.fdatasync(descriptor)

    @override
    def sync_folder(self, folder: Path) -> None:
        sync_folder(folder)

    @override
    def rename(self, path: Path, to: Path) -> None:
        path.rename(to)

    @override
    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    @override
    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    @override
    def reserve(self, path: Path, size_bytes: int) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size_bytes)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)

    @override
    def free_bytes(self, folder: Path) -> int:
        disk = os.statvfs(folder)
        return disk.f_bavail * disk.f_frsize
