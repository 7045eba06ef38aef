"""Which scikit-learn pipelines export exactly, known before anything is converted; the others are refused by name.

skl2onnx 1.20 with scikit-learn 1.9 converts some steps to graphs that compute something else and says nothing. So only
what was proven may pass (`make bench-accuracy ARGS="--only parity"` proves it anew), and for what people are likely to
bring the refusal says what to take instead.

Arithmetic before trees is a case of its own. scikit-learn scales float32 columns in float64 where a graph does it in
float32; a row whose last digit differs at a split goes down the other branch (of rows around the splits of a scaled
table one in forty does, and its probability was off by up to 0.35). It is exact where both compute in float64 and round
to float32 once, before the trees:

    make_pipeline(CastTransformer(dtype=np.float64), StandardScaler(), CastTransformer(dtype=np.float32))

with `skl2onnx.sklapi.CastTransformer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Any, Final

import numpy as np

from edgewise.errors import ModelRefused

TREES: Final = frozenset({"LGBMClassifier", "LGBMRegressor", "LGBMRanker"})
LINEAR: Final = frozenset(
    {"LogisticRegression", "SGDClassifier", "LinearRegression", "Ridge", "Lasso", "ElasticNet"}
    | {"PoissonRegressor", "GammaRegressor", "TweedieRegressor"}
)
NETWORKS: Final = frozenset({"MLPClassifier", "MLPRegressor"})
ARITHMETIC: Final = frozenset(
    {"StandardScaler", "RobustScaler", "MinMaxScaler", "MaxAbsScaler", "Normalizer"}
    | {"PCA", "TruncatedSVD", "TfidfTransformer"}
)
"""Steps that compute: their last digit depends on the width of the numbers."""
CODES: Final = frozenset({"OneHotEncoder", "OrdinalEncoder", "SimpleImputer"})
"""Steps that only look up."""

_LIGHTGBM: Final = "train LightGBM, whose trees export exactly"
_OUTSIDE: Final = "its string operators load only where there is en_US.UTF-8: count words outside, as `train topics`"
REFUSED: Final[Mapping[str, tuple[str, str]]] = {
    "IsotonicRegression": ("isotonic", "isotonic regression is not exported: calibrate by sigmoid"),
    **dict.fromkeys(
        (
            *("HistGradientBoostingClassifier", "HistGradientBoostingRegressor", "AdaBoostClassifier"),
            *("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor"),
            *("GradientBoostingClassifier", "GradientBoostingRegressor"),
            *("DecisionTreeClassifier", "DecisionTreeRegressor"),
        ),
        ("pipeline", f"its trees are written for an older ai.onnx.ml than nodes run: {_LIGHTGBM}"),
    ),
    **dict.fromkeys(("CountVectorizer", "TfidfVectorizer", "HashingVectorizer"), ("pipeline", _OUTSIDE)),
    "LinearDiscriminantAnalysis": ("pipeline", "skl2onnx writes other probabilities than it gives: LogisticRegression"),
    "FunctionTransformer": ("pipeline", "a function of Python is not exported: compute it before the table"),
    "NMF": ("pipeline", "it is not converted: take TruncatedSVD"),
}
"""What people are likely to bring: class name -> code and what to do."""


class _Width(IntEnum):
    """What reaches a step, the worst of its columns."""

    PLAIN = 0
    """float32, the same in training and in a graph."""
    WIDE = 1
    """float64, computed alike in both."""
    LOOSE = 2
    """Computed in float64 by one and in float32 by the other."""


def check_steps(pipeline: Any) -> None:
    """Refuse a fitted pipeline that would not be exported exactly.

    Raises:
        ModelRefused: a step is not among the proven ones (`pipeline`, `isotonic`, `calibration`), or trees read what
            was computed in another width than they were trained on (`arithmetic-before-trees`).
    """
    *steps, final = _steps(pipeline)
    width = _after(steps, _Width.PLAIN)
    _check_final(final)
    name = type(final).__name__
    if name in TREES and width is not _Width.PLAIN:
        raise ModelRefused(
            "arithmetic-before-trees",
            f"{name} reads computed columns: let CastTransformer(dtype=np.float64) stand before the arithmetic and "
            "CastTransformer(dtype=np.float32) after it, or train on the columns themselves",
        )


def _steps(pipeline: Any) -> list[Any]:
    return [step for _, step in pipeline.steps] if hasattr(pipeline, "steps") else [pipeline]


def _after(steps: Iterable[Any], width: _Width) -> _Width:
    for step in steps:
        width = _through(step, width)
    return width


def _through(step: Any, width: _Width) -> _Width:
    """The width after one transformer, which may hold others."""
    name = type(step).__name__
    if _is_identity(step) or name in CODES:
        return width
    if name == "Pipeline":
        return _after(_steps(step), width)
    if name in {"ColumnTransformer", "FeatureUnion"}:
        return max((_through(part, width) for part in _parts(step)), default=width)
    if name == "CastTransformer":
        if width is _Width.LOOSE:
            return width
        return _Width.WIDE if np.dtype(step.dtype) == np.float64 else _Width.PLAIN
    if name not in ARITHMETIC:
        raise _refused(step)
    if name == "TfidfTransformer" and step.sublinear_tf:
        raise ModelRefused("pipeline", "sublinear_tf is exported as log(1 + count), not 1 + log(count): leave it out")
    return _Width.WIDE if width is _Width.WIDE else _Width.LOOSE


def _is_identity(step: Any) -> bool:
    """What a fitted ColumnTransformer makes of `passthrough` is a FunctionTransformer without a function."""
    return step in ("passthrough", "drop", None) or (type(step).__name__ == "FunctionTransformer" and step.func is None)


def _parts(step: Any) -> Iterator[Any]:
    if hasattr(step, "transformers_"):
        yield from (part for _, part, _ in step.transformers_)
    else:
        yield from (part for _, part in step.transformer_list)


def _check_final(final: Any) -> None:
    name = type(final).__name__
    if name == "CalibratedClassifierCV":
        if final.method != "sigmoid":
            code = "isotonic" if final.method == "isotonic" else "calibration"
            raise ModelRefused(code, f"{final.method} calibration is not exported: calibrate by sigmoid")
        inner = {type(part.estimator).__name__ for part in final.calibrated_classifiers_}
        if not inner <= LINEAR:
            raise ModelRefused(
                "calibration",
                f"a calibrated {', '.join(sorted(inner - LINEAR))} is exported as another model: calibrate a booster "
                "by hub.export.calibration.Platt",
            )
    elif name == "SGDClassifier" and final.loss != "log_loss":
        raise ModelRefused("pipeline", f"SGDClassifier with loss {final.loss} has no probability: take log_loss")
    elif name not in TREES | LINEAR | NETWORKS:
        raise _refused(final)


def _refused(step: Any) -> ModelRefused:
    name = type(step).__name__
    code, advice = REFUSED.get(name, ("pipeline", f"it is not among what exports exactly: {', '.join(_proven())}"))
    return ModelRefused(code, f"{name}: {advice}")


def _proven() -> list[str]:
    return sorted(TREES | LINEAR | NETWORKS | ARITHMETIC | CODES)
