"""What a site says of retention, kept in the data folder: a hub that serves has no site's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from hub.durable import replace_file
from hub.site.files import RetentionFile

FILE: Final = "retention.json"


def keep_retention(data_dir: Path, said: RetentionFile | None) -> bool:
    """Let it hold from now on; whether that changed anything. None: what is built in."""
    path = data_dir / FILE
    content = msgspec.json.format(msgspec.json.encode(said or RetentionFile())) + b"\n"
    if (path.read_bytes() == content) if path.exists() else said is None:
        return False
    replace_file(path, content)
    return True
