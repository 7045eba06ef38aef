"""Feature rows as nodes log them, read back as a matrix: a row an item, a column a feature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgewise.records import FeatureRows

Matrix = NDArray[np.float32]
_FLOAT_BYTES: Final = 4


def matrix_of(rows: FeatureRows) -> Matrix:
    """Float32 (items, columns), to the bit as it was logged. Raises ValueError for damaged bytes."""
    if len(rows.data) != len(rows.items) * len(rows.names) * _FLOAT_BYTES:
        raise ValueError(f"{len(rows.data)} bytes of {len(rows.items)} rows of {len(rows.names)} columns")
    return np.frombuffer(rows.data, "<f4").reshape(len(rows.items), len(rows.names))


def columns_of(rows: FeatureRows, names: Sequence[str], left_out: Counter[str]) -> Matrix | None:
    """Float32 (items, len(names)); None, and counted as `other-columns` or `damaged`, where that cannot be had."""
    if not set(names) <= set(rows.names):
        left_out["other-columns"] += 1
        return None
    try:
        whole = matrix_of(rows)
    except ValueError:
        left_out["damaged"] += 1
        return None
    return whole[:, [rows.names.index(name) for name in names]].astype(np.float32)
