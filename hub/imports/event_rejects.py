"""Events that an import refused, written aside as they are found: a file of nothing but rejects costs no memory."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgewise.errors import Problem
from hub.imports.reject_table import RejectTable

_SHOWN: Final = 20
_VALUE_CHARACTERS: Final = 200


class EventRejects(RejectTable):
    """A CSV of `line, path, expected, value`; it takes its place at the end, and only when there is something in it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, ["line", "path", "expected", "value"])
        self.count = 0
        self.first: list[Problem] = []

    def add(self, line: int, problem: Problem, content: bytes) -> None:
        """Note one event."""
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(Problem(f"line {line}, {problem.path}", problem.message))
        shown = content[:_VALUE_CHARACTERS].decode("utf-8", "backslashreplace")
        self.write([line, problem.path, problem.message, shown])
