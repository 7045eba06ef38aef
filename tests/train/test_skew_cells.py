"""`hub.train.skew_cells`: two sets of rows, cell by cell."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgewise.ids import ItemId
from edgewise.records import FeatureRows
from hub.train.skew_cells import Compared, compared

NONE = math.nan


def rows(names: str, items: str, values: list[list[float]]) -> FeatureRows:
    data = np.array(values, "<f4").tobytes()
    return FeatureRows(tuple(names.split()), tuple(ItemId(item) for item in items.split()), data)


def differing(pair: Compared) -> list[tuple[str, str]]:
    return [(pair.items[row], pair.names[column]) for row, column in np.argwhere(pair.differs()).tolist()]


def test_cells_are_compared_by_item_and_column_whatever_their_order() -> None:
    logged = rows("a b", "x y", [[1, 2], [NONE, 4]])
    replayed = rows("b a", "y z x", [[4, NONE], [7, 8], [2, 1]])
    pair = compared(logged, replayed)
    assert (pair.names, pair.items) == (("a", "b"), ("x", "y"))
    assert differing(pair) == []


@pytest.mark.parametrize(
    ("replayed", "expected"),
    [
        (rows("a b", "x y", [[1, 2.0000002], [NONE, 4]]), [("x", "b")]),
        (rows("a b", "x y", [[1, NONE], [NONE, 4]]), [("x", "b")]),
        (rows("a b", "x y", [[1, 2], [0, 4]]), [("y", "a")]),
        (rows("a", "x y", [[1], [NONE]]), [("x", "b"), ("y", "b")]),
        (rows("a b c", "x y", [[1, 2, 3], [NONE, 4, NONE]]), [("x", "c")]),
        (rows("a b", "x", [[1, 2]]), [("y", "b")]),
        (None, [("x", "a"), ("x", "b"), ("y", "b")]),
    ],
)
def test_one_bit_one_number_one_column_or_one_item_is_a_difference(
    replayed: FeatureRows | None, expected: list[tuple[str, str]]
) -> None:
    assert differing(compared(rows("a b", "x y", [[1, 2], [NONE, 4]]), replayed)) == expected


def test_two_infinities_are_alike_and_nothing_lies_between_them() -> None:
    pair = compared(rows("a b c", "x", [[math.inf, math.inf, 1]]), rows("a b c", "x", [[math.inf, 2, NONE]]))
    assert differing(pair) == [("x", "b"), ("x", "c")]
    assert pair.apart().tolist() == [[0.0, math.inf, 0.0]]


def test_damaged_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="7 bytes of 1 rows of 2 columns"):
        compared(FeatureRows(("a", "b"), (ItemId("x"),), bytes(7)), None)


@given(arrays.arrays(np.float32, st.tuples(st.integers(0, 4), st.integers(0, 4)), elements=st.floats(width=32)))
def test_rows_are_like_themselves_also_where_nothing_is_known(matrix: np.ndarray) -> None:
    names = tuple(f"f{column}" for column in range(matrix.shape[1]))
    items = tuple(ItemId(f"i{row}") for row in range(matrix.shape[0]))
    same = FeatureRows(names, items, matrix.astype("<f4").tobytes())
    assert not compared(same, same).differs().any()
