"""Rows that an import refused: where, what came, what was expected. One reject for each fault, none dropped."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edgewise.errors import Problem

WHOLE_ROW: Final = ""
"""The column of a fault that no single column has: a missing field, an open quote, wrong JSON."""
_VALUE_CHARACTERS: Final = 200  # enough to find the place; a swallowed file is not copied


class Reject(NamedTuple):
    """One fault of one row."""

    row: int
    """Line in the file, the header of a CSV being line 1; row from 1 in a Parquet file."""
    column: str
    value: str
    expected: str

    def problem(self) -> Problem:
        """The same as an error message lists it."""
        where = f"row {self.row}" + (f", column {self.column}" if self.column else "")
        return Problem(where, f"got {self.value!r}, expected {self.expected}")


class Rejects:
    """Collects faults in the order in which they are found."""

    def __init__(self) -> None:
        self._faults: list[Reject] = []

    def add(self, row: int, column: str, value: str, expected: str) -> None:
        """Note one fault."""
        self._faults.append(Reject(int(row), column, value[:_VALUE_CHARACTERS], expected))

    def extend(self, rows: npt.NDArray[np.int64], column: str, values: Sequence[object], expected: str) -> None:
        """Note the same fault of one column for many rows; a missing value is shown as empty text."""
        for row, value in zip(rows.tolist(), values, strict=True):
            self.add(row, column, "" if value is None else str(value), expected)

    @property
    def rows(self) -> int:
        """How many rows were refused; a row with two faults counts once."""
        return len({fault.row for fault in self._faults})

    def by_column(self) -> dict[str, int]:
        """Faults for each column, most first."""
        return dict(Counter(fault.column for fault in self._faults).most_common())

    def first(self, count: int = 20) -> tuple[Reject, ...]:
        """The first faults by row."""
        return tuple(sorted(self._faults)[:count])

    def write(self, path: Path) -> None:
        """Write `row, column, value, expected` as CSV, sorted by row."""
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(Reject._fields)
            writer.writerows(sorted(self._faults))
