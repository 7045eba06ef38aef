"""Which items of a pool are about what the visitor likes: dot products of content vectors, exact up to a size.

A larger pool is read list by list: those whose centroids point the visitor's way come first, until enough rows have
been read. All sums are exact (`bundle.vectors`), so that the same visitor finds the same items on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.vectors import UNIT, Vectors
from edgewise.events import affinity_weight
from edgewise.ids import ItemId
from edgewise.profile.state import DAY_MS, Profile

Places = NDArray[np.intp]
Direction = NDArray[np.float32]
"""(width,), whole numbers from -127 to 127."""

EXACT_ITEMS: Final = 50_000
"""A pool of up to so many is multiplied whole: 6 MB of float32 at a width of 32, a tenth of a millisecond."""
PROBED_ITEMS: Final = 16_384
"""So many rows of a larger pool are read at least."""


class Near(NamedTuple):
    """Items and how alike they are to what the visitor likes, in whole numbers up to 127 x 127; negative is unlike."""

    places: Places
    """In the order of the pool; that of the lists where these were read."""
    scores: NDArray[np.floating]


class Nearness:
    """The vectors of one pool. Immutable, so that threads may share it."""

    def __init__(self, vectors: Vectors, ids: Sequence[ItemId], *, exact_items: int = EXACT_ITEMS) -> None:
        """`ids` are the pool's items; those without a vector are near to nobody."""
        code_of = vectors.code_of
        codes = np.array([code_of.get(item, -1) for item in ids], np.intp)
        places = (codes >= 0).nonzero()[0]
        self._centroids: NDArray[np.float32] | None = None
        self._bounds = np.zeros(0, np.intp)
        if len(places) > exact_items and len(vectors.centroids):
            # Kept as bytes: a million rows are 32 MB, and only those that are read become floats.
            places = places[codes[places].argsort(kind="stable")]
            self._rows: NDArray[np.int8] | NDArray[np.float32] = vectors.rows[codes[places]]
            self._bounds = codes[places].searchsorted(vectors.bounds).astype(np.intp)
            self._centroids = vectors.centroids.astype(np.float32)
        else:
            self._rows = vectors.rows[codes[places]].astype(np.float32)
        self._places = places

    def near(self, taste: Direction, *, probed_items: int = PROBED_ITEMS) -> Near:
        """Items with their scores: all of them, or those of the lists that point the visitor's way."""
        if self._centroids is None:
            return Near(self._places, np.asarray(self._rows @ taste, np.float32))
        order = (-(self._centroids @ taste)).argsort(kind="stable")
        starts, ends = self._bounds[order], self._bounds[order + 1]
        lists = int((ends - starts).cumsum().searchsorted(probed_items)) + 1
        slices = [slice(start, end) for start, end in zip(starts[:lists].tolist(), ends[:lists].tolist(), strict=True)]
        rows = np.concatenate([self._rows[part] for part in slices]).astype(np.float32)
        return Near(np.concatenate([self._places[part] for part in slices]), np.asarray(rows @ taste, np.float32))


def taste(
    history: Sequence[ItemId], profile: Profile, vectors: Vectors, now_ms: int, half_life_days: float
) -> Direction | None:
    """Where a visitor's mind is: the mean of what he touched, by how much a touch says and how long ago it was.

    `history` are items of the profile, latest first. Weights are those of affinities (`events.affinity_weight`),
    halved every `half_life_days`. None where nothing of it has a vector, or all of it adds up to nothing.
    """
    code_of, touches = vectors.code_of, profile.items
    codes: list[int] = []
    weights: list[int] = []
    ages_days: list[float] = []
    for item in history:
        code, touch = code_of.get(item), touches[item]
        weight = affinity_weight(touch.kind, touch.rating if touch.rating >= 0 else None)
        if code is not None and weight:
            codes.append(code)
            weights.append(weight)
            ages_days.append(max(0.0, (now_ms - touch.time_ms) / DAY_MS))
    if not codes:
        return None
    # Counted from the latest touch, which points the same way and never fades to nothing.
    youngest_days = min(ages_days)
    faded = [
        weight * 2.0 ** ((youngest_days - age_days) / half_life_days)
        for weight, age_days in zip(weights, ages_days, strict=True)
    ]
    # Down the first axis NumPy adds one row after the other, so that the sum has one defined order.
    total = np.add.reduce(vectors.rows[codes] * np.array(faded)[:, None], axis=0)
    largest = float(np.abs(total).max())
    # To whole numbers, the largest of which is 127: only the direction counts.
    return np.asarray(np.rint(UNIT * total / largest), np.float32) if largest > 0 else None
