"""Rows of a source that were refused, written aside as they are found: a file of nothing else costs no memory."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final, Self

from edgewise.errors import Problem
from hub.imports.reject_table import RejectTable
from hub.sources.fault import Fault

SHOWN: Final = 20


class SourceRejects:
    """A CSV of `row, column, value, reason, expected`; takes its place at the end, only when something is in it.

    Without a path nothing is written: the first ones and the counts are kept in any case.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.count = 0
        self.first: list[tuple[int, Fault]] = []
        self.reasons: Counter[str] = Counter()
        """Column and reason -> rows."""
        self._table = None if path is None else RejectTable(path, ["row", "column", "value", "reason", "expected"])

    def __enter__(self) -> Self:
        if self._table is not None:
            self._table.__enter__()
        return self

    def __exit__(self, *why: object) -> None:
        if self._table is not None:
            self._table.__exit__(*why)

    def add(self, row: int, fault: Fault) -> None:
        """Note one row."""
        self.count += 1
        kind = f"{fault.column}: {fault.reason}" if fault.column else fault.reason
        if kind in self.reasons or len(self.reasons) < SHOWN * SHOWN:
            self.reasons[kind] += 1
        if len(self.first) < SHOWN:
            self.first.append((row, fault))
        if self._table is not None:
            # a spreadsheet would run a cell that begins like a formula
            value = f"'{fault.value}" if fault.value[:1] in "=+-@" and not _is_number(fault.value) else fault.value
            self._table.write([row, fault.column, value, fault.reason, fault.expected])

    def problems(self) -> tuple[Problem, ...]:
        """The first ones, as error messages list them."""
        return tuple(
            Problem(f"row {row}" + (f", column {fault.column}" if fault.column else ""), fault.problems[0].message)
            for row, fault in self.first
        )


def _is_number(text: str) -> bool:
    return text.lstrip("+-").replace(".", "", 1).isdigit()
