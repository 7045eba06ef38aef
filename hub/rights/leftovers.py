"""What programs that died left half-written: worthless, and it may hold anybody's rows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from edgewise.errors import UnavailableError
from hub.durable import UNFINISHED
from hub.ledger.forgetting import Removed
from hub.rights.person import Person

_IMPORT: Final = ".import-"


class Leftovers:
    """Unfinished files and folders below a data folder, of writers that are gone."""

    name = "unfinished files"

    def __init__(self, data_dir: Path, *, now_ms: int) -> None:
        self._data_dir = data_dir
        self._now_ms = now_ms

    def count(self, _person: Person) -> Removed:
        """How many there are."""
        return sum((_size(path) for path in self._abandoned()), Removed())

    def export(self, _person: Person) -> list[dict[str, Any]]:
        """Nothing: whose rows unfinished files hold cannot be told."""
        return []

    def erase(self, _person: Person) -> Removed:
        """Delete them."""
        gone = Removed()
        for path in list(self._abandoned()):
            gone += _size(path)
            try:
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            except OSError as refused:
                raise UnavailableError(f"{path}: cannot be deleted: {refused.strerror}") from None
        return gone

    def _abandoned(self) -> Iterator[Path]:
        """Untouched for an hour: what is being written at this moment is finished, or deleted, by its writer."""
        for path in sorted(self._data_dir.rglob(".*")):
            if not (path.name.endswith(UNFINISHED) or path.name.startswith(_IMPORT)):
                continue
            try:
                age_ms = self._now_ms - path.stat().st_mtime * 1_000
            except FileNotFoundError:
                continue  # its writer is done
            if age_ms > ABANDONED_MS:
                yield path


ABANDONED_MS: Final = 3_600_000


def _size(path: Path) -> Removed:
    files = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
    return Removed(bytes=sum(each.stat().st_size for each in files), files=len(files))
