"""A score of several classes as one graph: trees, and behind them what calibrates them with one slope for all.

    x float32 [N, F] -> sums of leaves [N, K] -> softmax(slope * sums + shift) [N, K]

Leaves are added in float64, as LightGBM does; the softmax is taken in float32 of float32 sums, whose rounding moves a
probability by less than 1e-6. One probability is exported by `export_booster` with its Platt sigmoid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgewise.errors import ModelRefused
from hub.export.booster import assemble, check_feature_names, constant, forest_nodes
from hub.export.forest import read_forest

if TYPE_CHECKING:
    import lightgbm
    import onnx


def export_softmax(
    booster: lightgbm.Booster, *, feature_names: Sequence[str], slope: float, shift: Sequence[float]
) -> onnx.ModelProto:
    """A model with input `x`, float32 [N, F], and output `score`, float32 [N, K]: `softmax(slope * sums + shift)`.

    Raises:
        ModelRefused: as `export_booster`; or there is not one shift a class (`calibration`).
    """
    from onnx import helper

    forest = read_forest(booster)
    check_feature_names(forest, feature_names)
    classes = forest.objective.classes
    if classes == 1 or len(shift) != classes:
        raise ModelRefused("calibration", f"{len(shift)} shifts for a model of {classes} classes; expected one each")
    nodes, constants, sums = forest_nodes(forest, "identity", source="x", prefix="")
    nodes += [
        helper.make_node("Mul", [sums, "slope"], ["steep"]),
        helper.make_node("Add", ["steep", "shift"], ["moved"]),
        helper.make_node("Softmax", ["moved"], ["score"], axis=1),
    ]
    constants += [
        constant("slope", np.array([[slope]], np.float32)),
        constant("shift", np.array([list(shift)], np.float32)),
    ]
    return assemble(
        nodes,
        constants,
        features=forest.features,
        result=("score", [classes]),
        metadata={"edgewise.features": list(feature_names), "edgewise.output": "probability"},
    )
