"""The parity gate: what it tries, and that it refuses a model that is wrong in one place."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from boosters import booster, names, rows
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from edge.scoring.scorer import TableScorer
from edgewise.errors import InputError, ModelRefused
from hub.export import export_booster
from hub.export.forest import MEMBER, Forest, read_forest
from hub.parity import (
    FEWEST_ROWS,
    check_parity,
    compare,
    difference,
    one_row_per_node,
    parity_rows,
    telling_rows,
)
from hub.scoring_child import ScoringChild


@pytest.mark.process
def test_an_honest_export_passes_and_is_measured_by_the_child() -> None:
    table = rows(np.random.default_rng(0), 2_000, categories=1)
    model = booster(table, "binary", categories=1, cat_smooth=1, min_data_per_group=1)
    data = export_booster(model, feature_names=names(model), output="raw").SerializeToString()
    with ScoringChild() as child:
        report = check_parity(model, data, table, output="raw", child=child)
        again = check_parity(model, data, table, output="raw", child=child)
    forest = read_forest(model)
    assert report == again
    assert report.rows >= FEWEST_ROWS
    assert report.thresholds == (forest.mode != MEMBER).sum()
    assert report.mismatches == 0
    assert 0 < report.max_abs_error < 1e-5


@pytest.mark.process
def test_thresholds_rounded_to_the_nearest_float32_are_caught() -> None:
    """What the usual converters do: right for almost every row, so only rows on the thresholds show it."""
    table = rows(np.random.default_rng(1), 2_000, missing=0.0)
    model = booster(table, "regression")
    exported = export_booster(model, feature_names=names(model), output="raw")
    forest = read_forest(model)
    nearest = forest.threshold.astype(np.float32)
    assert (nearest > forest.split).any()
    with pytest.raises(ModelRefused) as refused:
        check_parity(model, with_splits(exported, nearest), table, output="raw")
    assert refused.value.code == "parity"
    np.testing.assert_allclose(  # and the training rows themselves do not show it
        TableScorer(with_splits(exported, nearest)).run({"x": table})["score"], model.predict(table), atol=1e-5
    )


def with_splits(exported: onnx.ModelProto, splits: np.ndarray) -> bytes:
    changed = onnx.ModelProto()
    changed.CopyFrom(exported)
    ensemble = next(node for node in changed.graph.node if node.op_type == "TreeEnsemble")
    held = next(attribute for attribute in ensemble.attribute if attribute.name == "nodes_splits")
    held.t.CopyFrom(numpy_helper.from_array(splits.astype(np.float64), "nodes_splits"))
    return changed.SerializeToString()


@given(seed=st.integers(0, 2**32 - 1), at=st.integers(0, 10_000), up=st.booleans())
def test_any_single_threshold_that_is_one_step_off_is_caught(seed: int, at: int, *, up: bool) -> None:
    table = rows(np.random.default_rng(seed), 500, missing=0.0)
    model = booster(table, "regression", seed=seed, rounds=5, num_leaves=8)
    forest = read_forest(model)
    wrong = forest.split.copy()
    node = at % len(wrong)
    wrong[node] = np.nextafter(wrong[node], np.float32(np.inf if up else -np.inf))
    exported = export_booster(model, feature_names=names(model), output="raw")
    tried = parity_rows(forest, table, seed=0)
    served = TableScorer(with_splits(exported, wrong)).run({"x": tried})["score"]
    with pytest.raises(ModelRefused, match="rows differ"):
        compare(np.asarray(model.predict(tried)), served)


@given(seed=st.integers(0, 2**32 - 1), categories=st.integers(0, 2))
def test_rows_put_onto_a_threshold_stay_at_their_node(seed: int, categories: int) -> None:
    table = rows(np.random.default_rng(seed), 500, categories=categories)
    model = booster(table, "binary", seed=seed, categories=categories, rounds=4, cat_smooth=1, min_data_per_group=1)
    forest = read_forest(model)
    visitor = one_row_per_node(forest, table)
    assert (visitor >= 0).all()  # the training rows reach every node
    placed = table[visitor]
    numeric = np.flatnonzero(forest.mode != MEMBER)
    placed[numeric, forest.feature[numeric]] = forest.split[numeric]
    stayed = 0
    for node in numeric:
        if can_be_met(forest, int(node)):
            assert one_row_per_node(forest, placed[[node]])[node] == 0
            stayed += 1
    assert stayed > len(numeric) // 2


def can_be_met(forest: Forest, node: int) -> bool:
    """Whether a value on this threshold gets past the splits above that ask about the same feature.

    It does not where LightGBM only parts the missing from the rest: there the threshold is the largest number.
    """
    value, child = forest.split[node], node
    while (parent := forest.node_parent[child]) >= 0:
        goes_true = bool(value <= forest.split[parent])
        led_here = forest.true_child[parent] == child and not forest.true_is_leaf[parent]
        if forest.feature[parent] == forest.feature[node] and goes_true != led_here:
            return False
        child = parent
    return True


def test_the_same_seed_builds_the_same_rows() -> None:
    table = rows(np.random.default_rng(2), 300)
    forest = read_forest(booster(table, "binary", rounds=3))
    np.testing.assert_array_equal(parity_rows(forest, table, seed=5), parity_rows(forest, table, seed=5))


def test_few_base_rows_are_enough_for_ten_thousand() -> None:
    table = rows(np.random.default_rng(3), 300)
    forest = read_forest(booster(table, "binary", rounds=3))
    built = parity_rows(forest, table[:1], seed=0)
    assert len(built) >= FEWEST_ROWS
    assert np.isnan(built).any(axis=1).sum() > 1_000


@pytest.mark.parametrize("shape", [(0, 5), (3, 4), (5,)])
def test_base_rows_that_do_not_fit_are_an_input_error(shape: tuple[int, ...]) -> None:
    forest = read_forest(booster(rows(np.random.default_rng(4), 300), "binary", rounds=2))
    with pytest.raises(InputError, match="base rows"):
        parity_rows(forest, np.zeros(shape, np.float32), seed=0)


def test_the_tolerance_is_1e_5_of_the_larger_of_1_and_y() -> None:
    compare([1000.0, 0.0], [1000.009, 0.000009])
    for trained, served in ((1000.0, 1000.02), (0.0, 0.00002), (1.0, np.nan), (np.nan, 1.0), (1.0, np.inf)):
        with pytest.raises(ModelRefused) as refused:
            compare([trained, 0.0], [served, 0.0])
        assert refused.value.code == "parity"
        assert "1 of 2 rows" in refused.value.message


def test_several_outputs_are_judged_a_row_at_a_time() -> None:
    assert compare(np.zeros((4, 3)), np.zeros((4, 3))).rows == 4
    with pytest.raises(ModelRefused, match="1 of 4 rows"):
        compare(np.zeros((4, 3)), np.eye(4, 3)[[3, 3, 3, 0]])
    with pytest.raises(ModelRefused, match="shape"):
        compare(np.zeros((4, 3)), np.zeros(4))


def test_rows_that_are_kept_tell_a_scorer_that_rounds_otherwise_and_real_rows_alone_do_not() -> None:
    table = rows(np.random.default_rng(1), 2_000, missing=0.0)
    model = booster(table, "regression")
    forest = read_forest(model)
    exported = export_booster(model, feature_names=names(model), output="raw")
    nearest = TableScorer(with_splits(exported, forest.threshold.astype(np.float32)))
    kept = telling_rows(forest, table, count=128, seed=0)
    assert kept.shape == (128, 5)
    found = difference(np.asarray(model.predict(kept)), nearest.run({"x": kept})["score"])
    assert found.mismatches > 0
    real = table[::16]
    assert difference(np.asarray(model.predict(real)), nearest.run({"x": real})["score"]).mismatches == 0
    np.testing.assert_array_equal(kept, telling_rows(forest, table, count=128, seed=0))
    assert len(telling_rows(forest, table[:3], count=128, seed=0)) == 128
