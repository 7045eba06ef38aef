"""EASE against a twin in plain Python, and against what makes it the optimum."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from edgewise.errors import InputError
from hub.recommend import ease, popular

tiny = st.integers(1, 6).flatmap(
    lambda items: st.lists(st.lists(st.sampled_from([0, 1]), min_size=items, max_size=items), min_size=1, max_size=8)
)


def exact_inverse(square: list[list[Fraction]]) -> list[list[Fraction]]:
    """Gauss-Jordan without rounding."""
    size = len(square)
    work = [row + [Fraction(int(i == j)) for j in range(size)] for i, row in enumerate(square)]
    for pivot in range(size):
        best = next(row for row in range(pivot, size) if work[row][pivot] != 0)
        work[pivot], work[best] = work[best], work[pivot]
        work[pivot] = [value / work[pivot][pivot] for value in work[pivot]]
        for row in range(size):
            if row != pivot:
                factor = work[row][pivot]
                work[row] = [a - factor * b for a, b in zip(work[row], work[pivot], strict=True)]
    return [row[size:] for row in work]


def naive_ease(history: list[list[int]], l2: int) -> list[list[Fraction]]:
    items = len(history[0])
    gram = [
        [Fraction(sum(user[i] * user[j] for user in history)) + (l2 if i == j else 0) for j in range(items)]
        for i in range(items)
    ]
    inverse = exact_inverse(gram)
    return [[Fraction(0) if i == j else -inverse[i][j] / inverse[j][j] for j in range(items)] for i in range(items)]


@given(tiny, st.integers(1, 50))
def test_equals_exact_arithmetic(history: list[list[int]], l2: int) -> None:
    weights = ease.fit(csr_array(np.array(history, dtype=float)), l2=l2)
    expected = np.array([[float(value) for value in row] for row in naive_ease(history, l2)])
    np.testing.assert_allclose(weights, expected, rtol=1e-9, atol=1e-12)


@given(tiny, st.integers(0, 2**32 - 1))
def test_no_other_weights_without_diagonal_have_a_smaller_loss(history: list[list[int]], seed: int) -> None:
    x = np.array(history, dtype=float)
    weights = ease.fit(csr_array(x), l2=2.0)

    def loss(b: np.ndarray) -> float:
        return float(((x - x @ b) ** 2).sum() + 2.0 * (b**2).sum())

    step = np.random.default_rng(seed).normal(scale=0.01, size=weights.shape)
    np.fill_diagonal(step, 0.0)
    assert np.diag(weights).tolist() == [0.0] * len(weights)
    assert loss(weights) <= loss(weights + step) + 1e-12


@given(tiny)
def test_scores_add_up_the_rows_of_the_history(history: list[list[int]]) -> None:
    x = csr_array(np.array(history, dtype=float))
    weights = ease.fit(x, l2=3.0)
    for user, row in enumerate(ease.scores(x, weights)):
        np.testing.assert_allclose(row, weights[np.flatnonzero(history[user])].sum(axis=0), atol=1e-12)


@pytest.mark.parametrize("l2", [0.0, -1.0, float("nan"), float("inf")])
def test_a_lambda_that_is_none_is_refused(l2: float) -> None:
    with pytest.raises(InputError, match="expected a number above 0"):
        ease.fit(csr_array(np.eye(2)), l2=l2)


def test_too_many_items_are_refused_before_the_memory_is_taken() -> None:
    with pytest.raises(InputError, match="20,001 items need 6 GB"):
        ease.fit(csr_array((1, 20_001)), l2=1.0)


def test_popularity_counts_users() -> None:
    assert popular.fit(csr_array(np.array([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))).tolist() == [2.0, 0.0, 1.0]
