"""Items by what is said of them."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from edgewise.errors import InputError
from hub.recommend import content

CATALOGUE: dict[str, list[str | None]] = {
    "title": ["green tea", "black tea", "red bike", "blue bike", "", "tea for two"],
    "kind": ["tea", "tea", "bike", "bike", None, "tea"],
}


def test_items_of_a_kind_point_the_same_way_and_one_that_says_nothing_nowhere() -> None:
    about = content.learn(CATALOGUE)
    alike = about @ about.T
    assert alike[0, 1] > 0.9
    assert abs(alike[0, 2]) < 0.1
    assert not about[4].any()
    np.testing.assert_allclose(np.diag(alike)[[0, 1, 2, 3, 5]], 1.0)


def test_a_new_item_is_scored_by_what_it_is() -> None:
    moments = csr_array([[1.0, 2.0, 0.0, 0.0, 0.0, 0.0]])
    scores = content.scores(content.learn(CATALOGUE), moments, half_life=0.0)[0]
    assert scores[5] > 0.8
    assert max(scores[2:5]) < 0.1


def test_older_uses_weigh_half_as_much_a_half_life() -> None:
    about = np.eye(2)
    scores = content.scores(about, csr_array([[11.0, 1.0]]), half_life=10.0)[0]
    np.testing.assert_allclose(scores, np.array([1.0, 0.5]) / np.sqrt(1.25))
    np.testing.assert_allclose(content.scores(about, csr_array([[11.0, 1.0]]), half_life=0.0)[0], np.sqrt([0.5, 0.5]))


def test_the_same_catalogue_gives_the_same_bytes() -> None:
    assert content.learn(CATALOGUE).tobytes() == content.learn(CATALOGUE).tobytes()


@pytest.mark.parametrize("half_life", [-1.0, float("nan")])
def test_a_half_life_below_0_is_refused(half_life: float) -> None:
    with pytest.raises(InputError, match="half_life"):
        content.scores(np.eye(1), csr_array([[1.0]]), half_life=half_life)
