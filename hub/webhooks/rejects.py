"""Rows of deliveries that cannot be used: kept with the reason and the row, because nobody will send them again.

A file for each source, beside those of its imports, readable by its owner only: a row names people. Bounded: a full
file becomes the one before, and that of before is gone.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edgewise.errors import UnavailableError

MOST_FILE_BYTES: Final = 8 << 20
_MOST_ROW_CHARACTERS: Final = 32_000
_HEADER: Final = ("received", "digest", "row", "column", "value", "reason", "expected", "content")


class Refused(NamedTuple):
    """One row."""

    number: int
    column: str
    value: str
    reason: str
    expected: str
    content: str
    """The row as JSON, or the body where it has no rows."""

    @property
    def digest(self) -> str:
        """What the row is told by when it is delivered again."""
        return hashlib.sha256(self.content.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class HookRejects:
    """Appends to one source's file. Safe to use from several threads."""

    def __init__(self, data_dir: Path, name: str) -> None:
        self.path = data_dir / "sources" / "rejects" / f"hook-{name}.csv"
        self._mutex = threading.Lock()
        self._known: set[str] | None = None

    def add(self, refused: Sequence[Refused], now_ms: int) -> int:
        """Keep what is not kept already, durably; returns how many rows were new.

        Raises:
            UnavailableError: the file cannot be written.
        """
        with self._mutex:
            try:
                known = self._digests()
                new = {one.digest: one for one in refused if one.digest not in known}
                if new:
                    self._append(list(new.values()), now_ms)
                    known.update(new)
            except (OSError, csv.Error, UnicodeDecodeError) as failed:
                self._known = None
                raise UnavailableError(f"{self.path}: rejects cannot be kept: {failed}") from failed
            return len(new)

    def _digests(self) -> set[str]:
        if self._known is None or not self.path.exists():  # who erases a person removes the file
            self._known = set()
            if self.path.exists():
                with self.path.open(encoding="utf-8", newline="") as file:
                    self._known = {line["digest"] or "" for line in csv.DictReader(file)}
        return self._known

    def _append(self, refused: Sequence[Refused], now_ms: int) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and self.path.stat().st_size > MOST_FILE_BYTES:
            self.path.replace(self.path.with_suffix(".before.csv"))
            self._known = set()
        received = dt.datetime.fromtimestamp(now_ms / 1_000, dt.UTC).isoformat(timespec="milliseconds")
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        opened = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(opened, "ab") as file:
            if file.tell() == 0:
                writer.writerow(_HEADER)
            for one in refused:
                cut = one.content[:_MOST_ROW_CHARACTERS]
                cells = (one.column, _harmless(one.value), one.reason, one.expected, _harmless(cut))
                writer.writerow([received, one.digest, one.number, *cells])
            file.write(text.getvalue().encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())


def _harmless(cell: str) -> str:
    """A spreadsheet would run a cell that begins like a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@") else cell
