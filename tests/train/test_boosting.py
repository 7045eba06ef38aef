"""`hub.train.boosting`: weights and grades reach the trees, codes are split by sets, nonsense is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgewise.errors import InputError, ModelRefused
from edgewise.features.encodings import Code
from edgewise.features.table import FeatureTable, ItemAttribute
from hub.site.recipes import TreeRecipe
from hub.train.boosting import Lesson, categorical_of, check_lesson, fit_trees, raw_scores

TREES = TreeRecipe(rounds=15, num_leaves=4, min_data_in_leaf=5)
LISTS, EACH = 300, 4


def lesson(*, dear: float = 1.0) -> Lesson:
    """Lists of four: the first or the second kind is wanted, alike often; the second is worth `dear`."""
    rng = np.random.default_rng(2)
    kind = np.tile(np.arange(EACH), LISTS)
    label = (kind == np.repeat(rng.integers(0, 2, LISTS), EACH)).astype(np.float32)
    matrix = np.column_stack([kind, rng.random(len(kind))]).astype(np.float32)
    gain = np.where(kind == 1, dear, 1.0).astype(np.float32) * label
    return Lesson(("kind", "noise"), matrix, label, gain, np.full(LISTS, EACH))


def fitted(of: Lesson, objective: str = "binary", seed: int = 0) -> list[float]:
    """What the trees say of the kinds."""
    trees = replace_objective(objective)
    booster = fit_trees(of, trees, seed, what="", progress=lambda *_: None)
    rows = np.column_stack([np.arange(EACH), np.full(EACH, 0.5)]).astype(np.float32)
    return [float(score) for score in raw_scores(booster, rows)]


def replace_objective(objective: str) -> TreeRecipe:
    return TreeRecipe(objective, TREES.rounds, TREES.num_leaves, 0.1, TREES.min_data_in_leaf)  # type: ignore[arg-type]


@pytest.mark.parametrize("objective", ["binary", "lambdarank"])
def test_what_is_worth_more_stands_higher_where_it_is_wanted_as_often(objective: str) -> None:
    alike, dear = fitted(lesson(), objective), fitted(lesson(dear=10.0), objective)
    assert min(alike[:2]) > max(alike[2:])
    assert dear[1] - dear[0] > abs(alike[1] - alike[0]) + 0.3
    assert dear[1] > max(dear[2:])


def test_more_grades_than_lightgbm_takes_are_put_together() -> None:
    rng = np.random.default_rng(0)
    of = lesson()
    weighed = replace(of, gain=of.label * rng.uniform(1, 100, len(of)).astype(np.float32))
    scores = fitted(weighed, "lambdarank")
    assert min(scores[:2]) > max(scores[2:])


def test_columns_whose_numbers_are_names_are_split_by_sets() -> None:
    table = FeatureTable(
        [Code(name="kind", of="item.kind", values=("a", "b")), ItemAttribute(name="noise", attribute="noise")]
    )
    assert categorical_of(table) == ("kind",)
    of = replace(lesson(), categorical=("kind",))
    booster = fit_trees(of, TREES, 0, what="", progress=lambda *_: None)
    assert "decision_type=1" in booster.model_to_string()


@pytest.mark.parametrize("wanted", [0.0, 1.0])
def test_rows_of_one_class_are_refused(wanted: float) -> None:
    of = lesson()
    with pytest.raises(InputError, match="of 1,200 rows were wanted; expected some that were and some others"):
        check_lesson(replace(of, label=np.full(len(of), wanted, np.float32)))


def test_columns_that_are_missing_everywhere_are_refused() -> None:
    of = lesson()
    with pytest.raises(InputError, match="all 2 columns are missing in all 1,200 rows"):
        check_lesson(replace(of, matrix=np.full_like(of.matrix, np.nan)))


def test_one_column_that_is_missing_everywhere_harms_nothing() -> None:
    of = lesson()
    matrix = of.matrix.copy()
    matrix[:, 1] = np.nan
    scores = fitted(replace(of, matrix=matrix))
    assert min(scores[:2]) > max(scores[2:])


def test_more_trees_that_learn_nothing_are_refused() -> None:
    parent = fit_trees(lesson(), TREES, 0, what="", progress=lambda *_: None)
    of = lesson()
    blind = replace(of, matrix=np.ones_like(of.matrix))
    with pytest.raises(ModelRefused) as refused:
        fit_trees(blind, TREES, 0, what="", progress=lambda *_: None, parent=parent)
    assert refused.value.code == "nothing-learned"
