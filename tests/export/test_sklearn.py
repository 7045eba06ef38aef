"""A scikit-learn pipeline with a LightGBM inside converts in one call and scores as it predicts."""

from __future__ import annotations

import json
from typing import Any

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, PoissonRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from edge.scoring.onnx_gate import check_model
from edge.scoring.scorer import TableScorer
from edgewise.errors import ModelRefused
from hub.export.sklearn import Input, export_pipeline, register
from hub.parity import compare

QUIET: dict[str, Any] = {"verbose": -1, "n_jobs": 1, "n_estimators": 20}
COLUMNS = [
    Input("page views", "number"),
    Input("variable", "number"),
    Input("größe", "number"),
    Input("probabilities", "text"),
    Input("score", "text"),
]
"""Named so that they collide with names that the converter uses itself."""


def table(seed: int = 0, count: int = 1_500) -> NDArray[np.object_]:
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(count, 3)).astype(np.float32)
    numbers[rng.random(numbers.shape) < 0.1] = np.nan
    texts = rng.choice(["red", "green", "", "blau ü"], size=(count, 2))
    return np.concatenate([numbers.astype(object), texts.astype(object)], axis=1)


def labels(held: NDArray[np.object_]) -> NDArray[np.int64]:
    filled = np.nan_to_num(held[:, :3].astype(np.float64))
    red = (held[:, 3] == "red").astype(np.int64)
    return np.where(filled[:, 0] + filled[:, 1] + red > 0.3, 1, 0)


def ordinal() -> OrdinalEncoder:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


def one_hot() -> OneHotEncoder:
    return OneHotEncoder(handle_unknown="ignore", sparse_output=False)


def pipeline(final: Any, encoder: Any, numbers: Any = "passthrough") -> Pipeline:
    columns = ColumnTransformer([("numbers", numbers, [0, 1, 2]), ("texts", encoder, [3, 4])])
    return Pipeline([("columns", columns), ("model", final)])


def fed(held: NDArray[np.object_], inputs: list[Input], shown: list[str]) -> dict[str, NDArray[Any]]:
    return {
        name: held[:, [index]].astype(np.float32 if column.kind == "number" else object)
        for index, (column, name) in enumerate(zip(inputs, shown, strict=True))
    }


def served(fitted: Pipeline, held: NDArray[np.object_]) -> NDArray[np.float32]:
    model = export_pipeline(fitted, COLUMNS)
    shown = [column["input"] for column in json.loads(model.metadata_props[0].value)]
    data = model.SerializeToString()
    check_model(data, features=None)
    scores: NDArray[np.float32] = TableScorer(data).run(fed(held, COLUMNS, shown))["score"]
    return scores


def strange() -> NDArray[np.object_]:
    """Rows with words that were not there in training, and nothing but missing numbers."""
    held = table(9, 60)
    held[:20, 3] = "never seen"
    held[20:40, 4] = "REd"
    held[40:, :3] = np.nan
    return held


@pytest.mark.parametrize("encoder", [ordinal, one_hot])
def test_a_binary_classifier_with_string_columns(encoder: Any) -> None:
    held = table()
    fitted = pipeline(lightgbm.LGBMClassifier(**QUIET), encoder()).fit(held, labels(held))
    judged = np.concatenate([held, strange()])
    compare(fitted.predict_proba(judged)[:, 1], served(fitted, judged))


def test_categories_by_membership_behind_an_ordinal_encoder() -> None:
    held = table()
    final = lightgbm.LGBMClassifier(**QUIET, cat_smooth=1, min_data_per_group=1)
    # Given to the constructor, LightGBM would ignore it.
    fitted = pipeline(final, ordinal()).fit(held, labels(held), model__categorical_feature=[3, 4])
    judged = np.concatenate([held, strange()])
    compare(fitted.predict_proba(judged)[:, 1], served(fitted, judged))


def test_three_classes_give_a_probability_each() -> None:
    held = table()
    classes = np.array(["low", "mid", "top"])[labels(held) + (np.nan_to_num(held[:, 2].astype(float)) > 0)]
    fitted = pipeline(lightgbm.LGBMClassifier(**QUIET), ordinal()).fit(held, classes)
    scores = served(fitted, held)
    assert scores.shape == (len(held), 3)
    compare(fitted.predict_proba(held), scores)


@pytest.mark.parametrize("objective", ["regression", "tweedie", "poisson", "quantile"])
def test_regressors(objective: str) -> None:
    held = table()
    amount = np.exp(np.nan_to_num(held[:, 0].astype(np.float64)))
    fitted = pipeline(lightgbm.LGBMRegressor(**QUIET, objective=objective), ordinal()).fit(held, amount)
    compare(fitted.predict(held), served(fitted, held))


def test_a_ranker() -> None:
    held = table()
    encoded = ColumnTransformer([("numbers", "passthrough", [0, 1, 2]), ("texts", ordinal(), [3, 4])]).fit(held)
    ranker = lightgbm.LGBMRanker(**QUIET).fit(encoded.transform(held), labels(held), group=[150] * 10)
    fitted = Pipeline([("columns", encoded), ("model", ranker)])
    compare(fitted.predict(held), served(fitted, held))


@pytest.mark.parametrize("final", [LogisticRegression(), PoissonRegressor()])
def test_linear_models_pass_the_same_door(final: Any) -> None:
    held = table()
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    fitted = pipeline(final, one_hot(), numbers).fit(held, labels(held))
    expected = fitted.predict_proba(held)[:, 1] if hasattr(final, "predict_proba") else fitted.predict(held)
    compare(expected, served(fitted, held))


def test_one_plain_convert_sklearn_call_gives_labels_and_probabilities() -> None:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    register()
    held = table()
    classes = np.array(["no", "yes"])[labels(held)]
    fitted = pipeline(lightgbm.LGBMClassifier(**QUIET), one_hot()).fit(held, classes)
    kinds = {"number": FloatTensorType, "text": StringTensorType}
    plain = [Input(f"c{index}", column.kind) for index, column in enumerate(COLUMNS)]
    model = convert_sklearn(
        fitted,
        initial_types=[(column.name, kinds[column.kind]([None, 1])) for column in plain],
        target_opset={"": 21, "ai.onnx.ml": 5},
        options={"zipmap": False},
    )
    answer = TableScorer(model.SerializeToString()).run(fed(held, plain, [column.name for column in plain]))
    assert answer["label"].tolist() == fitted.predict(held).tolist()
    compare(fitted.predict_proba(held), answer["probabilities"])


def test_integer_columns_are_cast_before_the_trees() -> None:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import Int64TensorType

    register()
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 50, size=(500, 3))
    fitted = lightgbm.LGBMClassifier(**QUIET).fit(counts, counts[:, 0] > counts[:, 1])
    model = convert_sklearn(
        fitted,
        initial_types=[("counts", Int64TensorType([None, 3]))],
        target_opset={"": 21, "ai.onnx.ml": 5},
        options={"zipmap": False},
    )
    answer = TableScorer(model.SerializeToString()).run({"counts": counts})
    compare(fitted.predict_proba(counts), answer["probabilities"])


def test_an_older_target_is_refused_with_what_to_ask_for() -> None:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    register()
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(200, 2))
    fitted = lightgbm.LGBMRegressor(**QUIET).fit(numbers, numbers[:, 0])
    with pytest.raises(ModelRefused, match="target_opset"):
        convert_sklearn(
            fitted, initial_types=[("x", FloatTensorType([None, 2]))], target_opset={"": 21, "ai.onnx.ml": 3}
        )


def test_a_step_that_cannot_be_converted_is_refused_by_name() -> None:
    held = table()
    fitted = pipeline(DummyClassifier(), one_hot()).fit(held, labels(held))
    with pytest.raises(ModelRefused, match="DummyClassifier") as refused:
        export_pipeline(fitted, COLUMNS)
    assert refused.value.code == "pipeline"


def test_an_unsupported_lightgbm_setting_is_refused_inside_a_pipeline_too() -> None:
    held = table()
    fitted = pipeline(lightgbm.LGBMRegressor(**QUIET, linear_tree=True), ordinal()).fit(held, labels(held))
    with pytest.raises(ModelRefused) as refused:
        export_pipeline(fitted, COLUMNS)
    assert refused.value.code == "linear-tree"
