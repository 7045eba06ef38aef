"""What stands before ONNX Runtime: a structural check of a model's bytes, without loading it.

Signed bytes are trusted to be the publisher's, not to be harmless: a graph can reach for files beside it, ask
for gigabytes while it loads, or index past its arrays. This gate allows what our exporters produce and nothing
more: no external data, no foreign operators, no sub-graphs, every size bounded, every id in its range.
"""

from __future__ import annotations

from typing import NamedTuple

from edge.scoring.onnx_gate.graph import Declared, Graph, Shape, read_graph
from edge.scoring.onnx_gate.shapes import check_size, infer
from edge.scoring.onnx_gate.trees import MOST_TREE_NODES
from edgewise.errors import ModelRefused

MOST_MODEL_BYTES = 64 << 20
OPSETS = {"": range(11, 25), "ai.onnx": range(11, 25), "ai.onnx.ml": range(1, 6)}
IR_TREES = ("ai.onnx.ml:TreeEnsemble", "ai.onnx.ml:TreeEnsembleRegressor", "ai.onnx.ml:TreeEnsembleClassifier")


class ModelSummary(NamedTuple):
    """What a checked model takes and gives; None in a shape is the number of rows."""

    inputs: tuple[Declared, ...]
    outputs: tuple[tuple[str, Shape], ...]
    operators: tuple[str, ...]
    """Distinct, sorted; `ai.onnx.ml:` before the machine-learning ones."""
    tree_nodes: int
    metadata: dict[str, str]
    size_bytes: int


def check_model(data: bytes, *, features: int | None, max_bytes: int = MOST_MODEL_BYTES) -> ModelSummary:
    """Check a model file; what passes may be given to ONNX Runtime.

    `features` is the width that the model must have: exactly one input, float32 [N, features], and one output.
    None allows a model of named columns: several inputs, each [N, k].

    Raises:
        ModelRefused: `too-large`, `malformed`, `external-data`, `operator`, `opset`, `arity`, `shape`, `tree`,
            `dtype`, `tensor`, or another name of what is not allowed; the message says where it is.
    """
    if len(data) > max_bytes:
        raise ModelRefused("too-large", f"a model of {len(data)} bytes; expected at most {max_bytes}")
    graph = read_graph(data)
    _check_opsets(graph)
    shapes = _input_shapes(graph, features)
    open_results = set(shapes)
    for name, constant in graph.constants.items():
        if name in shapes:
            raise ModelRefused("malformed", f"{name} is an input and a constant")
        if constant.elements > max_bytes:
            raise ModelRefused("too-large", f"constant {name} has {constant.elements} values")
        shapes[name] = constant.shape
    tree_nodes = 0
    for node in graph.nodes:
        if not open_results & set(node.inputs):
            # Folded while the model loads, where no number of rows bounds it; our exporters fold it themselves.
            raise ModelRefused("constant-node", f"{node.where}: does not depend on any input")
        results = infer(node, shapes, graph.constants)
        for name, shape in zip(node.outputs, results, strict=False):
            if name in shapes or not name:
                raise ModelRefused("malformed", f"{node.where}: result {name!r} is there already or has no name")
            shapes[name] = shape
            open_results.add(name)
        tree_nodes += node.count("nodes_featureids") if node.op in IR_TREES else 0
        if tree_nodes > MOST_TREE_NODES:
            raise ModelRefused("too-large", f"{tree_nodes} tree nodes; expected at most {MOST_TREE_NODES}")
    return ModelSummary(
        inputs=graph.inputs,
        outputs=_output_shapes(graph, shapes, features),
        operators=tuple(sorted({node.op for node in graph.nodes})),
        tree_nodes=tree_nodes,
        metadata=graph.metadata,
        size_bytes=len(data),
    )


def _check_opsets(graph: Graph) -> None:
    used = {node.op.partition(":")[0] if ":" in node.op else "" for node in graph.nodes}
    declared = {"" if domain == "ai.onnx" else domain for domain in graph.opsets}
    for domain, version in graph.opsets.items():
        if domain not in OPSETS:
            raise ModelRefused("operator", f"operators of domain {domain!r}; expected {sorted(OPSETS)}")
        if version not in OPSETS[domain]:
            allowed = OPSETS[domain]
            raise ModelRefused(
                "opset", f"opset {version} of {domain!r}; expected {allowed.start} to {allowed.stop - 1}"
            )
    for domain in sorted(used - declared):
        # A file cut short between two fields looks like this.
        raise ModelRefused("operator", f"operators of domain {domain!r}, of which no opset is declared")


def _input_shapes(graph: Graph, features: int | None) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for declared in graph.inputs:
        shape = declared.shape
        if shape is None or len(shape) != 2 or shape[0] is not None or shape[1] is None or shape[1] < 1:  # noqa: PLR2004
            raise ModelRefused("arity", f"input {declared.name}: shape {shape}; expected (N, columns)")
        if declared.name in shapes:
            raise ModelRefused("malformed", f"input {declared.name}: is there twice")
        check_size(shape, f"input {declared.name}")
        shapes[declared.name] = shape
    if not shapes:
        raise ModelRefused("arity", "the model has no input")
    if features is not None:
        found = [(declared.dtype, declared.shape) for declared in graph.inputs]
        if found != [("float32", (None, features))]:
            raise ModelRefused("arity", f"inputs {found}; expected one float32 (N, {features})")
    return shapes


def _output_shapes(graph: Graph, shapes: dict[str, Shape], features: int | None) -> tuple[tuple[str, Shape], ...]:
    if not graph.outputs or (features is not None and len(graph.outputs) != 1):
        raise ModelRefused("arity", f"{len(graph.outputs)} outputs; expected one")
    outputs: list[tuple[str, Shape]] = []
    for declared in graph.outputs:
        shape = shapes.get(declared.name)
        if shape is None or not shape or shape[0] is not None:
            raise ModelRefused("arity", f"output {declared.name} has shape {shape}; expected one entry a row")
        if features is not None and declared.dtype != "float32":
            raise ModelRefused("arity", f"output {declared.name} is {declared.dtype}; expected float32")
        outputs.append((declared.name, shape))
    return tuple(outputs)
