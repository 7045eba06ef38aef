"""A linear model to ONNX: the same terms, by a dozen operators that every edge has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hub.export.booster import assemble, constant
from hub.linear_model import LinearModel, Terms

if TYPE_CHECKING:
    import onnx


def export_linear(model: LinearModel, feature_names: Sequence[str], *, with_error: bool) -> onnx.ModelProto:
    """Input `x` float32 [N, F]; output `score` float32 [N], or with the standard errors [N, 2]."""
    from onnx import helper

    nodes, constants = _term_nodes(model.terms)
    constants += [
        constant("weights", model.weights[:, None].astype(np.float32)),
        constant("intercept", np.array([[model.intercept]], np.float32)),
        constant("columns", np.array([1], np.int64)),
    ]
    nodes += [
        helper.make_node("MatMul", ["terms", "weights"], ["weighed"]),
        helper.make_node("Add", ["weighed", "intercept"], ["scores"]),
    ]
    metadata = {"edgewise.features": list(feature_names), "edgewise.output": "raw"}
    if not with_error:
        nodes.append(helper.make_node("Squeeze", ["scores", "columns"], ["score"]))
        return assemble(nodes, constants, features=model.terms.features, result=("score", []), metadata=metadata)
    constants += [
        constant("root", model.root.astype(np.float32)),
        constant("of_intercept", np.array([[model.intercept_error**2]], np.float32)),
    ]
    nodes += [
        helper.make_node("MatMul", ["terms", "root"], ["spread"]),
        helper.make_node("Mul", ["spread", "spread"], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "columns"], ["of_terms"], keepdims=1),
        helper.make_node("Add", ["of_terms", "of_intercept"], ["variance"]),
        helper.make_node("Sqrt", ["variance"], ["errors"]),
        helper.make_node("Concat", ["scores", "errors"], ["score"], axis=1),
    ]
    return assemble(nodes, constants, features=model.terms.features, result=("score", [2]), metadata=metadata)


def export_linear_attribution(model: LinearModel, feature_names: Sequence[str]) -> onnx.ModelProto:
    """Output `attribution` float32 [N, F + 1]: what each column adds to the score; the last one is the intercept.

    A product is shared alike by its two columns. Every row adds up to the score.
    """
    from onnx import helper

    nodes, constants = _term_nodes(model.terms)
    bias = np.zeros((1, model.terms.features + 1), np.float32)
    bias[0, -1] = model.intercept
    constants += [constant("credits", model.credits().astype(np.float32)), constant("bias", bias)]
    nodes += [
        helper.make_node("MatMul", ["terms", "credits"], ["credited"]),
        helper.make_node("Add", ["credited", "bias"], ["attribution"]),
    ]
    return assemble(
        nodes,
        constants,
        features=model.terms.features,
        result=("attribution", [model.terms.features + 1]),
        metadata={"edgewise.features": list(feature_names), "edgewise.output": "attribution"},
    )


def _term_nodes(terms: Terms) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """From `x` to `terms`, float32 [N, terms], as `Terms.of` does it."""
    from onnx import TensorProto, helper

    nodes, constants, parts = [], [], []
    if len(terms.numbers):
        nodes += [
            helper.make_node("IsNaN", ["x"], ["missing"]),
            helper.make_node("Where", ["missing", "fill", "x"], ["filled"]),
            helper.make_node("Max", ["filled", "low"], ["not_below"]),
            helper.make_node("Min", ["not_below", "high"], ["cut"]),
            helper.make_node("Gather", ["cut", "numbers"], ["plain"], axis=1),
            helper.make_node("Sub", ["plain", "centre"], ["centred"]),
            helper.make_node("Mul", ["centred", "stretch"], ["stretched"]),
        ]
        constants += [
            constant("fill", terms.fill[None]),
            constant("low", terms.low[None].astype(np.float32)),
            constant("high", terms.high[None].astype(np.float32)),
            constant("numbers", terms.numbers),
            constant("centre", terms.centre[None]),
            constant("stretch", terms.stretch[None]),
        ]
        parts.append("stretched")
    if len(terms.coded):
        nodes += [
            helper.make_node("Gather", ["x", "coded"], ["said"], axis=1),
            helper.make_node("Equal", ["said", "code"], ["is_code"]),
            helper.make_node("Cast", ["is_code"], ["codes"], to=TensorProto.FLOAT),
        ]
        constants += [constant("coded", terms.coded), constant("code", terms.code[None])]
        parts.append("codes")
    if len(terms.left):
        nodes += [
            helper.make_node("Concat", parts, ["columns_of_one"], axis=1),
            helper.make_node("Gather", ["columns_of_one", "left"], ["one"], axis=1),
            helper.make_node("Gather", ["columns_of_one", "right"], ["other"], axis=1),
            helper.make_node("Mul", ["one", "other"], ["pairs"]),
        ]
        constants += [constant("left", terms.left), constant("right", terms.right)]
        parts = ["columns_of_one", "pairs"]
    nodes.append(helper.make_node("Concat", parts, ["terms"], axis=1))
    return nodes, constants
