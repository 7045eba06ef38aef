"""A table of what an import refused, written aside row by row: a file of nothing but rejects costs no memory."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from edgewise.errors import UnavailableError


class RejectTable:
    """A CSV that takes its place at the end, and only when there is a row in it; else an older one goes.

    Readable by its owner only: what is refused names people as well as what is not.
    """

    def __init__(self, path: Path, header: Sequence[str]) -> None:
        self.path = path
        self._header = header
        self._is_empty = True
        self._beside = path.with_name(f".{path.name}.{os.getpid()}")

    def __enter__(self) -> Self:
        """Raises UnavailableError when the folder cannot be written."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            opened = os.open(self._beside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        except OSError as refused:
            raise UnavailableError(f"{self.path.parent}: cannot be written: {refused.strerror}") from None
        self._file = os.fdopen(opened, "w", encoding="utf-8", newline="", errors="backslashreplace")
        self._writer: Any = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(self._header)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self._is_empty:
            self._beside.unlink()
            self.path.unlink(missing_ok=True)
        else:
            self._beside.replace(self.path)

    def write(self, row: Sequence[object]) -> None:
        """Add a row."""
        self._is_empty = False
        self._writer.writerow(row)
