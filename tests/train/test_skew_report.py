"""`hub.train.skew`: two sets of rows, cell by cell, and what a person is told of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgewise.ids import DecisionId, ItemId, PlacementName
from edgewise.records import FeatureRows
from hub.train.skew import Compared, Example, FeatureSkew, Skew, compared
from hub.train.skew_report import left_out, skew_page, verdict

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


def test_damaged_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="7 bytes of 1 rows of 2 columns"):
        compared(FeatureRows(("a", "b"), (ItemId("x"),), bytes(7)), None)


@given(arrays.arrays(np.float32, st.tuples(st.integers(0, 4), st.integers(0, 4)), elements=st.floats(width=32)))
def test_rows_are_like_themselves_also_where_nothing_is_known(matrix: np.ndarray) -> None:
    names = tuple(f"f{column}" for column in range(matrix.shape[1]))
    items = tuple(ItemId(f"i{row}") for row in range(matrix.shape[0]))
    same = FeatureRows(names, items, matrix.astype("<f4").tobytes())
    assert not compared(same, same).differs().any()


def skew(*features: FeatureSkew, **told: object) -> Skew:
    unequal = sum(feature.unequal for feature in features)
    found = {"decisions": 3, "rows": 30, "unequal": unequal, "left_out": {}, "examples": [], **told}
    return Skew(features=list(features), **found)  # type: ignore[arg-type]


def test_a_page_tells_what_differs_and_what_was_not_compared() -> None:
    example = Example(DecisionId("d"), PlacementName("<list>"), ItemId("tea"), "hour", 3.0, None)
    found = skew(
        FeatureSkew("hour", 30, 1, 2, 3, 11.0),
        FeatureSkew("genre", 30, 0, 0, 0, 0.0),
        left_out={"no-profile": 4, "a new reason": 1},
        examples=[example],
        first_ms=0,
        last_ms=86_400_000,
    )
    html = skew_page(found, "ranker")
    for text in ("6 cells", "hour", "none", "&lt;list&gt;", "1970-01-02", "4 decisions left out"):
        assert text in html
    assert left_out(found)[1] == "1 decisions left out: a new reason"
    assert "class=warning" in html


def test_a_verdict_is_one_sentence() -> None:
    assert verdict(skew(FeatureSkew("hour", 30, 0, 0, 0, 0.0))).startswith("No skew: 30 rows of 3 decisions")
    assert verdict(skew(FeatureSkew("hour", 30, 0, 1, 0, 0.0))).endswith("not what the hub computes: hour.")
    assert "nothing is known" in verdict(skew(decisions=0, rows=0))
