"""Path attribution: credits add up to the score, and belong to the features on the path."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
from boosters import booster, names, rows
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.scoring.scorer import OnnxScorer
from edgewise.errors import ModelRefused
from hub.export.attribution import export_attribution, leaf_credits
from hub.export.forest import read_forest


def attributed(model: lightgbm.Booster, table: NDArray[np.float32]) -> NDArray[np.float32]:
    return OnnxScorer(export_attribution(model, names(model)).SerializeToString()).attribute(table)


@given(
    seed=st.integers(0, 2**32 - 1),
    objective=st.sampled_from(["binary", "regression", "lambdarank", "poisson"]),
    categories=st.integers(0, 2),
)
def test_credits_add_up_to_the_raw_score(seed: int, objective: str, categories: int) -> None:
    table = rows(np.random.default_rng(seed), 800, categories=categories)
    model = booster(table, objective, seed=seed, categories=categories, rounds=15)
    credit = attributed(model, table)
    raw = np.asarray(model.predict(table, raw_score=True))
    assert credit.shape == (800, 5 + categories + 1)
    np.testing.assert_allclose(credit.sum(axis=1), raw, rtol=1e-4, atol=1e-4)


def test_a_feature_that_no_tree_asks_about_gets_no_credit() -> None:
    rng = np.random.default_rng(1)
    table = rows(rng, 1_000)
    table[:, 3] = 1.0
    assert not attributed(booster(table, "binary"), table)[:, 3].any()


def test_the_bias_is_the_expected_score_and_the_same_for_each_row() -> None:
    table = rows(np.random.default_rng(2), 1_000, missing=0.0)
    model = booster(table, "regression")
    bias = attributed(model, table)[:, -1]
    assert len(set(bias.tolist())) == 1
    # With squared error the expected score of a node is the mean of its rows; the root holds them all.
    assert bias[0] == pytest.approx(np.asarray(model.predict(table)).mean(), abs=0.02)


def test_one_split_credits_its_feature_with_the_step_from_the_root_to_the_leaf() -> None:
    table = rows(np.random.default_rng(3), 500)
    model = booster(table, "regression", rounds=1, num_leaves=2, boost_from_average=False)
    forest = read_forest(model)
    table_of_credits, bias = leaf_credits(forest)
    asked = int(forest.feature[0])
    np.testing.assert_allclose(table_of_credits[:, asked], forest.leaf_value - bias)
    assert not np.delete(table_of_credits, asked, axis=1).any()


def test_a_naive_walk_down_each_path_finds_the_same_credits() -> None:
    table = rows(np.random.default_rng(4), 800, categories=1)
    model = booster(table, "binary", categories=1, rounds=4)
    forest = read_forest(model)
    table_of_credits, _ = leaf_credits(forest)
    for structure in (tree["tree_structure"] for tree in model.dump_model()["tree_info"]):
        paths = [(structure, np.zeros(7))]
        while paths:
            node, so_far = paths.pop()
            for child in (node["left_child"], node["right_child"]):
                step = so_far.copy()
                step[node["split_feature"]] += (
                    child.get("internal_value", child.get("leaf_value")) - node["internal_value"]
                )
                if "split_index" in child:
                    paths.append((child, step))
                else:
                    leaf = np.flatnonzero(forest.leaf_value == child["leaf_value"])
                    assert any(np.allclose(table_of_credits[index], step) for index in leaf)


def test_a_model_of_several_raw_scores_is_refused() -> None:
    model = booster(rows(np.random.default_rng(5), 500), "multiclass")
    with pytest.raises(ModelRefused, match="multiclass"):
        export_attribution(model, names(model))
