"""The pipelines that `train scoring` fits: what is done to columns, and the model behind it.

Trees read numbers as they are and words as LightGBM categories, so that nothing is computed between a column and
a split. The linear model reads imputed, scaled numbers and one column for each word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError
from hub.train.scoring.choices import ModelName, ScoreKind
from hub.train.scoring.columns import Cells, Column
from hub.train.scoring.settings import Setting, check_setting

FEW_CELLS = 2_000_000
"""Below this one thread is as fast as many, and far faster on a machine that does something else as well."""
UNSEEN = -1
"""The code of a word that was not there in training: a member of no category set."""

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


class Examples(NamedTuple):
    """Rows to learn from, number columns first, and what is known of each."""

    kind: ScoreKind
    columns: Sequence[Column]
    rows: Cells
    target: NDArray[Any]


def fit_pipeline(model: ModelName, examples: Examples, *, settings: dict[str, Setting], seed: int) -> Any:
    """A fitted scikit-learn pipeline over rows like those of the examples.

    Raises:
        InputError: the model does not do this kind, or a setting's value is of no use to it.
    """
    if model is ModelName.LOGISTIC and not examples.kind.has_classes:
        raise InputError(f"the logistic model predicts classes; a {examples.kind.value} needs --model lightgbm")
    for key, setting in settings.items():
        check_setting(model, key, setting)
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
