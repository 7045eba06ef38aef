"""Rows that imports refused, kept as they came so that somebody can mend them: the one place where files hold raw rows.

Whose row it is cannot be told in general: it was refused because something in it could not be read, perhaps the very
identifier, and a fault of one column is kept without the rest of its row. Hashing every cell and looking for a match
would miss those. So an erasure blanks the values of every refused row, whoever it was about. Where it stood, which
column and how many there were stays; the owner's own file still has the value.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from edgewise.errors import UnavailableError
from hub.durable import replace_file
from hub.ledger.forgetting import Removed
from hub.rights.person import Person

FOLDER: Final = "rejects"
PLACES: Final = frozenset({"row", "line", "column", "path", "received"})
"""Columns that say where and when a fault was; every other one may quote what stood there."""
LEAST_CHARACTERS: Final = 4
"""Of a name that is looked for inside cells: `7` stands in many."""
_NAMES_ONE: Final = re.compile(r"[@0-9]")
BLANK: Final = "(erased)"
RECEIVED: Final = "received"
"""The first column of refused deliveries, to which rows are added for as long as there are any."""


class RejectFiles:
    """All `rejects` folders of a data folder."""

    name = "rejected rows"

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def count(self, _person: Person) -> Removed:
        """Rows that still have values."""
        return sum((self._blanked(path)[1] for path in reject_files(self._data_dir)), Removed())

    def export(self, person: Person) -> list[dict[str, Any]]:
        """Rows that quote an address, a number or an id of his. More may be his, but nothing in them says so."""
        # not a word: rows of everybody else who is called Smith must not be handed out
        names = [re.escape(name) for name in person.names if len(name) >= LEAST_CHARACTERS and _NAMES_ONE.search(name)]
        if not names:
            return []
        quotes = re.compile(rf"(?<![\w.+-])(?:{'|'.join(names)})(?![\w-])", re.IGNORECASE)
        found: list[dict[str, Any]] = []
        for path in reject_files(self._data_dir):
            text = path.read_bytes().decode("utf-8", "replace")
            try:
                header, *rows = list(csv.reader(io.StringIO(text, newline=""))) or [[]]
            except csv.Error:
                continue
            found += (
                {"file": path.name, **dict(zip(header, row, strict=False))}
                for row in rows
                if any(quotes.search(cell) for cell in row)
            )
        return found

    def erase(self, _person: Person) -> Removed:
        """Blank them. One that refuses is told of after all others."""
        gone = Removed()
        refusals: list[UnavailableError] = []
        for path in reject_files(self._data_dir):
            try:
                content, removed = self._blanked(path)
                if removed != Removed():
                    replace_file(path, content, mode=0o600)
                gone += removed
            except UnavailableError as refused:
                refusals.append(refused)
            except OSError as refused:
                refusals.append(UnavailableError(f"{path}: cannot be written: {refused.strerror}"))
        for refusal in refusals:
            raise refusal
        return gone

    def _blanked(self, path: Path) -> tuple[bytes, Removed]:
        """The file as it is to be, and what it loses. What is no table of ours loses everything."""
        try:
            before = path.read_bytes()
        except OSError as refused:
            raise UnavailableError(f"{path}: cannot be read: {refused.strerror}") from None
        try:
            rows = list(csv.reader(io.StringIO(before.decode("utf-8", "replace"), newline="")))
        except csv.Error:
            rows = []
        if not rows or PLACES.isdisjoint(rows[0]):
            return b"", Removed(bytes=len(before), files=1) if before else Removed()
        header = rows[0]
        kept = [
            [cell if name in PLACES else BLANK for name, cell in zip(header, row, strict=False)] for row in rows[1:]
        ]
        changed = sum(new != old for new, old in zip(kept, rows[1:], strict=True))
        if not changed:
            return before, Removed()
        content = _written([header, *kept])
        return content, Removed(rows=changed, bytes=max(0, len(before) - len(content)), files=1)


def reject_files(data_dir: Path) -> Iterator[Path]:
    """All files of rejected rows below a data folder."""
    for folder in sorted(data_dir.rglob(FOLDER)):
        if folder.is_dir():
            yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def without_old_rows(content: bytes, before_ms: int) -> tuple[bytes, int]:
    """A file of refused deliveries without those that were received before a moment, and how many those were.

    Other files have no such column: an import writes its own anew each time, so the whole file has one age.
    """
    if not content.startswith(f"{RECEIVED},".encode()):
        return content, 0
    header, *rows = csv.reader(io.StringIO(content.decode("utf-8", "replace"), newline=""))
    kept = [row for row in rows if not _is_older(row, before_ms)]
    return (_written([header, *kept]), len(rows) - len(kept)) if len(kept) < len(rows) else (content, 0)


def _is_older(row: list[str], before_ms: int) -> bool:
    try:
        return dt.datetime.fromisoformat(row[0]).timestamp() * 1_000 < before_ms
    except (ValueError, IndexError):
        return False  # the age of the file still holds


def _written(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
