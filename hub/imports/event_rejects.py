"""Events that an import refused, written aside as they are found: a file of nothing but rejects costs no memory."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any, Final, Self

from edgewise.errors import Problem, UnavailableError

_SHOWN: Final = 20
_VALUE_CHARACTERS: Final = 200


class EventRejects:
    """A CSV of `line, path, expected, value`; it takes its place at the end, and only when there is something in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.first: list[Problem] = []
        self._beside = path.with_name(f".{path.name}.{os.getpid()}")

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._beside.open("w", encoding="utf-8", newline="", errors="backslashreplace")
        except OSError as refused:
            raise UnavailableError(f"{self.path.parent}: cannot be written: {refused.strerror}") from None
        self._writer: Any = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(["line", "path", "expected", "value"])
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self.count:
            self._beside.replace(self.path)
        else:
            self._beside.unlink()
            self.path.unlink(missing_ok=True)

    def add(self, line: int, problem: Problem, content: bytes) -> None:
        """Note one event."""
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(Problem(f"line {line}, {problem.path}", problem.message))
        shown = content[:_VALUE_CHARACTERS].decode("utf-8", "backslashreplace")
        self._writer.writerow([line, problem.path, problem.message, shown])
