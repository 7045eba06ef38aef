"""How many of the last touched items share a value with each candidate.

Each of the last items is one bit. A value's mask says which of them have it; a candidate's is the union of its
values' masks, so that an item that shares two values with it counts once. Counting bits is one pass for all candidates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.attributes import texts_of
from edgewise.bundle.items import Dimension
from edgewise.features.rows import Rows
from edgewise.ids import ItemId
from edgewise.request import Candidate

Codes = NDArray[np.intp]


class Touched(NamedTuple):
    """The last items, as far as they have a value in one dimension."""

    masks: NDArray[np.uint64]
    """Value code -> which of the items have it; 0 for the pad. Shape (values + 1,)."""
    holders: int
    """Items with a value."""


def touched(dimension: Dimension, code_of: dict[ItemId, int], history: Sequence[ItemId]) -> Touched:
    """Of at most 64 items, latest first."""
    masks = [0] * (dimension.pad + 1)
    count = 0
    for item in history:
        code = code_of.get(item)
        if code is None or not dimension.count[code] > 0:  # NaN without any
            continue
        for value in dimension.codes[:, code].tolist():
            if value == dimension.pad:
                break
            masks[value] |= 1 << count
        count += 1
    return Touched(np.array(masks, np.uint64), count)


def shares(dimension: Dimension, codes: Codes, last: Touched) -> NDArray[np.float64]:
    """Share of the items that have a value of each candidate's, NaN for a candidate without values; shape (n,)."""
    if not last.holders:
        return np.full(len(codes), np.nan)
    union = np.bitwise_or.reduce(last.masks.take(dimension.codes.take(codes, axis=1)), axis=0, dtype=np.uint64)
    shared: NDArray[np.float64] = np.bitwise_count(union) / last.holders
    shared[np.isnan(dimension.count.take(codes))] = np.nan
    return shared


def stated_shares(
    column: NDArray[np.float64], dimension: Dimension, name: str, brought: Sequence[Candidate], last: Touched
) -> None:
    """The same for candidates that state their values themselves, over what the catalogue says of them; in place."""
    for place, candidate in enumerate(brought):
        if name not in candidate.attributes:
            continue
        values = texts_of(candidate.attributes[name])
        if not values or not last.holders:
            column[place] = np.nan
            continue
        union = 0
        for text in values:
            code = dimension.value_code.get(text)
            union |= 0 if code is None else int(last.masks[code])
        column[place] = union.bit_count() / last.holders


def score_matches(said: Mapping[str, float], dimension: Dimension, name: str, rows: Rows) -> NDArray[np.float64]:
    """The largest of what a visitor score says of each candidate's values in attribute `name`; shape (n,).

    0 where no value is one of its classes; NaN for a candidate without values, and for all where nothing is `said`.
    """
    if not said:
        return np.full(len(rows), np.nan)
    by_code = np.zeros(dimension.pad + 1)
    for text, number in said.items():
        code = dimension.value_code.get(text)
        if code is not None:
            by_code[code] = number
    column: NDArray[np.float64] = np.maximum.reduce(by_code.take(dimension.codes.take(rows.codes, axis=1)), axis=0)
    column[np.isnan(dimension.count.take(rows.codes))] = np.nan
    for place, candidate in enumerate(rows.brought or ()):
        if name in candidate.attributes:
            values = texts_of(candidate.attributes[name])
            column[place] = max((said.get(text, 0.0) for text in values), default=math.nan)
    return column
