"""The choice among methods, which knows nothing of what it is judged by."""

import numpy as np
import pytest

from edgewise.errors import InputError
from hub.datasets.world import simulate
from hub.recommend.auto import choose
from hub.recommend.interactions import encode
from hub.recommend.lessons import Lessons
from hub.recommend.methods import METHODS
from hub.recommend.split import parse_split
from hub.recommend.tuning import tuned, validation


def test_the_best_on_the_validation_part_is_chosen() -> None:
    ratings = simulate(visitors=30, films=20, events=400).ratings
    history = encode(ratings.user, ratings.item, time=ratings.time_s)
    about = np.eye(4)[np.arange(len(history.items)) % 4]
    said: list[str] = []
    found = choose(Lessons(history, np.arange(250), about), parse_split("random:0.2"), seed=1, tell=said.append)
    worth = [attempt.worth for attempt in found.tried if attempt.worth is not None]
    best = next(attempt for attempt in found.tried if attempt.worth == max(worth))
    assert (found.method, found.settings) == (best.method, best.settings)
    assert {attempt.method for attempt in found.tried} == set(METHODS)
    assert set(METHODS) <= set(said)
    decayed = [attempt.settings["half_life"] > 0 for attempt in found.tried if attempt.method == "popular"]
    assert decayed == [False, True]


@pytest.mark.parametrize("named", ["time:0.8", "leave-one-out"])
def test_the_blend_is_not_tuned_on_the_part_that_compares(named: str) -> None:
    ratings = simulate(visitors=50, films=25, events=600).ratings
    history = encode(ratings.user, ratings.item, time=ratings.time_s)
    lessons, split = Lessons(history, np.arange(len(history))), parse_split(named)
    before = Lessons(history, validation(lessons, split, seed=1).train)
    expected, other = (tuned(each, split, folds=1, seed=2).settings for each in (before, lessons))
    assert expected != other, "else this test would tell nothing"
    found = choose(lessons, split, seed=1)
    assert next(attempt.settings for attempt in found.tried if attempt.method == "blend") == expected


def test_nobody_to_validate_by_is_refused() -> None:
    history = encode(["u", "v", "w"], ["a", "a", "b"])
    with pytest.raises(InputError, match="leaves none"):
        choose(Lessons(history, np.arange(3)), parse_split("leave-one-out"), seed=0)
