"""The filter against the paper's definition, and at its ends."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from edgewise.errors import InputError
from hub.recommend import low_pass


def drawn(users: int = 30, items: int = 12) -> np.ndarray:
    return (np.random.default_rng(4).random((users, items)) < 0.4).astype(float)


def test_is_the_ideal_filter_of_the_paper_off_the_diagonal() -> None:
    x = drawn()
    normalised = x / np.sqrt(np.maximum(x.sum(1), 1))[:, None] / np.sqrt(np.maximum(x.sum(0), 1))
    _, tastes = np.linalg.eigh(normalised.T @ normalised)
    leading = tastes[:, -3:]
    root = np.sqrt(np.maximum(x.sum(0), 1))
    expected = (leading @ leading.T) / root[:, None] * root
    np.fill_diagonal(expected, 0.0)
    found = low_pass.fit(csr_array(x), rank=3, user_power=0.5, item_power=0.5)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_the_same_history_gives_the_same_bytes() -> None:
    history = csr_array(drawn())
    assert low_pass.fit(history, rank=4).tobytes() == low_pass.fit(history, rank=4).tobytes()


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1)])
def test_too_small_for_a_taste_is_no_filter(shape: tuple[int, int]) -> None:
    assert not low_pass.fit(csr_array(np.ones(shape)), rank=3).any()


def test_rank_0_is_no_filter_and_less_is_refused() -> None:
    history = csr_array(drawn())
    assert not low_pass.fit(history, rank=0).any()
    with pytest.raises(InputError, match="rank is -1"):
        low_pass.fit(history, rank=-1)
