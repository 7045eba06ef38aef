"""Where the rows of a table stand in the file that it was read from, so that a fault can be found there."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from hub.tables import FileFormat, file_format


class Origin(NamedTuple):
    """The file and the place of each row."""

    file: str
    rows: NDArray[np.int64]
    """From 1, and the header of delimited text is row 1; lines that hold nothing are none."""

    @classmethod
    def of(cls, path: Path, count: int) -> Self:
        """Of a table of `count` rows as `hub.tables.read_table` reads it."""
        form = file_format(path)
        first = 2 if form in {None, FileFormat.CSV} else 1  # an unknown ending is read as delimited text
        return cls(str(path), np.arange(first, first + count))

    @classmethod
    def nowhere(cls, count: int) -> Self:
        """Of a table that was never a file."""
        return cls("table", np.arange(1, count + 1))

    def kept(self, mask: NDArray[np.bool_]) -> Self:
        """Of those rows alone; `mask` has shape (rows,)."""
        return self._replace(rows=self.rows[mask])

    def place(self, index: int, column: str) -> str:
        """A cell, as a list of problems names it."""
        return f"row {self.rows[index]}, column {column}"
