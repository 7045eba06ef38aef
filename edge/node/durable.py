"""Files that are replaced whole: written beside, made durable, renamed.

A reader sees the old content or the new, never a part; after a power loss, too.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Final

_BESIDE: Final = re.compile(r"\..+\.[0-9a-f]{8}")


def replace_file(path: Path, content: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Put `content` where `path` is. Not durable: readers still never see a part, but a power loss may undo it."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _write(beside, content, mode=mode, durable=durable)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def create_file(path: Path, content: bytes, *, mode: int = 0o600) -> bool:
    """Put `content` at `path` unless something is there; False if so. Of several processes exactly one succeeds."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _write(beside, content, mode=mode, durable=True)
        # A link, unlike a rename, refuses to replace.
        path.hardlink_to(beside)
    except FileExistsError:
        return False
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def sweep(folder: Path) -> None:
    """Delete what writers that were killed left beside their files. To be called while nobody writes there."""
    for path in folder.iterdir():
        if _BESIDE.fullmatch(path.name):
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes, *, mode: int, durable: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())
