"""What a model saw and brought, cut into stretches of time of equal length. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NOW: Final = 0
"""The number of the latest stretch; the one before it is 1, and so on."""


class SeenRows(NamedTuple):
    """Items that a model put into a slot, one row each, in any order; arrays (rows,) unless said otherwise."""

    names: tuple[str, ...]
    """Columns of `matrix`."""
    matrix: NDArray[np.float32]
    """(rows, columns): what the model saw; NaN is missing."""
    score: Floats
    """What it gave for it."""
    outcome: NDArray[np.bool_]
    """Whether the outcome that it was trained for came of it."""
    time_ms: Ints
    """When it was decided."""
    model_version: Ints
    decision: Ints
    """Rows of one number are of one placement of one decision."""

    def of_version(self, version: int) -> SeenRows:
        """Only what that version scored."""
        return self.kept(self.model_version == version)

    def kept(self, mask: NDArray[np.bool_]) -> SeenRows:
        """Only these rows; `mask` (rows,)."""
        return SeenRows(
            self.names,
            self.matrix[mask],
            self.score[mask],
            self.outcome[mask],
            self.time_ms[mask],
            self.model_version[mask],
            self.decision[mask],
        )


def window_of(time_ms: Ints, end_ms: int, width_ms: int) -> Ints:
    """(rows,) The number of each row's stretch: 0 for [end - width, end), 1 for the one before; -1 from the end on."""
    return np.where(time_ms >= end_ms, -1, (end_ms - 1 - time_ms) // width_ms)


def sizes(window: Ints, count: int) -> Ints:
    """(count,) Rows of each stretch, the latest first."""
    return np.bincount(window[(window >= 0) & (window < count)], minlength=count).astype(np.int64)
