"""How wide each operator's results are, worked out before anything runs.

A graph of 144 bytes can ask for gigabytes (a ConstantOfShape, or [N, 1] + [1, N]). Here every allowed operator
has a rule that gives the shape of its results from the shapes of its inputs, with the number of rows as the one
unknown; what has no rule is refused. So memory for each row is bounded, and the width that a tree ensemble
indexes is known. Element types are left to ONNX Runtime, which checks them when it loads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from edge.scoring.onnx_gate.graph import Constant, Node, Shape
from edge.scoring.onnx_gate.trees import MOST_TARGETS, check_numbered_ensemble, check_tree_ensemble, targets_of
from edgewise.errors import ModelRefused

MOST_ELEMENTS_PER_ROW = 1 << 18
"""Of any intermediate result: 1 MB a row in float32."""
MOST_RANK = 4

Constants = Mapping[str, Constant]
Rule = Callable[[Node, list[Shape | None], Constants], list[Shape]]
"""Input shapes (None for an input that is left out) to output shapes."""


def infer(node: Node, shapes: Mapping[str, Shape], constants: Constants) -> list[Shape]:
    """Shapes of a node's results.

    Raises:
        ModelRefused: `operator` if it is not on the list, `shape` if its inputs do not fit, `too-large`, or
            `tree` (see `edge.scoring.onnx_gate.trees`).
    """
    rule = RULES.get(node.op)
    if rule is None:
        raise ModelRefused("operator", f"{node.where}: this operator is not allowed")
    inputs: list[Shape | None] = []
    for name in node.inputs:
        if name and name not in shapes:
            raise ModelRefused("shape", f"{node.where}: input {name!r} is not computed before it is used")
        inputs.append(shapes[name] if name else None)
    if not inputs or inputs[0] is None:
        raise ModelRefused("shape", f"{node.where}: has no first input")
    results = rule(node, inputs, constants)
    if len(node.outputs) > len(results):
        raise ModelRefused("shape", f"{node.where}: {len(node.outputs)} outputs; expected {len(results)}")
    for shape in results:
        check_size(shape, node.where)
    return results


def check_size(shape: Shape, where: str) -> None:
    """Refuse shapes that grow with the square of the rows, or beyond the limit for a row."""
    if shape.count(None) > 1 or len(shape) > MOST_RANK:
        raise ModelRefused("shape", f"{where}: shape {shape}; expected one open size, rank up to {MOST_RANK}")
    elements = 1
    for dimension in shape:
        elements *= 1 if dimension is None else dimension
    if elements > MOST_ELEMENTS_PER_ROW:
        raise ModelRefused("too-large", f"{where}: {elements} values a row; expected up to {MOST_ELEMENTS_PER_ROW}")


def _first(node: Node, inputs: list[Shape | None]) -> Shape:
    first = inputs[0]
    if first is None:
        raise ModelRefused("shape", f"{node.where}: has no first input")
    return first


def _same(node: Node, inputs: list[Shape | None], _: Constants) -> list[Shape]:
    return [_first(node, inputs)]


def _broadcast(node: Node, inputs: list[Shape | None], _: Constants) -> list[Shape]:
    rank = max(len(shape or ()) for shape in inputs)
    result: list[int | None] = []
    for position in range(-rank, 0):
        sizes = {shape[position] for shape in inputs if shape is not None and len(shape) >= -position} - {1}
        if len(sizes) > 1:
            raise ModelRefused("shape", f"{node.where}: sizes {inputs} do not broadcast")
        result.append(sizes.pop() if sizes else 1)
    return [tuple(result)]


def _axis(node: Node, axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ModelRefused("shape", f"{node.where}: axis {axis} of a tensor of rank {rank}")
    return axis % rank


def _concat(node: Node, inputs: list[Shape | None], _: Constants) -> list[Shape]:
    first = _first(node, inputs)
    axis = _axis(node, node.integer("axis", 1), len(first))
    total = 0
    for shape in inputs:
        if (
            shape is None
            or len(shape) != len(first)
            or shape[:axis] + shape[axis + 1 :] != first[:axis] + first[axis + 1 :]
        ):
            raise ModelRefused("shape", f"{node.where}: sizes {inputs} do not join")
        size = shape[axis]
        if size is None:
            raise ModelRefused("shape", f"{node.where}: joins rows; expected columns")
        total += size
    return [(*first[:axis], total, *first[axis + 1 :])]


def _matmul(node: Node, inputs: list[Shape | None], _: Constants) -> list[Shape]:
    left, right = _first(node, inputs), inputs[1] if len(inputs) > 1 else None
    if right is None or len(left) != 2 or len(right) not in {1, 2} or node.integer("transA", 0):  # noqa: PLR2004
        raise ModelRefused("shape", f"{node.where}: sizes {inputs}; expected two matrices")
    if node.op == "Gemm" and node.integer("transB", 0):
        right = right[::-1]
    if left[1] is None or right[0] != left[1]:
        raise ModelRefused("shape", f"{node.where}: sizes {inputs} do not multiply")
    return [(left[0], *right[1:])]


def _known_integers(node: Node, index: int, constants: Constants) -> list[int] | None:
    """The values of an input that must be a constant; None if it is left out."""
    if index >= len(node.inputs) or not node.inputs[index]:
        return None
    held = constants.get(node.inputs[index])
    if held is None or held.dtype != "int64" or held.elements > MOST_RANK:
        raise ModelRefused("shape", f"{node.where}: input {node.inputs[index]!r} is not a short constant")
    return [int(value) for value in held.values()]


def _reshape(node: Node, inputs: list[Shape | None], constants: Constants) -> list[Shape]:
    source = _first(node, inputs)
    wanted = _known_integers(node, 1, constants)
    if wanted is None or None not in source or node.integer("allowzero", 0):
        raise ModelRefused("shape", f"{node.where}: reshapes {source} to {wanted}")
    per_row = int(np.prod([size for size in source if size is not None], dtype=np.int64))
    result: list[int | None] = []
    for position, size in enumerate(wanted):
        if size < -1 or (size == 0 and position >= len(source)):
            raise ModelRefused("shape", f"{node.where}: reshapes {source} to {wanted}")
        copied = source[position] if size == 0 else size
        result.append(None if copied == -1 else copied)
    known = int(np.prod([size for size in result if size is not None], dtype=np.int64))
    if result.count(None) != 1 or known != per_row:
        # Any other split would mix values of different rows, or fix the number of rows.
        raise ModelRefused("shape", f"{node.where}: reshapes {source} to {wanted}")
    return [tuple(result)]


def _flatten(node: Node, inputs: list[Shape | None], _: Constants) -> list[Shape]:
    first = _first(node, inputs)
    if node.integer("axis", 1) != 1 or not first or first[0] is not None:
        raise ModelRefused("shape", f"{node.where}: flattens {first}; expected rows first")
    return [(None, int(np.prod([size or 0 for size in first[1:]], dtype=np.int64)))]


def _squeeze(node: Node, inputs: list[Shape | None], constants: Constants) -> list[Shape]:
    first = _first(node, inputs)
    axes = _known_integers(node, 1, constants)
    if axes is None:
        raise ModelRefused("shape", f"{node.where}: names no axes")
    gone = {_axis(node, axis, len(first)) for axis in axes}
    if any(first[axis] != 1 for axis in gone):
        raise ModelRefused("shape", f"{node.where}: squeezes axes {axes} of {first}")
    return [tuple(size for axis, size in enumerate(first) if axis not in gone)]


def _unsqueeze(node: Node, inputs: list[Shape | None], constants: Constants) -> list[Shape]:
    first = _first(node, inputs)
    axes = _known_integers(node, 1, constants)
    if axes is None:
        raise ModelRefused("shape", f"{node.where}: names no axes")
    rank = len(first) + len(axes)
    added = {_axis(node, axis, rank) for axis in axes}
    kept = iter(first)
    if len(added) != len(axes):
        raise ModelRefused("shape", f"{node.where}: names an axis twice")
    return [tuple(1 if axis in added else next(kept) for axis in range(rank))]


def _gather(node: Node, inputs: list[Shape | None], _: Constants) -> list[Shape]:
    first, indices = _first(node, inputs), inputs[1] if len(inputs) > 1 else None
    axis = _axis(node, node.integer("axis", 0), len(first))
    if indices is None or first[axis] is None:
        raise ModelRefused("shape", f"{node.where}: gathers {indices} from {first}; expected columns")
    return [(*first[:axis], *indices, *first[axis + 1 :])]


def _slice(node: Node, inputs: list[Shape | None], constants: Constants) -> list[Shape]:
    first = _first(node, inputs)
    starts, ends, axes, steps = (_known_integers(node, index, constants) for index in range(1, 5))
    if starts is None or ends is None or axes is None or not len(starts) == len(ends) == len(axes):
        raise ModelRefused("shape", f"{node.where}: expected constant starts, ends and axes")
    result = list(first)
    for start, end, axis, step in zip(starts, ends, axes, steps or [1] * len(starts), strict=True):
        size = first[_axis(node, axis, len(first))]
        if size is None or step != 1:
            raise ModelRefused("shape", f"{node.where}: slices rows, or with a step; expected columns")
        result[_axis(node, axis, len(first))] = len(range(*slice(start, end).indices(size)))
    return [tuple(result)]


def _reduce(node: Node, inputs: list[Shape | None], constants: Constants) -> list[Shape]:
    first = _first(node, inputs)
    listed = node.integers("axes")
    axes = [int(axis) for axis in listed] if len(listed) else _known_integers(node, 1, constants)
    if axes is None:
        raise ModelRefused("shape", f"{node.where}: names no axes")
    return [_without(node, first, axes)]


def _argmax(node: Node, inputs: list[Shape | None], _: Constants) -> list[Shape]:
    return [_without(node, _first(node, inputs), [node.integer("axis", 0)])]


def _without(node: Node, shape: Shape, axes: list[int]) -> Shape:
    gone = {_axis(node, axis, len(shape)) for axis in axes}
    if any(shape[axis] is None for axis in gone):
        raise ModelRefused("shape", f"{node.where}: reduces rows; expected columns")
    keep = node.integer("keepdims", 1) == 1
    return tuple(1 if axis in gone else size for axis, size in enumerate(shape) if keep or axis not in gone)


def _array_feature_extractor(node: Node, inputs: list[Shape | None], constants: Constants) -> list[Shape]:
    first = _first(node, inputs)
    indices = constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
    width = first[-1] if first else None
    if indices is None or indices.dtype != "int64" or width is None:
        raise ModelRefused("shape", f"{node.where}: expected columns and constant indices")
    picked = indices.values()
    if len(picked) and not (0 <= int(picked.min()) and int(picked.max()) < width):  # noqa: SIM300
        raise ModelRefused("shape", f"{node.where}: picks columns {picked.min()} to {picked.max()} of {width}")
    return [(*first[:-1], len(picked)) if len(first) > 1 else (1, len(picked))]


def _per_column(*names: str) -> Rule:
    """Same shape; each of these attributes has one number, or one for each column."""

    def rule(node: Node, inputs: list[Shape | None], _: Constants) -> list[Shape]:
        for name in names:
            if node.count(name) not in {0, 1, _width(node, inputs)}:
                raise ModelRefused("shape", f"{node.where}: {node.count(name)} of {name} for {inputs}")
        return [_first(node, inputs)]

    return rule


def _label_encoder(node: Node, inputs: list[Shape | None], _: Constants) -> list[Shape]:
    kinds = ("floats", "int64s", "strings")
    keys, values = (node.count(*(f"{side}_{kind}" for kind in kinds)) for side in ("keys", "values"))
    if keys != values or not keys:
        raise ModelRefused("shape", f"{node.where}: {keys} keys and {values} values")
    return [_first(node, inputs)]


def _one_hot(node: Node, inputs: list[Shape | None], _: Constants) -> list[Shape]:
    categories = node.count("cats_int64s", "cats_strings")
    return [(*_first(node, inputs), categories)]


def _width(node: Node, inputs: list[Shape | None]) -> int:
    first = _first(node, inputs)
    if len(first) != 2 or first[0] is not None or first[1] is None:  # noqa: PLR2004
        raise ModelRefused("shape", f"{node.where}: reads {first}; expected a matrix of open height")
    return first[1]


def _linear_regressor(node: Node, inputs: list[Shape | None], _: Constants) -> list[Shape]:
    targets = node.integer("targets", 1)
    if not 0 < targets <= MOST_TARGETS or node.count("coefficients") != targets * _width(node, inputs):
        raise ModelRefused("shape", f"{node.where}: {node.count('coefficients')} coefficients do not fit {inputs}")
    return [(None, targets)]


def _linear_classifier(node: Node, inputs: list[Shape | None], _: Constants) -> list[Shape]:
    classes = targets_of(node, "class")
    rows, rest = divmod(node.count("coefficients"), max(_width(node, inputs), 1))
    if rest or not 0 < rows <= classes or node.count("intercepts") not in {0, rows}:
        raise ModelRefused("shape", f"{node.where}: {node.count('coefficients')} coefficients do not fit {inputs}")
    return [(None,), (None, max(classes, 2))]


def _tree_ensemble(node: Node, inputs: list[Shape | None], _: Constants) -> list[Shape]:
    return [(None, check_tree_ensemble(node, _width(node, inputs)))]


def _tree_regressor(node: Node, inputs: list[Shape | None], _: Constants) -> list[Shape]:
    check_numbered_ensemble(node, _width(node, inputs), votes="target")
    return [(None, targets_of(node, "target"))]


def _tree_classifier(node: Node, inputs: list[Shape | None], _: Constants) -> list[Shape]:
    check_numbered_ensemble(node, _width(node, inputs), votes="class")
    return [(None,), (None, max(targets_of(node, "class"), 2))]


_UNARY = (
    "Abs Cast Ceil Clip Erf Exp Floor Identity IsNaN Log LogSoftmax Neg Not Reciprocal Relu Sigmoid Sign Softmax "
    "Sqrt Tanh ai.onnx.ml:Binarizer ai.onnx.ml:Normalizer"
)
_BROADCAST = "Add And Div Equal Greater GreaterOrEqual Less LessOrEqual Max Min Mul Or Pow Sub Sum Where"

RULES: dict[str, Rule] = {
    **dict.fromkeys(_UNARY.split(), _same),
    **dict.fromkeys(_BROADCAST.split(), _broadcast),
    "ArgMax": _argmax,
    "Concat": _concat,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _matmul,
    "MatMul": _matmul,
    "ReduceMax": _reduce,
    "ReduceMean": _reduce,
    "ReduceProd": _reduce,
    "ReduceSum": _reduce,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "ai.onnx.ml:ArrayFeatureExtractor": _array_feature_extractor,
    "ai.onnx.ml:Imputer": _per_column("imputed_value_floats", "imputed_value_int64s"),
    "ai.onnx.ml:LabelEncoder": _label_encoder,
    "ai.onnx.ml:LinearClassifier": _linear_classifier,
    "ai.onnx.ml:LinearRegressor": _linear_regressor,
    "ai.onnx.ml:OneHotEncoder": _one_hot,
    "ai.onnx.ml:Scaler": _per_column("offset", "scale"),
    "ai.onnx.ml:TreeEnsemble": _tree_ensemble,
    "ai.onnx.ml:TreeEnsembleClassifier": _tree_classifier,
    "ai.onnx.ml:TreeEnsembleRegressor": _tree_regressor,
}
"""The operators that an edge runs; everything else is refused by name."""
