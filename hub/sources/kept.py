"""The sources that a site applied, kept in the data folder: a hub that serves has no site's folder.

One file, written by `edgewise site apply`, presets already filled in. Sources are the hub's own business and no part of
a release: nothing of them reaches a node.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from edgewise.errors import MALFORMED, UnavailableError
from hub.durable import replace_file
from hub.sources.document import SourceDocument, SourceName

_FILE: Final = "sources.json"
_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(dict[SourceName, SourceDocument])
Documents = Mapping[SourceName, SourceDocument]


def keep_sources(data_dir: Path, documents: Documents) -> bool:
    """Keep the sources of a site from now on; whether that changed anything."""
    path = data_dir / _FILE
    content = msgspec.json.format(_encoder.encode(dict(documents)), indent=1)
    if (path.read_bytes() == content) if path.exists() else not documents:
        return False
    replace_file(path, content)
    return True


class KeptSources:
    """What is kept, read again when it has changed. Safe to use from several threads."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / _FILE
        self._read: tuple[tuple[int, int, int], Documents] | None = None

    def documents(self) -> Documents:
        """Name -> document; empty before a site was applied. Raises UnavailableError for a file that is damaged."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return {}
        stamp = _stamp(status)
        read = self._read
        if read is not None and read[0] == stamp:
            return read[1]
        try:
            documents = _decoder.decode(self._path.read_bytes())
        except (OSError, *MALFORMED) as damaged:
            raise UnavailableError(f"{self._path}: {damaged}; `edgewise site apply` writes it again") from damaged
        self._read = (stamp, documents)
        return documents


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mtime_ns, status.st_ino, status.st_size
