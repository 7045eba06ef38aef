"""Our exporter inside skl2onnx, so that a scikit-learn pipeline with a LightGBM in it converts in one go.

What feeds a tree must arrive as the same float32 that it was trained on. That holds for columns passed through,
imputed, one-hot or ordinally encoded, and for arithmetic in float64 that is rounded once: see `hub.export.soundness`,
which refuses what does not export exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
import numpy as np
from typing_extensions import override

from edgewise.errors import ModelRefused
from hub.export.booster import (
    IR_VERSION,
    ML,
    ML_OPSET,
    OPSET,
    chosen_link,
    constant,
    forest_nodes,
)
from hub.export.forest import read_forest
from hub.export.soundness import check_steps

if TYPE_CHECKING:
    import onnx

OUTPUT = "score"
CLASSIFIER_OPTIONS = {"zipmap": [True, False, "columns"], "nocl": [True, False], "output_class_labels": [False, True]}


class Input(NamedTuple):
    """One column that a pipeline reads: a float32 or a string for each row."""

    name: str
    kind: Literal["number", "text"]


def register() -> None:
    """Make skl2onnx convert LGBMClassifier, LGBMRegressor and LGBMRanker by our exporter; safe to repeat."""
    from lightgbm import LGBMClassifier, LGBMRanker, LGBMRegressor
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )

    update_registered_converter(
        LGBMClassifier,
        "EdgewiseLGBMClassifier",
        calculate_linear_classifier_output_shapes,
        _convert_classifier,
        options=CLASSIFIER_OPTIONS,
    )
    for model, alias in ((LGBMRegressor, "EdgewiseLGBMRegressor"), (LGBMRanker, "EdgewiseLGBMRanker")):
        update_registered_converter(model, alias, calculate_linear_regressor_output_shapes, _convert_regressor)


def input_name(column: str) -> str:
    """What the input for a column is called in an exported pipeline."""
    return f"column_{column}" if column == OUTPUT else column


def export_pipeline(
    pipeline: Any, inputs: Sequence[Input], *, metadata: dict[str, Any] | None = None
) -> onnx.ModelProto:
    """A fitted pipeline as a model with one input [N, 1] for each column and one output `score`.

    `score` is float32 [N]: the probability of the second class for a binary classifier, the prediction for a
    regressor; or [N, K] class probabilities. An input has its column's name (`column_score` where the column is
    called as the output); `edgewise.columns` in the metadata lists `{name, input, kind}` in the order in which
    the pipeline reads them. `metadata` values are stored as JSON under their keys.

    Raises:
        ModelRefused: a step that does not export exactly, by name (see `check_steps`); or whatever the tree exporter
            refuses.
    """
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    types = {"number": FloatTensorType, "text": StringTensorType}
    converted, classes = _converted(pipeline, [types[column.kind]([None, 1]) for column in inputs])
    names = [input_name(column.name) for column in inputs]
    columns = [
        {"name": column.name, "input": name, "kind": column.kind} for column, name in zip(inputs, names, strict=True)
    ]
    return _with_one_score(converted, names, classes, {"edgewise.columns": columns} | (metadata or {}))


def export_matrix_pipeline(pipeline: Any, width: int, *, metadata: dict[str, Any] | None = None) -> onnx.ModelProto:
    """A fitted pipeline over one matrix as a model `x` float32 [N, width] -> `score`, as `export_pipeline` has it.

    Raises:
        ModelRefused: a step that does not export exactly, by name (see `check_steps`).
    """
    from skl2onnx.common.data_types import FloatTensorType

    converted, classes = _converted(pipeline, [FloatTensorType([None, width])])
    return _with_one_score(converted, ["x"], classes, metadata or {})


def _converted(pipeline: Any, types: Sequence[Any]) -> tuple[onnx.ModelProto, int]:
    """What skl2onnx makes of a pipeline with inputs `column0`, `column1`, …, and how many classes it has (0: none)."""
    from skl2onnx import convert_sklearn

    register()
    check_steps(pipeline)
    final = pipeline.steps[-1][1] if hasattr(pipeline, "steps") else pipeline
    classifier = hasattr(final, "classes_")
    try:
        # Under plain numbered names: a column may be called as one of the converter's own results.
        converted = convert_sklearn(
            pipeline,
            initial_types=[(f"column{index}", declared) for index, declared in enumerate(types)],
            target_opset={"": OPSET, ML: ML_OPSET},
            options={id(final): {"zipmap": False}} if classifier else None,
        )
    except ModelRefused:
        raise
    except Exception as failed:
        # skl2onnx raises RuntimeError, NotImplementedError, ValueError and classes of its own for one thing.
        said = (str(failed) or type(failed).__name__).splitlines()[0]
        raise ModelRefused("pipeline", f"skl2onnx cannot convert {type(final).__name__}: {said}") from failed
    return converted, len(final.classes_) if classifier else 0


def _with_one_score(
    converted: onnx.ModelProto, names: Sequence[str], classes: int, metadata: dict[str, Any]
) -> onnx.ModelProto:
    """Give the inputs their names, reduce the outputs to `score` and drop what only the others needed."""
    from onnx import TensorProto, checker, helper, numpy_helper

    graph = converted.graph
    shown = {f"column{index}": name for index, name in enumerate(names)}
    hidden = "internal_"
    while any(name.startswith(hidden) for name in names):
        hidden += "_"
    nodes = [_renamed(node, shown, hidden) for node in graph.node]
    constants = [constant(hidden + held.name, numpy_helper.to_array(held)) for held in graph.initializer]
    inputs = list(graph.input)
    for value in inputs:
        value.name = shown[value.name]
    source = hidden + ("probabilities" if classes else graph.output[0].name)
    width: list[str | int | None] = ["N", classes] if classes > 2 else ["N"]  # noqa: PLR2004  # a probability for each class
    if len(width) == 1:
        column = constant(hidden + "chosen", np.array(1 if classes else 0, dtype=np.int64))
        nodes.append(helper.make_node("Gather", [source, column.name], ["score"], axis=1))
        constants.append(column)
    else:
        nodes.append(helper.make_node("Identity", [source], ["score"]))
    needed = {"score"}
    kept: list[onnx.NodeProto] = []
    for node in reversed(nodes):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    scored = helper.make_graph(
        kept[::-1],
        "edgewise",
        [value for value in inputs if value.name in needed],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, width)],
        [held for held in constants if held.name in needed],
    )
    model = helper.make_model(
        scored,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_OPSET)],
        producer_name="edgewise",
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, {key: msgspec.json.encode(value).decode() for key, value in metadata.items()})
    checker.check_model(model)
    return model


def _renamed(node: onnx.NodeProto, shown: dict[str, str], hidden: str) -> onnx.NodeProto:
    """The node with inputs under their column's name and everything else apart from all columns."""
    from onnx import NodeProto

    renamed = NodeProto()
    renamed.CopyFrom(node)
    for names in (renamed.input, renamed.output):
        for index, name in enumerate(names):
            names[index] = shown.get(name, hidden + name if name else "")
    return renamed


class _NotMachineLearning(set[tuple[str, int]]):
    """Versions that operators need, without those of ai.onnx.ml, for which the caller's target is then declared."""

    @override
    def __iter__(self) -> Iterator[tuple[str, int]]:
        return (pair for pair in super().__iter__() if pair[0] != ML)


def _declare_ml_opset(container: Any) -> None:
    """Let the model declare ai.onnx.ml 5, which `TreeEnsemble` came with.

    skl2onnx 1.20 works the version out from its operators and refuses what is above 3; a version of which no
    operator speaks is taken from `target_opset` as it is. All other operators of ai.onnx.ml that it writes mean
    the same in version 5.
    """
    if container.target_opset_any_domain(ML) < ML_OPSET:
        raise ModelRefused("opset", f"convert with target_opset={{'': {OPSET}, '{ML}': {ML_OPSET}}}")
    pairs = _NotMachineLearning(container.node_domain_version_pair_sets)
    container.node_domain_version_pair_sets = pairs


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    """LGBMRegressor and LGBMRanker: what `predict` gives, [N, 1]."""
    _add_forest(scope, operator, container, result=operator.outputs[0].full_name)


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    """LGBMClassifier: labels [N] and probabilities [N, K]."""
    labels, probabilities = (variable.full_name for variable in operator.outputs[:2])
    version = container.target_opset_any_domain("")
    classes = operator.raw_operator.classes_
    if len(classes) == 2:  # noqa: PLR2004  # one score, of the second class
        positive, negative, one = (scope.get_unique_variable_name(name) for name in ("positive", "negative", "one"))
        _add_forest(scope, operator, container, result=positive)
        container.add_initializer(one, 1, [1], [1.0])
        container.add_node("Sub", [one, positive], [negative], op_version=version)
        container.add_node("Concat", [negative, positive], [probabilities], op_version=version, axis=1)
    else:
        _add_forest(scope, operator, container, result=probabilities)
    best, names = (scope.get_unique_variable_name(name) for name in ("best", "class_names"))
    container.add_node("ArgMax", [probabilities], [best], op_version=version, axis=1, keepdims=0)
    if classes.dtype.kind in "OU":
        container.add_initializer(names, 8, [len(classes)], [str(label).encode() for label in classes])
    else:
        container.add_initializer(names, 7, [len(classes)], [int(label) for label in classes])
    container.add_node("Gather", [names, best], [labels], op_version=version, axis=0)


def _add_forest(scope: Any, operator: Any, container: Any, *, result: str) -> None:
    """The trees and their link, [N, F] to [N, classes], behind a cast to float32 where the input is not."""
    from onnx import helper
    from skl2onnx.common.data_types import FloatTensorType

    _declare_ml_opset(container)
    forest = read_forest(operator.raw_operator.booster_)
    link = chosen_link(forest.objective, "response")
    source = operator.inputs[0].full_name
    version = container.target_opset_any_domain("")
    if not isinstance(operator.inputs[0].type, FloatTensorType):
        floats = scope.get_unique_variable_name("floats")
        container.add_node("Cast", [source], [floats], op_version=version, to=1)
        source = floats
    prefix = scope.get_unique_variable_name("lightgbm") + "_"
    nodes, constants, last = forest_nodes(forest, link, source=source, prefix=prefix)
    nodes.append(helper.make_node("Identity", [last], [result]))
    for held in constants:
        container.add_initializer(held.name, held.data_type, list(held.dims), held)
    for node in nodes:
        container.add_node(
            node.op_type,
            list(node.input),
            list(node.output),
            op_domain=node.domain,
            op_version=3 if node.domain == ML else version,
            name=scope.get_unique_operator_name(node.op_type),
            **{attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute},
        )
