"""Several boosters as one model that says how far they agree: their mean and their standard deviation, row by row.

All trees stand in one `TreeEnsemble` with a target for each booster, so that a row is looked up once. Mean and
deviation are computed in float64 inside the graph, as in training; what remains is the rounding to float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import ModelRefused
from hub.export.attribution import attribution_model
from hub.export.booster import assemble, check_feature_names, constant, tree_ensemble, truncation
from hub.export.forest import Forest, joined, read_forest

if TYPE_CHECKING:
    import lightgbm
    import onnx

FEWEST_BAGS = 2


def bagged_forest(boosters: Sequence[lightgbm.Booster]) -> tuple[Forest, NDArray[np.int64]]:
    """All trees as one forest, and of each leaf the number of its booster.

    Raises:
        ModelRefused: as `read_forest`; boosters of several scores a row, of different columns, or fewer than two.
    """
    forests = [read_forest(booster) for booster in boosters]
    if len(forests) < FEWEST_BAGS:
        raise ModelRefused("bags", f"{len(forests)} boosters tell nothing of how far they agree; expected two or more")
    if any(forest.objective.classes != 1 for forest in forests):
        raise ModelRefused("objective", f"{forests[0].objective.name} says several scores; bags are of one score each")
    if len({forest.features for forest in forests}) > 1:
        raise ModelRefused("bags", "boosters of different columns; expected the same ones")
    bag = np.repeat(np.arange(len(forests)), [len(forest.leaf_value) for forest in forests])
    return joined(forests), bag


def export_bags(boosters: Sequence[lightgbm.Booster], feature_names: Sequence[str]) -> onnx.ModelProto:
    """A model with input `x`, float32 [N, F], and output `score`, float32 [N, 2].

    First the mean of the boosters' raw scores, then their standard deviation (with n - 1).

    Raises ModelRefused: as `bagged_forest`, or the names do not fit.
    """
    from onnx import TensorProto, helper

    forest, bag = bagged_forest(boosters)
    check_feature_names(forest, feature_names)
    nodes, constants, truncated = truncation(forest, source="x", prefix="")
    nodes += [
        helper.make_node("Cast", [truncated], ["wide"], to=TensorProto.DOUBLE),
        tree_ensemble(
            forest, source="wide", result="sums", weights=forest.leaf_value, target=bag, targets=len(boosters)
        ),
        helper.make_node("ReduceMean", ["sums", "bags"], ["mean"], keepdims=1),
        helper.make_node("Sub", ["sums", "mean"], ["off"]),
        helper.make_node("Mul", ["off", "off"], ["squared"]),
        helper.make_node("ReduceSum", ["squared", "bags"], ["summed"], keepdims=1),
        helper.make_node("Div", ["summed", "freedom"], ["variance"]),
        helper.make_node("Sqrt", ["variance"], ["error"]),
        helper.make_node("Concat", ["mean", "error"], ["both"], axis=1),
        helper.make_node("Cast", ["both"], ["score"], to=TensorProto.FLOAT),
    ]
    constants += [
        constant("bags", np.array([1], dtype=np.int64)),
        constant("freedom", np.array([[len(boosters) - 1]], dtype=np.float64)),
    ]
    return assemble(
        nodes,
        constants,
        features=forest.features,
        result=("score", [2]),
        metadata={"edgewise.features": list(feature_names), "edgewise.output": "raw"},
    )


def export_bagged_attribution(boosters: Sequence[lightgbm.Booster], feature_names: Sequence[str]) -> onnx.ModelProto:
    """Path attribution of the mean, as `export_attribution` of one booster: each row adds up to the mean's score."""
    forest, _ = bagged_forest(boosters)
    check_feature_names(forest, feature_names)
    return attribution_model(forest.scaled(1 / len(boosters)), feature_names)
