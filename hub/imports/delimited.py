"""Cuts delimited text into records, so that a broken one costs nothing but its line.

`csv` alone lets an open quote swallow what follows. So records are cut here, line by line, and only their fields are
left to it.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from typing import Final

_RECORD_LINES: Final = 256  # a quoted field may hold that many line breaks; then it is an open quote


class NumberedLines:
    """Numbered lines that can be given back, so that a swallowed line gets its second chance."""

    def __init__(self, numbered: Iterator[tuple[int, str]]) -> None:
        self._file = numbered
        self._returned: deque[tuple[int, str]] = deque()
        self.refused = ""
        """The line of the last fault."""

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return self

    def __next__(self) -> tuple[int, str]:
        return self._returned.popleft() if self._returned else next(self._file)

    def push_back(self, lines: list[tuple[int, str]]) -> None:
        """Read these again, before all others."""
        self._returned.extendleft(reversed(lines))


def records(lines: NumberedLines, delimiter: str, width: int | None) -> Iterator[tuple[int, list[str] | None, str]]:
    """(line, fields, "") or (line, None, what was expected) for each record of a delimited text.

    A record that spans lines but does not fit is one broken line: what follows it is read again.
    """
    for number, line in lines:
        consumed = [(number, line)]
        fields: list[str] | None
        if '"' in line:
            fields, fault = _quoted(consumed, lines, delimiter)
        elif bare := line.rstrip("\r\n"):
            fields, fault = bare.split(delimiter), ""
        else:
            continue
        if fields is not None and width is not None and len(fields) != width:
            fault = f"{width} fields, got {len(fields)}"
            fields = None
        if fields is None:
            lines.push_back(consumed[1:])
            lines.refused = line
        yield number, fields, fault


def _quoted(consumed: list[tuple[int, str]], lines: NumberedLines, delimiter: str) -> tuple[list[str] | None, str]:
    def feed() -> Iterator[str]:
        yield consumed[0][1]
        while len(consumed) < _RECORD_LINES and (following := next(lines, None)) is not None:
            consumed.append(following)
            yield following[1]

    try:
        return next(csv.reader(feed(), delimiter=delimiter, strict=True)), ""
    except csv.Error as wrong:
        return None, f"well-formed quotes ({wrong})"
