"""Which candidates a matrix of features is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgewise.ids import ItemId
from edgewise.request import Candidate

Codes = NDArray[np.intp]


class Rows:
    """Which candidates a matrix is about.

    `codes` are catalogue codes, shape (n,), `bundle.items.UNKNOWN` for what the catalogue does not hold. `brought`
    are the candidates that the caller brought, n of them, or None when all come from the catalogue.
    """

    __slots__ = ("brought", "codes")

    def __init__(self, codes: Codes, brought: Sequence[Candidate] | None = None) -> None:
        """`brought[i]` belongs to `codes[i]`."""
        self.codes = codes
        self.brought = brought

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, places: Codes) -> Rows:
        """The rows at `places`, in their order."""
        brought = None if self.brought is None else [self.brought[place] for place in places.tolist()]
        return Rows(self.codes[places], brought)


def joined(parts: Sequence[Rows]) -> Rows:
    """All rows of `parts`, one behind the other; catalogue rows stay what they are."""
    if len(parts) == 1:
        return parts[0]
    codes = np.concatenate([part.codes for part in parts])
    if all(part.brought is None for part in parts):
        return Rows(codes)
    return Rows(codes, [candidate for part in parts for candidate in part.brought or [_PLAIN] * len(part)])


_PLAIN: Final = Candidate(ItemId(""))
"""Stands for a catalogue row among brought ones: it states no attribute of its own."""
