"""What is converted exactly passes, and what is not is refused by name before anything is written."""

from __future__ import annotations

import numpy as np
import pytest
from boosters import rows, target
from exported_kinds import around_splits, computed_trees, computing, linear, rounded
from refused_kinds import Refusal, refusals
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from edge.scoring.onnx_gate import check_model
from edge.scoring.scorer import TableScorer
from edgewise.errors import ModelRefused
from hub.export.sklearn import register
from hub.export.soundness import ARITHMETIC, LINEAR, NETWORKS, check_steps
from hub.parity import compare, difference


@pytest.mark.slow
def test_every_linear_kind_is_exact_and_passes_the_gate_of_nodes() -> None:
    seen = set()
    for exported in linear(400):
        check_model(exported.model, features=None)
        compare(exported.trained, TableScorer(exported.model).run({"x": exported.matrix})["score"])
        seen.add(exported.kind.split(",")[0].split()[0])
    assert seen >= LINEAR | NETWORKS
    assert seen | {"TfidfTransformer"} >= ARITHMETIC  # which the tests of topics prove


def test_arithmetic_in_float64_before_trees_is_exact_around_every_split() -> None:
    for exported in computed_trees(1_000):
        compare(exported.trained, TableScorer(exported.model).run({"x": exported.matrix})["score"])


def test_arithmetic_in_float32_before_trees_is_not_which_is_why_it_is_refused() -> None:
    """Converted past the check, one row in a hundred around the splits is wrong at the least."""
    register()
    table = rows(np.random.default_rng(8), 2_000, missing=0.0) * np.float32(30)
    wide = rounded(StandardScaler())
    steps = Pipeline([(name, step) for name, step in wide.steps if name not in {"wide", "narrow"}])
    steps.fit(table, target(np.random.default_rng(9), table, "binary"))
    tried = around_splits(steps, table)
    converted = convert_sklearn(
        steps,
        initial_types=[("x", FloatTensorType([None, 5]))],
        target_opset={"": 21, "ai.onnx.ml": 5},
        options={"zipmap": False},
    )
    served = TableScorer(converted.SerializeToString()).run({"x": tried})["probabilities"]
    found = difference(steps.predict_proba(tried), served)
    assert found.mismatches > (len(tried) - len(table)) / 100
    with pytest.raises(ModelRefused) as refused:
        check_steps(steps)
    assert refused.value.code == "arithmetic-before-trees"


@pytest.mark.parametrize("refusal", list(refusals()), ids=lambda refusal: refusal.kind)
def test_what_is_not_exact_is_refused_by_name(refusal: Refusal) -> None:
    with pytest.raises(ModelRefused, match=refusal.said) as refused:
        refusal.export()
    assert refused.value.code == refusal.code


def test_columns_beside_computed_ones_do_not_hide_them() -> None:
    table = rows(np.random.default_rng(8), 300, missing=0.0)
    columns = ColumnTransformer([("plain", "passthrough", [0, 1]), ("scaled", StandardScaler(), [2, 3])])
    trees = rounded(StandardScaler()).named_steps["model"]
    labels = target(np.random.default_rng(9), table, "binary")
    with pytest.raises(ModelRefused, match="computed columns"):
        check_steps(Pipeline([("columns", columns), ("model", trees)]).fit(table, labels))
    looked_up = ColumnTransformer([("plain", "passthrough", [0, 1]), ("filled", SimpleImputer(), [2, 3])])
    check_steps(Pipeline([("columns", looked_up), ("model", trees)]).fit(table, labels))
    check_steps(Pipeline([("columns", columns), ("model", LogisticRegression())]).fit(table, labels))
    assert len(computing()) > len(ARITHMETIC) - 2
