"""The exporter against LightGBM itself: equal on every row that can tell them apart, refused by name otherwise."""

from __future__ import annotations

import json
from typing import Any

import lightgbm
import numpy as np
import pytest
from boosters import QUIET, booster, names, rows, target
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.scoring.scorer import OnnxScorer, TableScorer
from edgewise.errors import ModelRefused
from hub.export import export_booster
from hub.export.booster import Output
from hub.export.forest import MEMBER, read_forest
from hub.parity import TOLERANCE, compare, one_row_per_node, parity_rows


def served(model: lightgbm.Booster, table: NDArray[np.float32], output: Output) -> NDArray[np.float32]:
    exported = export_booster(model, feature_names=names(model), output=output).SerializeToString()
    return TableScorer(exported).run({"x": table})["score"]


def assert_equal(model: lightgbm.Booster, table: NDArray[np.float32], output: Output) -> None:
    compare(np.asarray(model.predict(table, raw_score=output == "raw")), served(model, table, output))


@pytest.mark.parametrize(
    ("objective", "output"),
    [
        ("binary", "raw"),
        pytest.param("binary", "probability", marks=pytest.mark.slow),
        pytest.param("regression", "raw", marks=pytest.mark.slow),
    ],
)
def test_equals_lightgbm_on_100_000_rows_with_one_on_every_threshold(objective: str, output: Output) -> None:
    rng = np.random.default_rng(7)
    table = rows(rng, 20_000, numbers=8, categories=2)
    model = booster(table, objective, categories=2, rounds=120, num_leaves=31)
    forest = read_forest(model)
    tried = parity_rows(forest, table, seed=1)
    fresh = rows(rng, 100_000 - len(tried), numbers=8, categories=2, missing=0.15)
    judged = np.concatenate([tried, fresh])
    assert len(judged) == 100_000
    assert np.isnan(judged).any(axis=1).sum() > 10_000
    numeric = forest.mode != MEMBER
    on_threshold = {(int(f), float(s)) for f, s in zip(forest.feature[numeric], forest.split[numeric], strict=True)}
    assert all((judged[:, feature] == np.float32(split)).any() for feature, split in on_threshold)
    expected = np.asarray(model.predict(judged, raw_score=output == "raw"))
    got = served(model, judged, output)
    assert (np.abs(got - expected) <= TOLERANCE * np.maximum(1.0, np.abs(expected))).all()


OBJECTIVES = [
    "binary",
    "regression",
    "regression_l1",
    "huber",
    "quantile",
    "poisson",
    "gamma",
    "tweedie",
    "lambdarank",
    "rank_xendcg",
    "multiclass",
    "multiclassova",
]


@given(
    seed=st.integers(0, 2**32 - 1),
    objective=st.sampled_from(OBJECTIVES),
    output=st.sampled_from(["raw", "response"]),
    categories=st.integers(0, 2),
    values=st.sampled_from([2, 5, 40, 300]),
    leaves=st.sampled_from([2, 4, 31]),
    missing=st.sampled_from([0.0, 0.1, 0.6]),
    use_missing=st.booleans(),
)
def test_random_boosters_are_exported_exactly(
    *,
    seed: int,
    objective: str,
    output: Output,
    categories: int,
    values: int,
    leaves: int,
    missing: float,
    use_missing: bool,
) -> None:
    rng = np.random.default_rng(seed)
    table = rows(rng, 1_000, categories=categories, values=values, missing=missing)
    model = booster(
        table,
        objective,
        seed=seed,
        categories=categories,
        rounds=6,
        num_leaves=leaves,
        use_missing=use_missing,
        cat_smooth=1,
        min_data_per_group=1,
        max_cat_to_onehot=int(rng.integers(1, 6)),
    )
    assert_equal(model, parity_rows(read_forest(model), table, seed=seed), output)


def test_the_same_booster_gives_the_same_bytes() -> None:
    table = rows(np.random.default_rng(0), 500, categories=1)
    model = booster(table, "binary", categories=1)
    exports = [export_booster(model, feature_names=names(model), output="raw") for _ in range(2)]
    assert exports[0].SerializeToString(deterministic=True) == exports[1].SerializeToString(deterministic=True)


def test_feature_names_and_output_travel_in_the_metadata() -> None:
    table = rows(np.random.default_rng(0), 500)
    model = export_booster(booster(table, "binary"), feature_names=["ä", "b c", "d", "e", "f"], output="raw")
    held = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert held == {"edgewise.features": ["ä", "b c", "d", "e", "f"], "edgewise.output": "raw"}


def test_1500_categories_cost_one_node_a_split_and_are_exact() -> None:
    rng = np.random.default_rng(3)
    table = rows(rng, 20_000, categories=1, values=1_500, missing=0.02)
    model = booster(table, "regression", categories=1, cat_smooth=1, min_data_per_group=1, max_cat_threshold=1_500)
    forest = read_forest(model)
    assert max(map(len, forest.members)) > 64
    splits = sum(tree["num_leaves"] - 1 for tree in model.dump_model()["tree_info"])
    assert len(forest.feature) == splits
    assert_equal(model, parity_rows(forest, table, seed=0), "raw")


def test_fractional_negative_and_huge_categories_go_where_lightgbm_sends_them() -> None:
    table = rows(np.random.default_rng(4), 2_000, numbers=3, categories=2, values=50)
    model = booster(table, "binary", categories=2, cat_smooth=1, min_data_per_group=1)
    odd = np.array([5.7, 5.0, 4.999, -0.3, -1.0, -0.0, 1e-38, 1e9, 3e9, np.nan, 49.5, 1e30], dtype=np.float32)
    grid = np.stack([np.tile(odd, len(odd)), np.repeat(odd, len(odd))], axis=1)
    assert_equal(model, np.concatenate([np.zeros((len(grid), 3), np.float32), grid], axis=1), "probability")


def test_rows_in_the_zero_band_are_read_as_zero() -> None:
    rng = np.random.default_rng(5)
    table = rng.choice(np.array([-1.0, 0.0, 1.0], dtype=np.float32), size=(2_000, 3))
    model = booster(table, "regression")
    edges = read_forest(model).threshold
    assert (np.abs(edges) <= 1.1e-35).any()  # LightGBM puts thresholds on the edge of its zero band
    band = np.array([1e-35, -1e-35, 1.1e-35, -1.1e-35, 1e-40, -1e-40, 0.0, -0.0], dtype=np.float32)
    grid = np.stack(np.meshgrid(band, band, band), axis=-1).reshape(-1, 3)
    assert_equal(model, grid, "raw")


def test_infinities_go_where_lightgbm_sends_them() -> None:
    rng = np.random.default_rng(6)
    table = rows(rng, 2_000, missing=0.3)
    model = booster(table, "regression")
    table[rng.random(table.shape) < 0.3] = np.inf
    table[rng.random(table.shape) < 0.3] = -np.inf
    assert_equal(model, table, "raw")


@pytest.mark.parametrize(
    "settings", [{"objective": "binary", "sigmoid": 2.5}, {"objective": "regression", "reg_sqrt": True}]
)
def test_objective_settings_that_change_the_link_are_honoured(settings: dict[str, Any]) -> None:
    table = rows(np.random.default_rng(8), 1_000)
    model = booster(table, **settings)
    assert_equal(model, table, "response")
    assert_equal(model, table, "raw")


def test_dart_is_exported_with_its_weights() -> None:
    table = rows(np.random.default_rng(9), 1_000)
    assert_equal(booster(table, "binary", boosting="dart"), table, "probability")


def test_a_model_without_a_split_and_one_without_a_tree_are_constants() -> None:
    table = rows(np.random.default_rng(10), 200)
    stump = booster(table, "regression", min_data_in_leaf=200)
    assert_equal(stump, table, "raw")
    untrained = lightgbm.Booster(QUIET | {"objective": "binary"}, lightgbm.Dataset(table, np.arange(200) % 2))
    assert_equal(untrained, table, "raw")


def test_leaves_of_thousands_that_add_up_to_one_are_exact() -> None:
    """In float32 such sums are wrong in the fifth digit."""
    rng = np.random.default_rng(18)
    table = rows(rng, 4_000)
    outliers = np.where(rng.random(4_000) < 0.003, 1.0, 0.0) * rng.choice([-8e4, 8e4], size=4_000)
    data = lightgbm.Dataset(table, target(rng, table, "regression") + outliers)
    model = lightgbm.train(QUIET | {"objective": "regression", "min_data_in_leaf": 1}, data, 200)
    assert_equal(model, parity_rows(read_forest(model), table, seed=0), "raw")


def test_a_booster_read_back_from_its_text_exports_the_same_model() -> None:
    table = rows(np.random.default_rng(19), 500, categories=1)
    model = booster(table, "binary", categories=1, cat_smooth=1, min_data_per_group=1)
    again = lightgbm.Booster(model_str=model.model_to_string())
    exports = [export_booster(held, feature_names=names(model), output="raw") for held in (model, again)]
    assert exports[0] == exports[1]


def test_early_stopping_exports_the_best_iteration_as_predict_does() -> None:
    rng = np.random.default_rng(11)
    table, held_out = rows(rng, 400), rows(rng, 400)
    data = lightgbm.Dataset(table, target(rng, table, "regression"))
    model = lightgbm.train(
        QUIET | {"objective": "regression", "metric": "l2", "learning_rate": 0.5},
        data,
        100,
        valid_sets=[data.create_valid(held_out, target(rng, held_out, "regression"))],
        callbacks=[lightgbm.early_stopping(3, verbose=False)],
        keep_training_booster=True,  # else the later iterations are gone anyway
    )
    assert 0 < model.best_iteration < model.current_iteration()
    assert_equal(model, table, "raw")


def test_a_custom_objective_exports_its_raw_score_only() -> None:
    table = rows(np.random.default_rng(12), 500)
    labels = target(np.random.default_rng(0), table, "regression")

    def squares(scores: NDArray[np.float64], _: lightgbm.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return scores - labels, np.ones_like(scores)

    model = lightgbm.train(QUIET | {"objective": squares}, lightgbm.Dataset(table, labels), 5)
    assert_equal(model, table, "raw")
    with pytest.raises(ModelRefused, match="custom objective"):
        export_booster(model, feature_names=names(model), output="response")


@pytest.mark.parametrize(
    ("objective", "settings", "code", "said"),
    [
        ("regression", {"linear_tree": True}, "linear-tree", "linear_tree"),
        ("binary", {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "random-forest", "boosting=rf"),
        ("binary", {"zero_as_missing": True}, "zero-as-missing", "zero_as_missing"),
        ("cross_entropy", {}, "objective", "cross_entropy"),
        ("cross_entropy_lambda", {}, "objective", "cross_entropy_lambda"),
    ],
)
def test_what_a_tree_ensemble_cannot_say_is_refused_by_name(
    objective: str, settings: dict[str, Any], code: str, said: str
) -> None:
    table = rows(np.random.default_rng(13), 600)
    labelled = "cross_entropy" if objective.startswith("cross") else objective
    labels = target(np.random.default_rng(0), table, labelled)
    model = lightgbm.train(QUIET | {"objective": objective} | settings, lightgbm.Dataset(table, labels), 5)
    with pytest.raises(ModelRefused, match=said) as refused:
        export_booster(model, feature_names=names(model), output="raw")
    assert refused.value.code == code


@pytest.mark.parametrize("objective", ["lambdarank", "regression", "poisson"])
def test_only_models_of_probabilities_export_a_probability(objective: str) -> None:
    model = booster(rows(np.random.default_rng(14), 500), objective)
    with pytest.raises(ModelRefused, match=objective):
        export_booster(model, feature_names=names(model), output="probability")


@pytest.mark.parametrize("wrong", [["a", "b"], ["a", "a", "b", "c", "d"]])
def test_names_that_do_not_fit_are_refused(wrong: list[str]) -> None:
    model = booster(rows(np.random.default_rng(15), 500), "binary")
    with pytest.raises(ModelRefused) as refused:
        export_booster(model, feature_names=wrong, output="raw")
    assert refused.value.code == "feature-names"


def test_agrees_with_onnxmltools_where_onnxmltools_is_right() -> None:
    """Away from thresholds and without categories, the usual converter is right; so both must say the same."""
    from onnxmltools.convert import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    table = rows(np.random.default_rng(16), 5_000, missing=0.0)
    model = booster(table, "regression")
    theirs = convert_lightgbm(model, initial_types=[("x", FloatTensorType([None, 5]))], target_opset=15)
    expected = OnnxScorer(theirs.SerializeToString()).score(table)
    np.testing.assert_allclose(served(model, table, "raw"), expected, rtol=0, atol=1e-5)


def test_the_naive_walk_reaches_the_leaf_that_lightgbm_reaches() -> None:
    """`one_row_per_node` finds a row for each node; every node that LightGBM counts rows in must be found."""
    table = rows(np.random.default_rng(17), 2_000, categories=1)
    model = booster(table, "binary", categories=1, bagging_fraction=1.0)
    assert (one_row_per_node(read_forest(model), table) >= 0).all()
