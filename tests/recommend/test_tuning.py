"""A search that looks at nothing but what may be learned from."""

import numpy as np
import pytest

from hub.datasets.world import simulate
from hub.recommend.blend import DEFAULTS
from hub.recommend.interactions import Interactions, encode
from hub.recommend.lessons import Lessons
from hub.recommend.split import parse_split
from hub.recommend.tuning import LEAST_GAIN, tuned, validation


@pytest.fixture(scope="module")
def history() -> Interactions:
    ratings = simulate(visitors=40, films=25, events=600).ratings
    return encode(ratings.user, ratings.item, time=ratings.time_s)


@pytest.mark.parametrize("split", ["random:0.2", "per-user:0.25", "per-user:0.1,0.1", "time:0.8", "leave-one-out"])
def test_validation_is_a_part_of_what_may_be_learned(history: Interactions, split: str) -> None:
    rows = np.arange(0, len(history), 2)
    found = validation(Lessons(history, rows), parse_split(split), seed=1)
    np.testing.assert_array_equal(np.sort(np.concatenate(found)), rows)
    assert 0 < len(found.test) < len(found.train)


def test_validation_by_time_comes_after_the_rest(history: Interactions) -> None:
    found = validation(Lessons(history, np.arange(0, 300)), parse_split("time:0.8"), seed=1)
    assert history.time is not None
    assert history.time[found.train].max() <= history.time[found.test].min()


def test_the_best_of_what_was_tried_is_taken_and_other_rows_do_not_matter(history: Interactions) -> None:
    rows = np.arange(0, 300)
    found = tuned(Lessons(history, rows), parse_split("random:0.2"), folds=1)
    worth = {tuple(tried.settings.values()): tried.worth for tried in found.tried}
    assert worth[tuple(found.settings.values())] >= max(worth.values()) - LEAST_GAIN
    assert worth[tuple(found.settings.values())] >= worth[tuple(DEFAULTS.values())]
    other = Interactions(history.users, history.items, history.user.copy(), history.item.copy(), history.time)
    other.item[300:] = 0
    assert tuned(Lessons(other, rows), parse_split("random:0.2"), folds=1) == found
