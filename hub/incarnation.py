"""Which life of the hub's data this is: nodes see by it that a hub was restored from an older backup.

A restore must write a new one (so that nodes send again what the backup does not hold); nothing else may.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from edgewise.errors import UnavailableError
from hub.durable import locked, replace_file

FILE = "incarnation"


def incarnation_of(data_dir: Path) -> str:
    """The incarnation in a data folder, 32 hex digits; made when there is none.

    Raises UnavailableError when the file holds something else, rather than to make up another life.
    """
    path = data_dir / FILE
    with locked(data_dir / "incarnation.lock"):
        if not path.exists():
            replace_file(path, secrets.token_hex(16).encode(), mode=0o600)
    text = path.read_text("utf-8", errors="replace").strip()
    if len(text) != 32 or not set(text) <= set("0123456789abcdef"):  # noqa: PLR2004  # 16 bytes in hex
        raise UnavailableError(f"{path} is damaged: it holds {text[:40]!r}, expected 32 hex digits")
    return text
