"""Item-kNN against its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from edgewise.errors import InputError
from hub.recommend import itemknn

tiny = st.integers(2, 6).flatmap(
    lambda items: st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=items, max_size=items), min_size=1)
)


@given(tiny, st.floats(0, 50))
def test_is_the_shrunk_cosine(rows: list[list[float]], shrink: float) -> None:
    x = np.array(rows)
    found = itemknn.fit(csr_array(x), neighbours=len(x[0]), shrink=shrink)
    for i, a in enumerate(x.T):
        for j, b in enumerate(x.T):
            below = np.sqrt(a @ a) * np.sqrt(b @ b) + shrink
            assert found[i, j] == pytest.approx(0.0 if i == j or below == 0 else a @ b / below)


@given(tiny, st.integers(1, 4))
def test_of_a_scored_item_only_the_most_alike_speak(rows: list[list[float]], neighbours: int) -> None:
    every = itemknn.fit(csr_array(np.array(rows)), neighbours=99, shrink=1.0)
    found = itemknn.fit(csr_array(np.array(rows)), neighbours=neighbours, shrink=1.0)
    for column, whole in zip(found.T, every.T, strict=True):
        best = sorted(range(len(whole)), key=lambda row: (-whole[row], row))[:neighbours]
        np.testing.assert_array_equal(column, [whole[row] if row in best else 0.0 for row in range(len(whole))])


@pytest.mark.parametrize(("neighbours", "shrink"), [(0, 1.0), (1, -1.0), (1, float("nan"))])
def test_a_setting_out_of_range_is_refused(neighbours: int, shrink: float) -> None:
    with pytest.raises(InputError, match="expected"):
        itemknn.fit(csr_array(np.eye(2)), neighbours=neighbours, shrink=shrink)
