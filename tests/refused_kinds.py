"""What no graph reproduces exactly, or what is converted to something else: each must be refused, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import lightgbm
import numpy as np
from boosters import QUIET, names, rows, target
from numpy.typing import NDArray
from skl2onnx.sklapi import CastTransformer
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from hub.export import export_booster
from hub.export.sklearn import export_matrix_pipeline


class Refusal(NamedTuple):
    """What is exported, and the code and a word of the refusal."""

    kind: str
    export: Callable[[], Any]
    code: str
    said: str


def refusals() -> Iterator[Refusal]:
    """Of boosters, then of pipelines."""
    table = np.abs(rows(np.random.default_rng(13), 600, missing=0.0))
    for objective, settings, code, said in (
        ("regression", {"linear_tree": True}, "linear-tree", "linear_tree"),
        ("binary", {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "random-forest", "boosting=rf"),
        ("binary", {"zero_as_missing": True}, "zero-as-missing", "zero_as_missing"),
        ("cross_entropy", {}, "objective", "cross_entropy"),
        ("cross_entropy_lambda", {}, "objective", "cross_entropy_lambda"),
    ):
        yield Refusal(f"{objective} {settings}", _booster(table, objective, settings), code, said)
    yield Refusal("a custom objective's response", _custom(table), "objective", "custom")
    trees = lightgbm.LGBMClassifier(verbose=-1, n_jobs=1, n_estimators=2)
    logistic = LogisticRegression()
    for said, code, steps in (
        ("isotonic", "isotonic", [CalibratedClassifierCV(logistic, method="isotonic")]),
        ("temperature", "calibration", [CalibratedClassifierCV(logistic, method="temperature")]),
        ("LGBMClassifier", "calibration", [CalibratedClassifierCV(trees, method="sigmoid")]),
        ("RandomForestClassifier", "pipeline", [RandomForestClassifier(2)]),
        ("GradientBoostingClassifier", "pipeline", [GradientBoostingClassifier(n_estimators=2)]),
        ("HistGradientBoostingClassifier", "pipeline", [HistGradientBoostingClassifier(max_iter=2)]),
        ("DecisionTreeClassifier", "pipeline", [DecisionTreeClassifier(max_depth=2)]),
        ("LinearDiscriminantAnalysis", "pipeline", [LinearDiscriminantAnalysis()]),
        ("SGDClassifier", "pipeline", [SGDClassifier(loss="modified_huber")]),
        ("sublinear_tf", "pipeline", [TfidfTransformer(sublinear_tf=True), logistic]),
        ("FunctionTransformer", "pipeline", [FunctionTransformer(np.sqrt), logistic]),
        ("CastTransformer", "arithmetic-before-trees", [StandardScaler(), trees]),
        ("CastTransformer", "arithmetic-before-trees", [StandardScaler(), narrow(), trees]),
        ("CastTransformer", "arithmetic-before-trees", [wide(), StandardScaler(), trees]),
    ):
        listed = ", ".join(type(step).__name__ for step in steps)
        yield Refusal(f"{listed} ({said})", _pipeline(table, steps), code, said)


def wide() -> CastTransformer:
    """To float64."""
    return CastTransformer(dtype=np.float64)


def narrow() -> CastTransformer:
    """To float32."""
    return CastTransformer(dtype=np.float32)


def _booster(table: NDArray[np.float32], objective: str, settings: dict[str, Any]) -> Callable[[], Any]:
    def export() -> Any:
        labels = target(np.random.default_rng(0), table, "cross_entropy" if "cross" in objective else objective)
        model = lightgbm.train(QUIET | {"objective": objective} | settings, lightgbm.Dataset(table, labels), 5)
        return export_booster(model, feature_names=names(model), output="raw")

    return export


def _custom(table: NDArray[np.float32]) -> Callable[[], Any]:
    labels = target(np.random.default_rng(0), table, "regression")

    def squares(scores: NDArray[np.float64], _: lightgbm.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return scores - labels, np.ones_like(scores)

    def export() -> Any:
        model = lightgbm.train(QUIET | {"objective": squares}, lightgbm.Dataset(table, labels), 5)
        return export_booster(model, feature_names=names(model), output="response")

    return export


def _pipeline(table: NDArray[np.float32], steps: list[Any]) -> Callable[[], Any]:
    def export() -> Any:
        labels = target(np.random.default_rng(0), table, "binary")
        fitted = Pipeline([(f"step{number}", step) for number, step in enumerate(steps)]).fit(table, labels)
        return export_matrix_pipeline(fitted, table.shape[1])

    return export
