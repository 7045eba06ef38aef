"""A small invented site to start from: a shop for coffee and tea."""

from __future__ import annotations

import hashlib
import secrets
from importlib.resources import files
from pathlib import Path

from edgewise.errors import InputError
from hub.durable import replace_file
from hub.site.approving import approve_items

NO_KEYS = "write_key_sha256: []"


def invented_files() -> dict[str, bytes]:
    """The files of the invented site: path below its folder -> content."""
    folder = Path(str(files("hub.site") / "invented"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.yaml"))}


def start_site(folder: Path, by: str) -> str:
    """Write the invented site into a folder, approve its items in the name of `by`, and return its write key.

    The key itself is kept nowhere, only its digest.

    Raises:
        InputError: something is in the folder already; nothing is written.
    """
    taken = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if taken or folder.is_file():
        raise InputError(f"{folder} is not empty ({', '.join(taken[:5]) or 'a file'}); name a new folder")
    write_key = secrets.token_urlsafe(24)
    for path, content in invented_files().items():
        digest = hashlib.sha256(write_key.encode()).hexdigest()
        replace_file(folder / path, content.replace(NO_KEYS.encode(), f"write_key_sha256: [{digest}]".encode()))
    approve_items(folder, by)
    return write_key
