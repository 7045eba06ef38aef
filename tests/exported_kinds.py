"""One trained model of every kind that is exported, with rows on which an export that differs would show it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import lightgbm
import numpy as np
from boosters import booster, names, rows, target
from numpy.typing import NDArray
from scipy.special import softmax
from skl2onnx.sklapi import CastTransformer
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    SGDClassifier,
    TweedieRegressor,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, RobustScaler, StandardScaler

from hub.export import export_booster
from hub.export.booster import Output
from hub.export.calibration import Platt
from hub.export.forest import read_forest
from hub.export.shared_slope import export_softmax
from hub.export.sklearn import export_matrix_pipeline
from hub.parity import parity_rows

WIDTH = 5
OBJECTIVES = (
    *("binary", "multiclass", "multiclassova", "lambdarank", "rank_xendcg"),
    *("regression", "regression_l1", "huber", "fair", "quantile", "mape", "poisson", "gamma", "tweedie"),
)
_SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "boosting=dart": ("binary", {"boosting": "dart"}),
    "sigmoid=2.5": ("binary", {"sigmoid": 2.5}),
    "reg_sqrt": ("regression", {"reg_sqrt": True}),
    "extra_trees": ("binary", {"extra_trees": True}),
    "use_missing=false": ("binary", {"use_missing": False}),
    "monotone and interaction constraints": (
        "regression",
        {"monotone_constraints": [1, -1, 0, 0, 0, 0, 0], "interaction_constraints": [[0, 1, 2], [3, 4, 5, 6]]},
    ),
    "255 leaves, path_smooth": ("regression", {"num_leaves": 255, "min_data_in_leaf": 1, "path_smooth": 1.0}),
}


class Exported(NamedTuple):
    """A kind, its graph, rows, and what the trained model says of them."""

    kind: str
    model: bytes
    matrix: NDArray[np.float32]
    """(n, F)."""
    trained: NDArray[np.float64]
    """(n,) or (n, K)."""
    thresholds: int


def boosters(count: int, rounds: int) -> Iterator[Exported]:
    """Every objective with both outputs, and settings that change how trees are read or summed."""
    table = rows(np.random.default_rng(0), count, categories=2)
    for objective in OBJECTIVES:
        model = booster(table, objective, categories=2, rounds=rounds, cat_smooth=1, min_data_per_group=1)
        for output in ("raw", "response"):
            yield _booster(f"LightGBM {objective}, {output}", model, table, output)
    for name, (objective, settings) in _SETTINGS.items():
        model = booster(table, objective, categories=2, rounds=rounds, cat_smooth=1, min_data_per_group=1, **settings)
        yield _booster(f"LightGBM {objective} with {name}", model, table, "response")
    wide = rows(np.random.default_rng(1), 4 * count, categories=1, values=1_500, missing=0.02)
    model = booster(
        wide, "regression", categories=1, rounds=rounds, cat_smooth=1, min_data_per_group=1, max_cat_threshold=1_500
    )
    yield _booster("LightGBM regression over 1,500 categories", model, wide, "raw")


def calibrated(count: int, rounds: int) -> Iterator[Exported]:
    """Boosters behind Platt's sigmoid."""
    table, other = (rows(np.random.default_rng(seed), count, categories=1) for seed in (2, 3))
    for objective in ("binary", "multiclass", "multiclassova"):
        model = booster(table, objective, categories=1, rounds=rounds, cat_smooth=1, min_data_per_group=1)
        truth = target(np.random.default_rng(4), other, objective).astype(np.int64)
        platt = Platt.fit(np.asarray(model.predict(other, raw_score=True)), truth)
        yield _booster(f"LightGBM {objective}, calibrated", model, table, "probability", platt)
    model = booster(table, "multiclass", categories=1, rounds=rounds, cat_smooth=1, min_data_per_group=1)
    forest, slope, shift = read_forest(model), 0.7, np.array([0.2, -0.5, 0.3])
    tried = parity_rows(forest, table, seed=0)
    trained = softmax(slope * np.asarray(model.predict(tried, raw_score=True)) + shift, axis=1)
    data = export_softmax(model, feature_names=names(model), slope=slope, shift=shift.tolist()).SerializeToString()
    yield Exported("LightGBM multiclass, calibrated by one slope", data, tried, trained, len(forest.split))


def linear(count: int) -> Iterator[Exported]:
    """scikit-learn models without trees, each behind steps that compute."""
    table = rows(np.random.default_rng(5), count, missing=0.0)
    odd = table[np.random.default_rng(6).integers(0, count, count)] * np.float32(7)
    tried = np.concatenate([table, odd, np.zeros((1, WIDTH), np.float32)])
    finals: dict[str, list[Any]] = {
        "binary": [
            LogisticRegression(),
            SGDClassifier(loss="log_loss", random_state=0),
            MLPClassifier(hidden_layer_sizes=(8,), tol=0.01, random_state=0),
            CalibratedClassifierCV(LogisticRegression(), method="sigmoid"),
        ],
        "multiclass": [LogisticRegression(), CalibratedClassifierCV(LogisticRegression(), method="sigmoid")],
        "poisson": [PoissonRegressor(), GammaRegressor(), TweedieRegressor(power=1.5, link="log")],
        "regression": [
            *(LinearRegression(), Ridge(), Lasso(0.01), ElasticNet(0.01)),
            MLPRegressor(hidden_layer_sizes=(8,), tol=0.01, random_state=0),
        ],
    }
    for objective, models in finals.items():
        labels = target(np.random.default_rng(7), table, objective)
        for final in models:
            steps = Pipeline([("scaled", StandardScaler()), ("model", final)]).fit(table, labels)
            yield _pipeline(f"{type(final).__name__}, {objective}", steps, tried)
    labels = target(np.random.default_rng(7), table, "binary")
    for step in computing():
        steps = Pipeline([("first", step), ("model", LogisticRegression())]).fit(table, labels)
        yield _pipeline(f"{type(step).__name__} before LogisticRegression", steps, tried)


def computing() -> list[Any]:
    """Unfitted steps that compute."""
    return [
        *(StandardScaler(), RobustScaler(), MinMaxScaler(), MaxAbsScaler(), Normalizer()),
        *(PCA(3), TruncatedSVD(3), make_pipeline(SimpleImputer(), StandardScaler())),
        FeatureUnion([("scaled", StandardScaler()), ("turned", PCA(2))]),
    ]


def computed_trees(count: int) -> Iterator[Exported]:
    """LightGBM behind steps that compute in float64 and round once, on rows around every split."""
    table = rows(np.random.default_rng(8), count, missing=0.0) * np.float32(30)
    labels = target(np.random.default_rng(9), table, "binary")
    for scaler in (StandardScaler(), RobustScaler(), MinMaxScaler(), MaxAbsScaler()):
        steps = rounded(clone(scaler)).fit(table, labels)
        yield _pipeline(f"{type(scaler).__name__} in float64 before LightGBM", steps, around_splits(steps, table))


def rounded(step: Any) -> Pipeline:
    """A step in float64, rounded to float32 before the trees."""
    trees = lightgbm.LGBMClassifier(verbose=-1, n_jobs=1, n_estimators=30, random_state=0)
    wide, narrow = (CastTransformer(dtype=dtype) for dtype in (np.float64, np.float32))
    return Pipeline([("wide", wide), ("step", step), ("narrow", narrow), ("model", trees)])


def around_splits(steps: Pipeline, table: NDArray[np.float32]) -> NDArray[np.float32]:
    """The table, and for each split of the trees nine float32 numbers in a row that a scaler maps to its threshold."""
    forest = read_forest(steps.named_steps["model"].booster_)
    drawn = np.random.default_rng(10).integers(0, len(table), len(forest.split))
    scaled = np.tile(forest.threshold[:, np.newaxis], (1, table.shape[1]))
    at = steps.named_steps["step"].inverse_transform(scaled)[np.arange(len(scaled)), forest.feature]
    steps_up = np.float32(at)
    for _ in range(4):
        steps_up = np.nextafter(steps_up, np.float32(-np.inf))
    parts = [table]
    for _ in range(9):
        part = table[drawn].copy()
        part[np.arange(len(part)), forest.feature] = steps_up
        parts.append(part)
        steps_up = np.nextafter(steps_up, np.float32(np.inf))
    return np.concatenate(parts)


def _booster(
    kind: str,
    model: lightgbm.Booster,
    table: NDArray[np.float32],
    output: Output | str,
    platt: Platt | None = None,
) -> Exported:
    forest = read_forest(model)
    tried = parity_rows(forest, table, seed=0)
    data = export_booster(model, feature_names=names(model), output=output, calibration=platt)  # type: ignore[arg-type]
    trained = np.asarray(model.predict(tried, raw_score=output == "raw" or platt is not None))
    expected = trained if platt is None else platt.probabilities(trained)
    return Exported(kind, data.SerializeToString(), tried, expected, len(forest.split))


def _pipeline(kind: str, steps: Pipeline, tried: NDArray[np.float32]) -> Exported:
    model = export_matrix_pipeline(steps, tried.shape[1]).SerializeToString()
    if not hasattr(steps, "predict_proba"):
        return Exported(kind, model, tried, np.asarray(steps.predict(tried)), 0)
    chances = np.asarray(steps.predict_proba(tried))
    return Exported(kind, model, tried, chances if chances.shape[1] > 2 else chances[:, 1], 0)
