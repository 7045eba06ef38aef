"""How alike each candidate is to what a visitor likes: the cosine of content vectors, equal on every machine.

The dot product and both squared lengths are sums of whole numbers below 2^24, exact in any order; a square root and a
quotient of float64 are rounded as IEEE 754 says, so that only the last step rounds, everywhere alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.items import UNKNOWN
from edgewise.bundle.vectors import Vectors
from edgewise.ids import ItemId
from edgewise.nearness import Direction
from edgewise.request import Candidate

Codes = NDArray[np.intp]


class Likeness:
    """The vectors of a catalogue's items. Immutable, so that threads may share it."""

    def __init__(self, vectors: Vectors, items: Sequence[ItemId]) -> None:
        """`items` in the order of their codes."""
        self.vectors = vectors
        code_of = vectors.code_of
        # The last entry, as of every column of the catalogue, is the unknown item's.
        self._row_of: Codes = np.array([*(code_of.get(item, -1) for item in items), -1], np.intp)

    def cosines(
        self, taste: Direction | None, codes: Codes, brought: Sequence[Candidate] | None
    ) -> NDArray[np.float64]:
        """Of the rows `codes`, and of `brought` where the catalogue does not know them, to `taste`; shape (n,)."""
        cosines = np.full(len(codes), np.nan)
        if taste is None or not len(codes):
            return cosines
        rows = self._row_of[codes]
        for place in () if brought is None else np.flatnonzero(codes == UNKNOWN).tolist():
            assert brought is not None
            rows[place] = self.vectors.code_of.get(brought[place].id, -1)
        places = np.flatnonzero(rows >= 0)
        if not len(places):
            return cosines
        found = self.vectors.rows.take(rows[places], axis=0).astype(np.float32)
        squared = np.square(found).sum(axis=1, dtype=np.float32).astype(np.float64)
        length = np.sqrt(squared * float(np.square(taste).sum(dtype=np.float32)))
        # Divided only where there is a direction: an item that is about nothing is like nothing.
        cosines[places] = np.divide(
            found @ taste, length, out=np.full(len(places), np.nan), where=length > 0, dtype=np.float64
        )
        return cosines
