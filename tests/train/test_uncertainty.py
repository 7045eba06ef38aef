"""Standard errors by boosters on visitors drawn anew: what is drawn, and whether they tell how sure a score is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.site.recipes import TreeRecipe, UncertaintyRecipe
from hub.train.boosting import Lesson
from hub.train.uncertainty import fit_bags, redrawn


def lesson(sizes: list[int], seed: int = 0) -> Lesson:
    """Each row says in its first column whose choice it belongs to, in its second which row it is."""
    count = sum(sizes)
    matrix = np.stack([np.repeat(np.arange(len(sizes)), sizes), np.arange(count)], axis=1).astype(np.float32)
    label = (np.random.default_rng(seed).random(count) < 0.4).astype(np.float32)
    return Lesson(("choice", "row"), matrix, label, label, np.array(sizes, np.int64))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=30), st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_a_visitor_is_drawn_with_all_his_choices(sizes: list[int], seed: int, visitors: int) -> None:
    made = lesson(sizes)
    unit = np.arange(len(sizes)) % visitors
    drawn = redrawn(made, unit, np.random.default_rng(seed))
    assert int(drawn.size.sum()) == len(drawn.matrix) == len(drawn.label)
    starts = np.cumsum(drawn.size) - drawn.size
    times = np.zeros(len(sizes), np.int64)
    for start, size in zip(starts.tolist(), drawn.size.tolist(), strict=True):
        rows = drawn.matrix[start : start + size]
        choice = int(rows[0, 0])
        assert size == sizes[choice]
        assert (rows == made.matrix[made.matrix[:, 0] == choice]).all(), "rows of a choice stay together"
        times[choice] += 1
    for visitor in range(min(visitors, len(sizes))):
        assert len(np.unique(times[unit == visitor])) == 1, "all choices of a visitor, equally often"
    assert sum(times[unit == visitor][0] for visitor in np.unique(unit)) == len(np.unique(unit))


def world(count: int, seed: int) -> Lesson:
    """A quarter of the rows are about a common item, few about a rare one; both are wanted every second time."""
    rng = np.random.default_rng(seed)
    item = np.where(rng.random(count) < 0.95, 0.0, 1.0)
    matrix = np.stack([item, rng.random(count)], axis=1).astype(np.float32)
    label = (rng.random(count) < 0.5).astype(np.float32)
    return Lesson(("item", "noise"), matrix, label, label, np.ones(count, np.int64))


def test_what_was_seen_rarely_is_less_sure_and_more_rows_make_surer() -> None:
    trees, recipe = TreeRecipe(min_data_in_leaf=5), UncertaintyRecipe(bags=8, rounds=10)
    asked = np.stack([np.repeat([0.0, 1.0], 50), np.tile(np.linspace(0, 1, 50), 2)], axis=1).astype(np.float32)
    errors = {}
    for count in (1_000, 5_000):
        made = fit_bags(world(count, 1), trees, recipe, 3, unit=None, what="bags", progress=lambda *_: None)
        said = made.scores(asked)
        assert said.shape == (100, 2)
        assert len(made.gains) == 2
        errors[count] = said[:50, 1].mean(), said[50:, 1].mean()
    assert errors[1_000][1] > errors[1_000][0]
    assert errors[5_000][0] < errors[1_000][0]


def test_choices_of_one_visitor_are_no_independent_witnesses() -> None:
    """Rows that all come from ten visitors: taken for independent they would look surer than they are."""
    rng = np.random.default_rng(5)
    visitor = np.repeat(np.arange(20), 100)
    likes = rng.random(20)[visitor]
    label = (rng.random(2_000) < likes).astype(np.float32)
    made = Lesson(("item",), rng.integers(0, 2, (2_000, 1)).astype(np.float32), label, label, np.ones(2_000, np.int64))
    trees, recipe = TreeRecipe(min_data_in_leaf=5), UncertaintyRecipe(bags=16, rounds=10)
    asked = np.array([[0.0], [1.0]], np.float32)
    errors = [
        fit_bags(made, trees, recipe, 1, unit=unit, what="bags", progress=lambda *_: None).scores(asked)[:, 1].mean()
        for unit in (None, visitor)
    ]
    assert errors[1] > 1.5 * errors[0]


def test_same_seed_same_bags() -> None:
    trees, recipe = TreeRecipe(min_data_in_leaf=5), UncertaintyRecipe(bags=4, rounds=5)
    made = [
        fit_bags(world(600, 2), trees, recipe, 9, unit=None, what="bags", progress=lambda *_: None) for _ in range(2)
    ]
    assert [one.model_to_string() for one in made[0].boosters] == [one.model_to_string() for one in made[1].boosters]
    assert made[0].boosters[0].model_to_string() != made[0].boosters[1].model_to_string()


@pytest.mark.parametrize(("rate", "rounds", "expected"), [(0.08, 100, 0.8 / 3), (0.2, 100, 0.3), (0.5, 10, 0.5)])
def test_fewer_trees_learn_faster_up_to_a_bound(rate: float, rounds: int, expected: float) -> None:
    trees = TreeRecipe(rounds=rounds, learning_rate=rate, min_data_in_leaf=5)
    made = fit_bags(
        world(400, 2), trees, UncertaintyRecipe(bags=4, rounds=30), 0, unit=None, what="", progress=lambda *_: None
    )
    assert made.boosters[0].params["learning_rate"] == pytest.approx(expected)
