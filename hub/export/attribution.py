"""Path attribution: how much each feature moved a score, as a second model beside the scoring one.

On its way through a tree a row passes from a node with one expected score to a node with another; the step is
credited to the feature that the first node asks about (Saabas' method, "Interpreting random forests", 2014).
The steps of a path telescope, so the credits of all trees plus the bias add up to the raw score. They are not
Shapley values, which average over orders of asking: call them path attributions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import ModelRefused
from hub.export.booster import assemble, check_feature_names, constant, tree_ensemble, truncation
from hub.export.forest import Forest, read_forest

if TYPE_CHECKING:
    import lightgbm
    import onnx

MOST_LEAVES = 2**24
"""Leaf numbers travel as float32, which counts exactly up to here."""


def export_attribution(booster: lightgbm.Booster, feature_names: Sequence[str]) -> onnx.ModelProto:
    """A model with input `x`, float32 [N, F], and output `attribution`, float32 [N, F + 1].

    Column i is the credit of feature i, in units of the raw score; the last column is the bias, the score
    expected of an average training row. Each row adds up to the raw score.

    One `TreeEnsemble` finds the leaf of each tree (a leaf has only one weight in ai.onnx.ml 5: its number), a
    table holds the credits of each leaf, and the rows of the table are summed.

    Raises:
        ModelRefused: as `export_booster`; and for multiclass models, whose raw scores are several.
    """
    forest = read_forest(booster)
    check_feature_names(forest, feature_names)
    return attribution_model(forest, feature_names)


def attribution_model(forest: Forest, feature_names: Sequence[str]) -> onnx.ModelProto:
    """As `export_attribution`, of the sum of a forest's trees. Raises ModelRefused as that does."""
    if forest.objective.classes != 1:
        raise ModelRefused("objective", f"path attribution of {forest.objective.name} is not supported")
    if len(forest.leaf_value) > MOST_LEAVES:
        raise ModelRefused("model-size", f"{len(forest.leaf_value)} leaves; expected at most {MOST_LEAVES}")
    from onnx import TensorProto, helper

    table, bias = leaf_credits(forest)
    nodes, constants, truncated = truncation(forest, source="x", prefix="")
    nodes += [
        tree_ensemble(
            forest,
            source=truncated,
            result="leaf_numbers",
            weights=np.arange(len(forest.leaf_value), dtype=np.float32),
            target=forest.leaf_tree,
            targets=forest.trees,
        ),
        helper.make_node("Cast", ["leaf_numbers"], ["leaves"], to=TensorProto.INT64),
        helper.make_node("Gather", ["credits", "leaves"], ["steps"], axis=0),
        helper.make_node("ReduceSum", ["steps", "trees"], ["moved"], keepdims=0),
        helper.make_node("Add", ["moved", "bias"], ["attribution"]),
    ]
    constants += [
        constant("credits", table.astype(np.float32)),
        constant("trees", np.array([1], dtype=np.int64)),
        constant("bias", np.append(np.zeros(forest.features), bias)[np.newaxis].astype(np.float32)),
    ]
    return assemble(
        nodes,
        constants,
        features=forest.features,
        result=("attribution", [forest.features + 1]),
        metadata={"edgewise.features": list(feature_names), "edgewise.output": "attribution"},
    )


def leaf_credits(forest: Forest) -> tuple[NDArray[np.float64], float]:
    """Credits of each leaf, float64 [leaves, F + 1] with a last column of 0, and the bias.

    Exact in sum whatever the digits of the dumped node values: those cancel along the path.
    """
    table = np.zeros((len(forest.leaf_value), forest.features + 1))
    node_credits = np.zeros((len(forest.feature), forest.features + 1))
    # Nodes are in pre-order, so a parent's credits are complete before its children ask for them.
    asked = forest.feature
    for node, parent in enumerate(forest.node_parent):
        if parent >= 0:
            node_credits[node] = node_credits[parent]
            node_credits[node, asked[parent]] += forest.node_value[node] - forest.node_value[parent]
    for child, is_leaf in (
        (forest.true_child, forest.true_is_leaf),
        (forest.false_child, forest.false_is_leaf),
    ):
        above = np.flatnonzero(is_leaf)
        leaf = child[above]
        table[leaf] = node_credits[above]
        table[leaf, asked[above]] += forest.leaf_value[leaf] - forest.node_value[above]
    return table, float(forest.node_value[forest.roots].sum())
