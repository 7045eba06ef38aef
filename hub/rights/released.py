"""What was released holds nobody: models, and lists and statistics over many people. Searched, not only claimed."""

from __future__ import annotations

import mmap
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from edgewise.ids import SubjectId

FOLDERS: Final = ("repository", "candidates", "models")
_SUBJECT: Final = re.compile(rb"(?=([0-9a-f]{32}))")


class Searched(NamedTuple):
    """The outcome of a search."""

    files: int
    hits: int
    """Files in which one of the subjects stands."""


def search_released(data_dir: Path, subjects: Collection[SubjectId]) -> Searched:
    """Look for subjects in every byte of every release and model, also of those that were never promoted."""
    meant = {subject.encode() for subject in subjects}
    files = hits = 0
    for path in _files(data_dir):
        files += 1
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            hits += any(found[1] in meant for found in _SUBJECT.finditer(content))
    return Searched(files, hits)


def _files(data_dir: Path) -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((data_dir / folder).rglob("*")):
            if path.is_file() and path.stat().st_size:
                yield path
