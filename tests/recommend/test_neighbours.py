"""Neighbour lists keep the strongest weights, and score like the matrix that they were cut from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.recommend.neighbours import strongest

squares = st.integers(1, 8).flatmap(
    lambda items: st.lists(
        st.lists(st.sampled_from([-2.0, -0.5, 0.0, 0.25, 0.5, 3.0]), min_size=items, max_size=items),
        min_size=items,
        max_size=items,
    )
)


@given(squares, st.integers(1, 10))
def test_each_item_keeps_its_largest_weights(square: list[list[float]], per_item: int) -> None:
    lists = strongest(np.array(square), per_item=per_item)
    for item, row in enumerate(square):
        order = sorted(range(len(row)), key=lambda other: (-abs(row[other]), other))[:per_item]
        expected = sorted(other for other in order if row[other])
        indices, weights = lists.of(item)
        assert indices.tolist() == expected
        assert weights.tolist() == [row[other] for other in expected]


@given(squares, st.lists(st.integers(0, 7), max_size=6))
def test_uncut_lists_score_like_the_matrix(square: list[list[float]], history: list[int]) -> None:
    weights = np.array(square)
    codes = np.array([item for item in history if item < len(square)], dtype=np.int32)
    lists = strongest(weights, per_item=len(square))
    assert lists.scores(codes).tolist() == weights[codes].sum(axis=0).tolist()


def test_arrays_are_what_an_edge_maps() -> None:
    lists = strongest(np.array([[0.0, 1.0], [0.5, 0.0]]), per_item=1)
    assert [part.dtype.name for part in (lists.indptr, lists.indices, lists.weights)] == ["int32", "int32", "float32"]
    assert (lists.items, lists.indptr.tolist(), lists.indices.tolist()) == (2, [0, 1, 2], [1, 0])


def test_nothing_to_keep_is_no_error() -> None:
    lists = strongest(np.zeros((3, 3)))
    assert lists.indptr.tolist() == [0, 0, 0, 0]
    assert lists.scores(np.array([1], dtype=np.int32)) == pytest.approx(np.zeros(3))


def test_the_matrix_holds_what_the_lists_hold() -> None:
    weights = np.random.default_rng(1).normal(size=(7, 7))
    kept = strongest(weights, per_item=3)
    square = kept.matrix()
    assert (np.count_nonzero(square, axis=1) == 3).all()
    for item in range(7):
        codes, values = kept.of(item)
        np.testing.assert_array_equal(square[item, codes], values)
        history = np.array([item], dtype=np.int32)
        np.testing.assert_array_equal(square[item].astype(np.float32), kept.scores(history))
