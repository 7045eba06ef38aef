"""Popularity, and how it fades."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from edgewise.errors import InputError
from hub.recommend import popular


def test_a_use_counts_half_as_much_a_half_life_before_the_latest() -> None:
    moments = csr_array([[1.0, 0.0], [11.0, 21.0], [0.0, 21.0]])
    np.testing.assert_allclose(popular.fit_decayed(moments, half_life=10.0), [0.25 + 0.5, 2.0])


def test_a_very_long_half_life_is_no_decay() -> None:
    moments = csr_array([[1.0, 0.0], [11.0, 21.0], [0.0, 21.0]])
    np.testing.assert_allclose(popular.fit_decayed(moments, half_life=1e12), popular.fit(moments > 0))


@pytest.mark.parametrize("half_life", [0.0, -1.0, float("inf"), float("nan")])
def test_a_half_life_that_is_none_is_refused(half_life: float) -> None:
    with pytest.raises(InputError, match="half_life"):
        popular.fit_decayed(csr_array([[1.0]]), half_life=half_life)
