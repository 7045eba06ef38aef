"""Small ONNX models, sound and hostile, for the tests of the gate and of the scorers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from boosters import booster, names, rows
from onnx import TensorProto, helper, numpy_helper

from hub.export import export_booster
from hub.export.attribution import export_attribution

FLOAT = TensorProto.FLOAT


def sound(*, categories: int = 0, features: int = 3) -> onnx.ModelProto:
    """A booster's export over `features` columns, the last `categories` of them categorical."""
    table = rows(np.random.default_rng(0), 300, numbers=features - categories, categories=categories)
    model = booster(table, "binary", categories=categories, rounds=3, num_leaves=4, cat_smooth=1, min_data_per_group=1)
    return export_booster(model, feature_names=names(model), output="probability")


def attribution() -> onnx.ModelProto:
    """A booster's attribution twin over three columns."""
    table = rows(np.random.default_rng(0), 300, numbers=3)
    model = booster(table, "binary", rounds=3, num_leaves=4)
    return export_attribution(model, names(model))


def graph(
    nodes: list[onnx.NodeProto],
    *,
    constants: dict[str, Any] | None = None,
    inputs: list[onnx.ValueInfoProto] | None = None,
    outputs: list[onnx.ValueInfoProto] | None = None,
    opsets: dict[str, int] | None = None,
) -> onnx.ModelProto:
    """A model of any nodes from `x` float32 [N, 3] to `y` float32 [N, 3]; nothing is checked."""
    initialisers = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    return helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [value("x", 3)] if inputs is None else inputs,
            [value("y", 3)] if outputs is None else outputs,
            initialisers,
        ),
        opset_imports=[helper.make_opsetid(*pair) for pair in (opsets or {"": 21, "ai.onnx.ml": 5}).items()],
        ir_version=10,
    )


def value(name: str, width: int | None = None, *, dtype: int = FLOAT, rows: Any = "N") -> onnx.ValueInfoProto:
    """A declared tensor [rows, width], or [rows] without a width."""
    return helper.make_tensor_value_info(name, dtype, [rows] if width is None else [rows, width])


def node(op: str, inputs: str, outputs: str = "y", domain: str = "", **attributes: Any) -> onnx.NodeProto:
    """A node; names are divided by blanks."""
    return helper.make_node(op, inputs.split(), outputs.split(), domain=domain, **attributes)


def tree(edit: Callable[[dict[str, Any]], Any] = lambda _: None) -> onnx.ModelProto:
    """A tree of two nodes and three leaves, after `edit` has changed its attributes."""
    attributes: dict[str, Any] = {
        "n_targets": 1,
        "tree_roots": [0],
        "nodes_featureids": [0, 2],
        "nodes_modes": np.array([0, 0], dtype=np.uint8),
        "nodes_splits": np.array([0.5, 1.5], dtype=np.float32),
        "nodes_truenodeids": [1, 0],
        "nodes_trueleafs": [0, 1],
        "nodes_falsenodeids": [2, 1],
        "nodes_falseleafs": [1, 1],
        "leaf_targetids": [0, 0, 0],
        "leaf_weights": np.array([1.0, 2.0, 3.0], dtype=np.float32),
    }
    edit(attributes)
    tensors: dict[str, Any] = {
        name: numpy_helper.from_array(held, name) if isinstance(held, np.ndarray) else held
        for name, held in attributes.items()
    }
    return graph(
        [node("TreeEnsemble", "x", domain="ai.onnx.ml", **tensors)], outputs=[value("y", attributes["n_targets"])]
    )


def old_tree(edit: Callable[[dict[str, Any]], Any] = lambda _: None) -> onnx.ModelProto:
    """One split as a `TreeEnsembleRegressor`, after `edit` has changed its attributes."""
    attributes: dict[str, Any] = {
        "n_targets": 1,
        "nodes_treeids": [0, 0, 0],
        "nodes_nodeids": [0, 1, 2],
        "nodes_featureids": [2, 0, 0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_values": [0.5, 0.0, 0.0],
        "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0],
        "target_treeids": [0, 0],
        "target_nodeids": [1, 2],
        "target_ids": [0, 0],
        "target_weights": [1.0, 2.0],
    }
    edit(attributes)
    nodes = [node("TreeEnsembleRegressor", "x", domain="ai.onnx.ml", **attributes)]
    return graph(nodes, outputs=[value("y", 1)], opsets={"": 21, "ai.onnx.ml": 3})
