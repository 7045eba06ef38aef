"""Two sets of feature rows side by side, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.ids import ItemId
from edgewise.records import FeatureRows
from hub.feature_rows import Matrix, matrix_of


class Compared(NamedTuple):
    """Two matrices of the same rows and columns, NaN where there is no number."""

    names: tuple[str, ...]
    items: tuple[ItemId, ...]
    logged: Matrix
    replayed: Matrix

    def differs(self) -> NDArray[np.bool_]:
        """(n, F): to the bit, but every NaN is like every other."""
        here, there = np.isnan(self.logged), np.isnan(self.replayed)
        differing: NDArray[np.bool_] = self.logged.view(np.uint32) != self.replayed.view(np.uint32)
        differing[here | there] = (here != there)[here | there]
        return differing

    def apart(self) -> NDArray[np.float64]:
        """(n, F): how far two numbers lie from each other; 0 where one of them is none."""
        with np.errstate(invalid="ignore"):  # two infinities of one sign: nothing lies between them
            distance = np.abs(self.logged.astype(np.float64) - self.replayed)
        return np.where(np.isnan(distance), 0.0, distance)


def compared(logged: FeatureRows, replayed: FeatureRows | None) -> Compared:
    """The logged rows beside those of the same items in the replay. Raises ValueError for damaged bytes.

    An item or a column that one of both does not have is NaN there.
    """
    others = FeatureRows((), (), b"") if replayed is None else replayed
    names = (*logged.names, *(name for name in others.names if name not in logged.names))
    return Compared(names, logged.items, _matrix(logged, names, logged.items), _matrix(others, names, logged.items))


def _matrix(rows: FeatureRows, names: Sequence[str], items: Sequence[ItemId]) -> Matrix:
    # One more row and column of NaN stand for whatever is not there.
    padded = np.full((len(rows.items) + 1, len(rows.names) + 1), np.nan, np.float32)
    padded[:-1, :-1] = matrix_of(rows)
    row_of = {item: place for place, item in enumerate(rows.items)}
    column_of = {name: place for place, name in enumerate(rows.names)}
    places = [row_of.get(item, -1) for item in items]
    columns = [column_of.get(name, -1) for name in names]
    return np.ascontiguousarray(padded[np.ix_(places, columns)])
