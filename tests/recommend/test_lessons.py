"""What methods are shown of a history: the chosen rows alone."""

import numpy as np
import pytest

from hub.recommend.interactions import encode, moments
from hub.recommend.lessons import Lessons


def test_a_moment_is_the_last_use_in_the_chosen_rows() -> None:
    history = encode(["u", "u", "u", "v"], ["a", "b", "a", "a"], time=[10.0, 30.0, 20.0, 99.0])
    np.testing.assert_array_equal(moments(history, np.array([0, 1, 2])).toarray(), [[11.0, 21.0], [0.0, 0.0]])
    np.testing.assert_array_equal(moments(history, np.array([2, 0])).toarray(), [[11.0, 0.0], [0.0, 0.0]])


def test_without_time_the_place_in_the_file_is_the_moment() -> None:
    history = encode(["u", "u", "u"], ["a", "b", "a"])
    np.testing.assert_array_equal(moments(history, np.arange(3)).toarray(), [[3.0, 2.0]])


def test_liking_raises_what_was_liked_and_sums_up_to_a_mean() -> None:
    history = encode(["u", "u", "v", "v"], ["a", "b", "a", "a"], rating=[5.0, 1.0, 5.0, 1.0])
    liked = Lessons(history, np.arange(4)).liked(0.5).toarray()
    np.testing.assert_allclose(liked, [[1.5, 0.5], [1.0, 0.0]])  # z is 1 and -1


def test_disliked_is_still_used() -> None:
    history = encode(["u", "u"], ["a", "b"], rating=[5.0, 1.0])
    assert Lessons(history, np.arange(2)).liked(9.0).toarray().min() > 0


@pytest.mark.parametrize("rating", [None, [3.0, 3.0]])
def test_without_differing_ratings_nothing_is_liked_more(rating: list[float] | None) -> None:
    lessons = Lessons(encode(["u", "v"], ["a", "b"], rating=rating), np.arange(2))
    assert lessons.liked(0.5) is lessons.history
