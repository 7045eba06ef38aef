"""LightGBM to ONNX: one `TreeEnsemble` of ai.onnx.ml 5 that decides exactly as the booster does.

Exact means: every float32 row reaches the leaf that LightGBM sends it to, in every tree, and the leaves are added
in float64. What remains is the rounding of the result to float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.errors import ModelRefused
from hub.export.calibration import LEAST_SUM, Platt
from hub.export.forest import MEMBER, RANKING_OBJECTIVES, Forest, Link, Objective, read_forest

if TYPE_CHECKING:
    import lightgbm
    import onnx

OPSET = 21
ML_OPSET = 5
IR_VERSION = 10
ML = "ai.onnx.ml"

Output = Literal["raw", "probability", "response"]


def export_booster(
    booster: lightgbm.Booster, *, feature_names: Sequence[str], output: Output, calibration: Platt | None = None
) -> onnx.ModelProto:
    """A model with input `x`, float32 [N, F], and one output `score`, float32 [N].

    `output` is what `score` holds: `raw` the sum of the leaves (`predict(raw_score=True)`, the cheapest, enough
    to rank), `response` what `predict()` gives, `probability` the same but only for a binary model. A
    multiclass model of K classes has `score` float32 [N, K]. With a `calibration` a probability is what that makes of
    the sum of the leaves.

    The names go into the metadata (`edgewise.features`, JSON), in the order of the columns of `x`.

    Raises:
        ModelRefused: an unsupported setting, by name (see `read_forest`), `output` or the calibration does not fit
            the objective, or the names do not fit the model.
    """
    from onnx import helper

    forest = read_forest(booster)
    check_feature_names(forest, feature_names)
    classes = forest.objective.classes
    if calibration is not None and (output != "probability" or len(calibration.slopes) != classes):
        raise ModelRefused(
            "calibration",
            f"{len(calibration.slopes)} sigmoids for {classes} scores as {output}; expected a probability",
        )
    link = chosen_link(forest.objective, output)
    nodes, constants, last = forest_nodes(forest, link, source="x", prefix="", calibration=calibration)
    if classes == 1:
        nodes.append(helper.make_node("Squeeze", [last, "columns"], ["score"]))
        constants.append(constant("columns", np.array([1], dtype=np.int64)))
    else:
        nodes.append(helper.make_node("Identity", [last], ["score"]))
    return assemble(
        nodes,
        constants,
        features=forest.features,
        result=("score", [] if classes == 1 else [classes]),
        metadata={"edgewise.features": list(feature_names), "edgewise.output": output},
    )


def check_feature_names(forest: Forest, feature_names: Sequence[str]) -> None:
    """Refuse names that do not fit the model's columns one to one."""
    if len(feature_names) != forest.features:
        raise ModelRefused(
            "feature-names", f"{len(feature_names)} feature names for a model of {forest.features} features"
        )
    if len(set(feature_names)) != len(feature_names):
        raise ModelRefused("feature-names", "a feature name is there twice; expected distinct names")


def chosen_link(objective: Objective, output: Output) -> Link:
    """The function from leaf sums to the wanted output."""
    if output == "raw":
        return "identity"
    if objective.link is None:
        raise ModelRefused("objective", f"a custom objective has no {output}; export it with output raw")
    if output == "probability" and objective.name in RANKING_OBJECTIVES:
        raise ModelRefused("objective", f"{objective.name} scores are no probabilities; export output raw")
    if output == "probability" and objective.link not in {"sigmoid", "softmax"}:
        raise ModelRefused("objective", f"objective {objective.name} gives no probability; export a response")
    return objective.link


def forest_nodes(
    forest: Forest, link: Link, *, source: str, prefix: str, calibration: Platt | None = None
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto], str]:
    """Graph nodes from float32 [N, F] to linked scores [N, classes], their constants, and the result's name.

    `prefix` keeps the names of intermediate results apart. A `calibration` stands in the link's place.
    """
    from onnx import TensorProto, helper

    classes = forest.objective.classes
    slope = forest.objective.slope if link == "sigmoid" and calibration is None else 1.0
    nodes, constants, truncated = truncation(forest, source=source, prefix=prefix)
    wide, wide_sums, sums = (prefix + name for name in ("wide", "wide_sums", "sums"))
    trees = tree_ensemble(
        forest,
        source=wide,
        result=wide_sums,
        weights=forest.leaf_value * slope,
        target=forest.leaf_tree % classes,
        targets=classes,
    )
    # Leaves are added in float64, as LightGBM does. In float32 a regression on values of thousands that add up
    # to about 1 is wrong in the fifth digit, and float64 costs 2 % of the time.
    nodes += [
        helper.make_node("Cast", [truncated], [wide], to=TensorProto.DOUBLE),
        trees,
    ]
    if calibration is None:
        nodes.append(helper.make_node("Cast", [wide_sums], [sums], to=TensorProto.FLOAT))
        linked, last = _link_nodes(link, source=sums, prefix=prefix)
        return nodes + linked, constants, last
    calibrated, numbers, last = _platt_nodes(calibration, source=wide_sums, prefix=prefix)
    return nodes + calibrated, constants + numbers, last


def truncation(forest: Forest, *, source: str, prefix: str) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto], str]:
    """LightGBM cuts categories toward zero (5.7 is category 5, -0.3 is 0): sign(x) * floor(|x|), NaN stays NaN.

    Only categorical columns are cut. Nothing is added for a model without them.
    """
    from onnx import helper

    categorical = forest.categorical_features
    if not len(categorical):
        return [], [], source
    mask = np.zeros((1, forest.features), dtype=np.bool_)
    mask[0, categorical] = True
    size, whole, sign, cut, cleaned, which = (
        prefix + name for name in ("size", "whole", "sign", "cut", "cleaned", "categorical")
    )
    nodes = [
        helper.make_node("Abs", [source], [size]),
        helper.make_node("Floor", [size], [whole]),
        helper.make_node("Sign", [source], [sign]),
        helper.make_node("Mul", [sign, whole], [cut]),
        helper.make_node("Where", [which, cut, source], [cleaned]),
    ]
    return nodes, [constant(which, mask)], cleaned


def tree_ensemble(
    forest: Forest,
    *,
    source: str,
    result: str,
    weights: NDArray[np.floating[Any]],
    target: NDArray[np.int64],
    targets: int,
) -> onnx.NodeProto:
    """The `TreeEnsemble` node, [N, F] to [N, targets], both of the type of `weights`: float32 or float64.

    The splits are float32 numbers in either.
    """
    from onnx import helper, numpy_helper

    dtype = weights.dtype
    attributes: dict[str, Any] = {
        "aggregate_function": 1,
        "post_transform": 0,
        "n_targets": targets,
        "tree_roots": forest.roots.tolist(),
        "nodes_featureids": forest.feature.tolist(),
        "nodes_modes": numpy_helper.from_array(forest.mode, "nodes_modes"),
        "nodes_splits": numpy_helper.from_array(forest.split.astype(dtype), "nodes_splits"),
        "nodes_truenodeids": forest.true_child.tolist(),
        "nodes_trueleafs": forest.true_is_leaf.astype(np.int64).tolist(),
        "nodes_falsenodeids": forest.false_child.tolist(),
        "nodes_falseleafs": forest.false_is_leaf.astype(np.int64).tolist(),
        "leaf_targetids": target.tolist(),
        "leaf_weights": numpy_helper.from_array(weights, "leaf_weights"),
    }
    if forest.missing_true.any():
        attributes["nodes_missing_value_tracks_true"] = forest.missing_true.astype(np.int64).tolist()
    if forest.members:
        end = np.array([np.nan], dtype=dtype)
        sets = np.concatenate([part for members in forest.members for part in (members, end)]).astype(dtype)
        attributes["membership_values"] = numpy_helper.from_array(sets, "membership_values")
    assert len(forest.members) == int((forest.mode == MEMBER).sum())
    return helper.make_node("TreeEnsemble", [source], [result], domain=ML, **attributes)


def _link_nodes(link: Link, *, source: str, prefix: str) -> tuple[list[onnx.NodeProto], str]:
    """From [N, classes] leaf sums to the output, and its name."""
    from onnx import helper

    linked = prefix + "linked"
    match link:
        case "identity":
            return [], source
        case "sigmoid":
            return [helper.make_node("Sigmoid", [source], [linked])], linked
        case "exp":
            return [helper.make_node("Exp", [source], [linked])], linked
        case "softmax":
            return [helper.make_node("Softmax", [source], [linked], axis=1)], linked
        case "square":  # reg_sqrt: predict gives sign(raw) * raw^2
            size = prefix + "raw_size"
            squared = helper.make_node("Mul", [source, size], [linked])
            return [helper.make_node("Abs", [source], [size]), squared], linked


def _platt_nodes(
    calibration: Platt, *, source: str, prefix: str
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto], str]:
    """From float64 [N, classes] leaf sums to calibrated probabilities; up to the sigmoid in float64, as trained."""
    from onnx import TensorProto, helper

    stretched, moved, narrow, shares, total, least, divided, probabilities = (
        prefix + name
        for name in ("stretched", "moved", "narrow", "shares", "total", "least", "divided_by", "probabilities")
    )
    slopes, intercepts, last_axis = (prefix + name for name in ("slopes", "intercepts", "last_axis"))
    nodes = [
        helper.make_node("Mul", [source, slopes], [stretched]),
        helper.make_node("Add", [stretched, intercepts], [moved]),
        helper.make_node("Cast", [moved], [narrow], to=TensorProto.FLOAT),
        helper.make_node("Sigmoid", [narrow], [shares]),
    ]
    numbers = [
        constant(slopes, np.array([calibration.slopes], dtype=np.float64)),
        constant(intercepts, np.array([calibration.intercepts], dtype=np.float64)),
    ]
    if len(calibration.slopes) == 1:
        return nodes, numbers, shares
    nodes += [
        helper.make_node("ReduceSum", [shares, last_axis], [total], keepdims=1),
        helper.make_node("Max", [total, least], [divided]),
        helper.make_node("Div", [shares, divided], [probabilities]),
    ]
    numbers += [
        constant(last_axis, np.array([1], dtype=np.int64)),
        constant(least, np.array([[LEAST_SUM]], dtype=np.float32)),
    ]
    return nodes, numbers, probabilities


def constant(name: str, values: NDArray[Any]) -> onnx.TensorProto:
    """A named initialiser."""
    from onnx import numpy_helper

    return numpy_helper.from_array(values, name)


def assemble(
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    *,
    features: int,
    result: tuple[str, list[int]],
    metadata: dict[str, Any],
) -> onnx.ModelProto:
    """One checked model from `x` float32 [N, features] to one float32 result [N, *width]."""
    from onnx import TensorProto, checker, helper

    name, width = result
    graph = helper.make_graph(
        nodes,
        "edgewise",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", features])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *width])],
        constants,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_OPSET)],
        producer_name="edgewise",
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, {key: msgspec.json.encode(value).decode() for key, value in metadata.items()})
    checker.check_model(model)
    return model
