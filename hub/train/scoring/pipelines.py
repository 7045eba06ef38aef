"""The pipelines that `train scoring` fits: what is done to columns, and the model behind it.

Trees read numbers as they are and words as LightGBM categories, so that nothing is computed between a column and
a split. The linear model reads imputed, scaled numbers and one column for each word.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError, ModelRefused
from hub.train.scoring.choices import ModelName, ScoreKind
from hub.train.scoring.columns import Cells, Column

FEW_CELLS = 2_000_000
"""Below this one thread is as fast as many, and far faster on a machine that does something else as well."""
UNSEEN = -1
"""The code of a word that was not there in training: a member of no category set."""


Setting = int | float | bool | str

LIGHTGBM_SETTINGS = frozenset(
    {
        *("alpha", "boosting_type", "cat_l2", "cat_smooth", "colsample_bytree", "extra_trees"),
        *("feature_fraction_bynode", "is_unbalance", "lambda_l1", "lambda_l2", "learning_rate", "max_bin"),
        *("max_cat_threshold", "max_cat_to_onehot", "max_depth", "min_child_samples", "min_child_weight"),
        *("min_data_in_leaf", "min_data_per_group", "min_split_gain", "n_estimators", "n_jobs", "num_leaves"),
        *("objective", "path_smooth", "reg_alpha", "reg_lambda", "scale_pos_weight", "subsample"),
        *("subsample_for_bin", "subsample_freq", "tweedie_variance_power"),
    }
)
LOGISTIC_SETTINGS = frozenset({"C", "class_weight", "max_iter", "tol"})
OBJECTIVES = {
    ScoreKind.BINARY: ("binary",),
    ScoreKind.MULTICLASS: ("multiclass", "multiclassova"),
    ScoreKind.REGRESSION: (
        *("regression", "regression_l1", "huber", "fair", "quantile", "mape"),
        *("poisson", "gamma", "tweedie"),
    ),
    ScoreKind.COUNT: ("poisson", "tweedie", "regression"),
}
"""For each kind, the default first."""
FORBIDDEN = {
    "linear_tree": ("linear-tree", "linear_tree=true puts a regression into each leaf, which is not exported"),
    "zero_as_missing": ("zero-as-missing", "zero_as_missing=true is not exported"),
}


class Examples(NamedTuple):
    """Rows to learn from, number columns first, and what is known of each."""

    kind: ScoreKind
    columns: Sequence[Column]
    rows: Cells
    target: NDArray[Any]


def settings_of(model: ModelName, assignments: Sequence[str]) -> dict[str, Setting]:
    """`KEY=VALUE` hyper-parameters, checked by name.

    Raises:
        InputError: no `=`, or a key that the model does not have.
        ModelRefused: a setting whose models cannot be exported, by name.
    """
    known = LIGHTGBM_SETTINGS if model is ModelName.LIGHTGBM else LOGISTIC_SETTINGS
    chosen: dict[str, Setting] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not value:
            raise InputError(f"{assignment!r}; expected KEY=VALUE")
        setting = _value(value)
        if key in FORBIDDEN and setting is not False:
            raise ModelRefused(*FORBIDDEN[key])
        if (key, setting) in {("boosting_type", "rf"), ("boosting", "rf")}:
            raise ModelRefused("random-forest", "boosting=rf averages its trees, which is not exported: use gbdt")
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            meant = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(sorted(known))}"
            raise InputError(f"{model.value} has no setting {key!r}{meant}")
        chosen[key] = setting
    return chosen


def _value(text: str) -> Setting:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def fit_pipeline(model: ModelName, examples: Examples, *, settings: dict[str, Setting], seed: int) -> Any:
    """A fitted scikit-learn pipeline over rows like those of the examples.

    Raises:
        InputError: the model does not do this kind, or a setting's value is of no use to it.
    """
    if model is ModelName.LOGISTIC and not examples.kind.has_classes:
        raise InputError(f"the logistic model predicts classes; a {examples.kind.value} needs --model lightgbm")
    fit = _lightgbm if model is ModelName.LIGHTGBM else _logistic
    try:
        return fit(examples, settings, seed)
    except (ValueError, TypeError) as wrong:
        # scikit-learn and LightGBM check values only when they fit.
        raise InputError(f"{model.value} cannot be fitted: {str(wrong).splitlines()[0]}") from wrong


def _lightgbm(examples: Examples, settings: dict[str, Setting], seed: int) -> Any:
    import lightgbm
    from lightgbm.basic import LightGBMError
    from sklearn.preprocessing import OrdinalEncoder

    kind = examples.kind
    objective = settings.get("objective", OBJECTIVES[kind][0])
    if objective not in OBJECTIVES[kind]:
        raise InputError(f"objective {objective} for a {kind.value}; expected one of {', '.join(OBJECTIVES[kind])}")
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=UNSEEN, dtype=np.float32)
    encoded, transformer = _transformed(examples, "passthrough", encoder)
    # deterministic: the same seed and data give the same trees, whatever the threads do
    chosen: dict[str, Any] = {"random_state": seed, "verbose": -1, "deterministic": True, "force_row_wise": True}
    if examples.rows.size < FEW_CELLS:
        chosen["n_jobs"] = 1
    chosen |= settings | {"objective": objective}
    final = lightgbm.LGBMClassifier(**chosen) if kind.has_classes else lightgbm.LGBMRegressor(**chosen)
    words = [index for index, column in enumerate(examples.columns) if column.kind == "text"]
    try:
        final.fit(encoded.astype(np.float32), examples.target, categorical_feature=words or "auto")
    except LightGBMError as wrong:
        raise InputError(f"lightgbm cannot be fitted: {wrong}") from wrong
    return _pipeline(transformer, final)


def _logistic(examples: Examples, settings: dict[str, Setting], seed: int) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    encoded, transformer = _transformed(examples, numbers, words)
    if "numbers" in transformer.named_transformers_:
        _round_to_float32(transformer.named_transformers_["numbers"])
        encoded = transformer.transform(examples.rows)
    chosen: dict[str, Any] = {"max_iter": 1_000, "random_state": seed}
    final = LogisticRegression(**chosen | settings)
    final.fit(encoded.astype(np.float64), examples.target)
    return _pipeline(transformer, final)


def _transformed(examples: Examples, numbers: Any, words: Any) -> tuple[NDArray[Any], Any]:
    from sklearn.compose import ColumnTransformer

    parts = [
        (name, step, [index for index, column in enumerate(examples.columns) if column.kind == kind])
        for name, step, kind in (("numbers", numbers, "number"), ("words", words, "text"))
    ]
    transformer = ColumnTransformer([part for part in parts if part[2]], sparse_threshold=0.0)
    return transformer.fit_transform(examples.rows), transformer


def _round_to_float32(numbers: Any) -> None:
    """Make the fitted imputer and scaler compute with constants that float32 holds.

    Else a column of years loses its digits when the exported graph subtracts a rounded mean: 2011.37 is off by
    1e-4 in float32, and the parity gate refuses the model. Subtracting a float32 mean from a float32 is exact
    enough; the model behind is fitted on what comes out.
    """
    imputer, scaler = numbers[0], numbers[1]
    imputer.statistics_ = imputer.statistics_.astype(np.float32).astype(np.float64)
    scaler.mean_ = scaler.mean_.astype(np.float32).astype(np.float64)
    scaler.scale_ = 1.0 / (1.0 / scaler.scale_).astype(np.float32).astype(np.float64)


def _pipeline(transformer: Any, final: Any) -> Any:
    from sklearn.pipeline import Pipeline

    return Pipeline([("columns", transformer), ("model", final)])


def predict(pipeline: Any, kind: ScoreKind, rows: Cells) -> NDArray[np.float64]:
    """Scores: (n,) probabilities of the second class or quantities, or (n, K) probabilities."""
    if not kind.has_classes:
        return np.asarray(pipeline.predict(rows), dtype=np.float64)
    probabilities = np.asarray(pipeline.predict_proba(rows), dtype=np.float64)
    return probabilities[:, 1] if kind is ScoreKind.BINARY else probabilities
