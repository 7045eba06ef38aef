"""`hub.train.tuning`: never below the recipe on what it compares by, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from edgewise.errors import InputError
from edgewise.features.table import FeatureTable, ItemAttribute
from hub.site.recipes import TreeRecipe
from hub.train.dataset import RankingRows, part
from hub.train.tuning import Tuned, tuned

CHOICES, EACH = 120, 8
FEATURES = FeatureTable([ItemAttribute(name=name, attribute=name) for name in ("a", "b")])
BAD = TreeRecipe(rounds=1, num_leaves=2, learning_rate=0.01, min_data_in_leaf=400)


def rows() -> RankingRows:
    """Wanted is the row with the largest of a wave."""
    rng = np.random.default_rng(4)
    matrix = rng.random((CHOICES * EACH, 2)).astype(np.float32)
    wave = np.sin(7 * matrix[:, 0]) + matrix[:, 1]
    best = wave.reshape(CHOICES, EACH).argmax(axis=1) + np.arange(CHOICES) * EACH
    label = np.zeros(len(matrix), np.float32)
    label[best] = 1
    ones = np.ones(CHOICES, np.int64)
    return RankingRows(
        names=("a", "b"),
        matrix=matrix,
        label=label,
        gain=label,
        size=ones * EACH,
        retrieved=ones * EACH,
        visitor=np.arange(CHOICES, dtype=np.int32),
        deed=np.arange(CHOICES),
        rank_by_rule=ones,
        rank_by_retrieval=ones,
    )


def found(trees: TreeRecipe, trials: int, seed: int = 0) -> Tuned:
    return tuned(rows(), FEATURES, trees, k=3, trials=trials, seed=seed)


def test_it_finds_better_settings_and_the_same_again() -> None:
    one = found(BAD, 6)
    assert one.after > one.before
    assert one.trees != BAD
    assert one.trees.objective == BAD.objective
    assert found(BAD, 6) == one


def test_the_recipe_itself_is_the_first_trial() -> None:
    good = TreeRecipe(rounds=40, min_data_in_leaf=10)
    only = found(good, 1)
    assert (only.trees, only.before) == (good, only.after)


def test_too_little_to_tune_on_is_said() -> None:
    with pytest.raises(InputError, match="0 trials; expected at least 1"):
        found(BAD, 0)
    with pytest.raises(InputError, match="1 outcomes to tune on; expected at least 2"):
        tuned(part(rows(), np.arange(CHOICES) == 0), FEATURES, BAD, k=3, trials=1, seed=0)
