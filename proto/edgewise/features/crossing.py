"""Crosses, computed last: columns of columns that are there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.features.base import BaseFeature
from edgewise.features.encodings import Cross, codes_of, wrong_cross


class Crossing(NamedTuple):
    """One cross, by columns."""

    column: int
    first: int
    second: int
    width: int | None
    """How many codes the second one has; None for a product."""


def crossings(features: Sequence[BaseFeature], column_of: Mapping[str, int]) -> list[Crossing]:
    """All crosses of a table. Raises ValueError for one whose parts are not there, or are no codes."""
    declared = {feature.name: feature for feature in features}
    found = []
    for column, feature in enumerate(features):
        if not isinstance(feature, Cross):
            continue
        wrong = wrong_cross(feature, declared)
        if wrong is not None:
            raise ValueError(f"feature {feature.name!r}: {wrong}")
        first, second = (column_of[name] for name in feature.of)
        codes = codes_of(features[second]) if feature.how == "pair" else None
        found.append(Crossing(column, first, second, codes))
    return found


def cross(matrix: NDArray[np.float32], all_crossings: Sequence[Crossing]) -> None:
    """Fill the columns of crosses, in place; NaN where a part is."""
    for column, first, second, width in all_crossings:
        if width is not None:
            # Codes are whole and a pair stays below 2^24, so that float32 holds it exactly.
            matrix[:, column] = matrix[:, first] * np.float32(width) + matrix[:, second]
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            product = matrix[:, first] * matrix[:, second]
        matrix[:, column] = np.where(np.isfinite(product), product, np.nan)
