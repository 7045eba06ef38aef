"""A score of visitors as one graph: trees, and behind them the sigmoid that calibrates them.

    x float32 [N, F] -> sums of leaves [N, K] -> slope * sums + shift -> sigmoid [N], or softmax [N, K]

Leaves are added in float64, as LightGBM does; the sigmoid is taken in float32 of a float32 sum, whose rounding moves a
probability by less than 1e-6.
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


def export_calibrated(
    booster: lightgbm.Booster,
    *,
    feature_names: Sequence[str],
    slope: float,
    shift: Sequence[float],
    classes: Sequence[str] = (),
) -> onnx.ModelProto:
    """A model with input `x`, float32 [N, F], and output `score`: float32 [N], or [N, K] of K classes.

    `shift` has one number without classes, else one a class. The classes go into the metadata (`edgewise.classes`).

    Raises:
        ModelRefused: as `export_booster`; or the numbers do not fit the model's classes (`calibration`).
    """
    from onnx import helper

    forest = read_forest(booster)
    check_feature_names(forest, feature_names)
    outputs = max(1, len(classes))
    if forest.objective.classes != outputs or len(shift) != outputs:
        raise ModelRefused(
            "calibration",
            f"{len(shift)} shifts and {len(classes)} classes for a model of {forest.objective.classes} outputs",
        )
    nodes, constants, sums = forest_nodes(forest, "identity", source="x", prefix="")
    nodes += [
        helper.make_node("Mul", [sums, "slope"], ["steep"]),
        helper.make_node("Add", ["steep", "shift"], ["moved"]),
    ]
    constants += [
        constant("slope", np.array([[slope]], np.float32)),
        constant("shift", np.array([list(shift)], np.float32)),
    ]
    if classes:
        nodes.append(helper.make_node("Softmax", ["moved"], ["score"], axis=1))
    else:
        nodes += [
            helper.make_node("Sigmoid", ["moved"], ["probability"]),
            helper.make_node("Squeeze", ["probability", "columns"], ["score"]),
        ]
        constants.append(constant("columns", np.array([1], dtype=np.int64)))
    return assemble(
        nodes,
        constants,
        features=forest.features,
        result=("score", [outputs] if classes else []),
        metadata={
            "edgewise.features": list(feature_names),
            "edgewise.output": "probability",
            "edgewise.classes": list(classes),
        },
    )
