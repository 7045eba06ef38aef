"""The gate in front of ONNX Runtime: what our exporters write passes, everything else is refused by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_corpus as corpus
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx_corpus import graph, node, value

from edge.scoring.onnx_gate import check_model
from edge.scoring.scorer import ScorerError, TableScorer
from edgewise.errors import ModelRefused


def refused(model: onnx.ModelProto | bytes, *, features: int | None = 3, most: int = 1 << 20) -> str:
    data = model if isinstance(model, bytes) else model.SerializeToString()
    with pytest.raises(ModelRefused) as caught:
        check_model(data, features=features, max_bytes=most)
    return caught.value.code


def test_our_exports_pass_and_are_described() -> None:
    data = corpus.sound(categories=1).SerializeToString()
    summary = check_model(data, features=3)
    assert summary.inputs == (("x", "float32", (None, 3)),)
    assert summary.outputs == (("score", (None,)),)
    assert summary.size_bytes == len(data)
    assert summary.tree_nodes > 0
    assert summary.metadata["edgewise.features"] == '["f0","f1","f2"]'
    assert "ai.onnx.ml:TreeEnsemble" in summary.operators
    twin = check_model(corpus.attribution().SerializeToString(), features=3)
    assert twin.outputs == (("attribution", (None, 4)),)


def test_the_hand_made_trees_that_the_cases_below_break_are_sound() -> None:
    assert check_model(corpus.tree().SerializeToString(), features=3).outputs == (("y", (None, 1)),)
    assert check_model(corpus.old_tree().SerializeToString(), features=3).outputs == (("y", (None, 1)),)


# Reaching out


def external(tensor: TensorProto) -> TensorProto:
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    return tensor


def test_external_data_is_refused_in_a_constant() -> None:
    model = graph([node("Add", "x c")], constants={"c": np.zeros((1, 3), np.float32)})
    external(model.graph.initializer[0])
    assert refused(model) == "external-data"


def test_external_data_is_refused_in_an_attribute() -> None:
    model = corpus.tree()
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "leaf_weights":
            external(attribute.t)
    assert refused(model) == "external-data"


def test_a_data_location_is_refused_even_without_a_path() -> None:
    model = graph([node("Add", "x c")], constants={"c": np.zeros((1, 3), np.float32)})
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    assert refused(model) == "data-location"


def test_external_data_behind_a_hard_link_is_refused(tmp_path: Path) -> None:
    """ONNX Runtime 1.32 follows a hard link that `onnx` itself would refuse; the bytes already say too much."""
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.zeros(3, np.float32).tobytes())
    os.link(secret, tmp_path / "weights.bin")
    model = graph([node("Add", "x c")], constants={"c": np.zeros((1, 3), np.float32)})
    external(model.graph.initializer[0])
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    assert refused(path.read_bytes()) == "external-data"


def test_operators_of_another_domain_are_refused() -> None:
    custom = graph([node("Evil", "x", domain="com.example")], opsets={"": 21, "com.example": 1})
    assert refused(custom) == "operator"
    assert refused(graph([node("Gelu", "x", domain="com.microsoft")])) == "operator"


@pytest.mark.parametrize(
    "op", ["Loop", "If", "Scan", "ConstantOfShape", "Expand", "Tile", "Range", "Pad", "OneHot", "Resize", "Constant"]
)
def test_operators_that_are_not_on_the_list_are_refused(op: str) -> None:
    assert refused(graph([node(op, "x")])) == "operator"


def test_sub_graphs_are_refused_wherever_they_hide() -> None:
    inner = helper.make_graph([node("Identity", "x")], "inner", [], [value("y", 3)])
    assert refused(graph([node("Identity", "x", body=inner)])) == "sub-graph"
    assert refused(graph([node("Identity", "x", bodies=[inner, inner])])) == "sub-graphs"


def test_functions_training_graphs_and_sparse_constants_are_refused() -> None:
    model = graph([node("Identity", "x")])
    model.functions.append(
        helper.make_function("f", "F", ["a"], ["b"], [node("Identity", "a", "b")], [helper.make_opsetid("", 21)])
    )
    assert refused(model) == "functions"
    model = graph([node("Identity", "x")])
    model.training_info.add()
    assert refused(model) == "training-info"
    model = graph([node("Identity", "x")])
    model.graph.sparse_initializer.add()
    assert refused(model) == "sparse-initializer"


# Asking for too much


def test_a_giant_constant_of_shape_is_refused_in_144_bytes() -> None:
    """This loads 1.6 GB in ONNX Runtime 1.32 if nobody looks first."""
    bomb = graph(
        [node("ConstantOfShape", "s", "c"), node("Add", "x c")],
        constants={"s": np.array([20_000, 20_000], np.int64)},
    )
    assert len(bomb.SerializeToString()) < 200
    assert refused(bomb) == "constant-node"


def test_constants_may_not_multiply_each_other_while_the_model_loads() -> None:
    bomb = graph(
        [node("Add", "a b", "c"), node("Add", "x c")],
        constants={"a": np.zeros((1, 50_000), np.float32), "b": np.zeros((50_000, 1), np.float32)},
    )
    assert refused(bomb) == "constant-node"


def test_results_that_grow_with_the_square_of_the_rows_are_refused() -> None:
    wide = graph([node("Unsqueeze", "x axes", "w"), node("Sub", "w x")], constants={"axes": np.array([1])})
    assert refused(wide) == "shape"


def test_a_chain_that_doubles_its_width_is_refused() -> None:
    steps = ["x", *(f"s{index}" for index in range(40)), "y"]
    chain = [helper.make_node("Concat", [before, before], [after], axis=1) for before, after in pairwise(steps)]
    assert refused(graph(chain)) == "too-large"


def test_broadcasting_into_more_dimensions_is_bounded() -> None:
    constants = {f"c{axis}": np.zeros([64 if a == axis else 1 for a in range(3)], np.float32) for axis in range(3)}
    nodes = [node("Add", "x c0", "a"), node("Add", "a c1", "b"), node("Add", "b c2")]
    assert refused(graph(nodes, constants=constants)) in {"shape", "too-large"}


def test_a_model_over_the_size_limit_is_refused_unread() -> None:
    assert refused(b"\x00" * 101, most=100) == "too-large"


def test_too_many_nodes_are_refused() -> None:
    names = ["x", *(f"n{index}" for index in range(3_000)), "y"]
    nodes = [helper.make_node("Abs", [a], [b]) for a, b in pairwise(names)]
    assert refused(graph(nodes)) == "too-large"


def test_a_tree_that_is_deeper_than_onnxruntime_can_recurse_is_refused() -> None:
    deep = 5_000

    def chain(held: dict[str, Any]) -> None:
        held.update(
            nodes_featureids=[0] * deep,
            nodes_modes=np.zeros(deep, np.uint8),
            nodes_splits=np.zeros(deep, np.float32),
            nodes_truenodeids=[0] * deep,
            nodes_trueleafs=[1] * deep,
            nodes_falsenodeids=[*range(1, deep), 0],
            nodes_falseleafs=[0] * (deep - 1) + [1],
        )

    assert refused(corpus.tree(chain)) == "too-large"


# Pointing outside

TREE_FLAWS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a feature behind the last": lambda held: held.update(nodes_featureids=[0, 3]),
    "a negative feature": lambda held: held.update(nodes_featureids=[0, -1]),
    "a child behind the last node": lambda held: held.update(nodes_truenodeids=[2, 0]),
    "a leaf behind the last": lambda held: held.update(nodes_falsenodeids=[3, 1]),
    "a negative leaf": lambda held: held.update(nodes_falsenodeids=[-1, 1]),
    "a circle": lambda held: held.update(nodes_truenodeids=[0, 0]),
    "a circle beside the tree": lambda held: held.update(
        nodes_truenodeids=[0, 1], nodes_trueleafs=[1, 0], nodes_falseleafs=[1, 1]
    ),
    "two parents": lambda held: held.update(
        nodes_truenodeids=[1, 0], nodes_falsenodeids=[1, 1], nodes_falseleafs=[0, 1]
    ),
    "a root behind the last node": lambda held: held.update(tree_roots=[2]),
    "no root": lambda held: held.update(tree_roots=[1]),
    "a target behind the last": lambda held: held.update(leaf_targetids=[0, 0, 1]),
    "a leaf flag of 2": lambda held: held.update(nodes_trueleafs=[0, 2]),
    "an unknown mode": lambda held: held.update(nodes_modes=np.array([0, 9], np.uint8)),
    "a mode of two bytes": lambda held: held.update(nodes_modes=np.array([0, 0], np.int32)),
    "fewer splits than nodes": lambda held: held.update(nodes_splits=np.zeros(1, np.float32)),
    "fewer children than nodes": lambda held: held.update(nodes_truenodeids=[1]),
    "more weights than leaves": lambda held: held.update(leaf_weights=np.zeros(4, np.float32)),
    "splits in float64 and weights in float32": lambda held: held.update(nodes_splits=np.zeros(2)),
    "splits in int64": lambda held: held.update(nodes_splits=np.zeros(2, np.int64)),
    "features as floats": lambda held: held.update(nodes_featureids=[0.0, 2.0]),
    "a set without members": lambda held: held.update(nodes_modes=np.array([0, 6], np.uint8)),
    "one set too many": lambda held: held.update(membership_values=np.array([1, np.nan], np.float32)),
    "missing tracks of another length": lambda held: held.update(nodes_missing_value_tracks_true=[1]),
}


@pytest.mark.parametrize("flaw", TREE_FLAWS)
def test_a_tree_with_a_flaw_is_refused(flaw: str) -> None:
    assert refused(corpus.tree(TREE_FLAWS[flaw])) == "tree"


OLD_TREE_FLAWS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a feature behind the last": lambda held: held.update(nodes_featureids=[3, 0, 0]),
    "a child that is not there": lambda held: held.update(nodes_truenodeids=[7, 0, 0]),
    "a node twice": lambda held: held.update(nodes_nodeids=[0, 1, 1]),
    "a circle": lambda held: held.update(nodes_truenodeids=[0, 0, 0]),
    "two parents": lambda held: held.update(nodes_falsenodeids=[1, 0, 0]),
    "a vote of nobody": lambda held: held.update(target_nodeids=[1, 5]),
    "a target behind the last": lambda held: held.update(target_ids=[0, 1]),
    "fewer values than nodes": lambda held: held.update(nodes_values=[0.5]),
    "fewer modes than nodes": lambda held: held.update(nodes_modes=["LEAF"]),
    "modes as integers": lambda held: held.update(nodes_modes=[0, 0, 0]),
    "fewer weights than votes": lambda held: held.update(target_weights=[1.0]),
}


@pytest.mark.parametrize("flaw", OLD_TREE_FLAWS)
def test_an_older_tree_with_a_flaw_is_refused(flaw: str) -> None:
    assert refused(corpus.old_tree(OLD_TREE_FLAWS[flaw])) == "tree"


def test_a_picked_column_must_exist() -> None:
    for picked in (3, -1):
        model = graph([node("ArrayFeatureExtractor", "x i", domain="ai.onnx.ml")], constants={"i": np.array([picked])})
        assert refused(model) == "shape"


def test_a_result_must_be_computed_before_it_is_used_and_only_once() -> None:
    assert refused(graph([node("Add", "x later", "y"), node("Abs", "x", "later")])) == "shape"
    assert refused(graph([node("Abs", "x", "y"), node("Neg", "x", "y")])) == "malformed"


# The wrong arity


def test_one_feature_more_or_less_is_refused() -> None:
    data = corpus.sound().SerializeToString()
    assert refused(data, features=2) == "arity"
    assert refused(data, features=4) == "arity"
    check_model(data, features=3)


WRONG_ARITY = {
    "two inputs": graph([node("Add", "x z")], inputs=[value("x", 3), value("z", 3)]),
    "no input": graph([node("Identity", "x")], inputs=[]),
    "an int64 input": graph([node("Identity", "x")], inputs=[value("x", 3, dtype=TensorProto.INT64)]),
    "a float64 input": graph([node("Identity", "x")], inputs=[value("x", 3, dtype=TensorProto.DOUBLE)]),
    "a fixed number of rows": graph([node("Identity", "x")], inputs=[value("x", 3, rows=1)]),
    "no column": graph([node("Identity", "x")], inputs=[value("x", 0)]),
    "two outputs": graph([node("Identity", "x")], outputs=[value("y", 3), value("x", 3)]),
    "no output": graph([node("Identity", "x")], outputs=[]),
    "an output from nowhere": graph([node("Identity", "x")], outputs=[value("nowhere", 3)]),
    "an int64 output": graph([node("Identity", "x")], outputs=[value("y", 3, dtype=TensorProto.INT64)]),
    "a constant output": graph(
        [node("Identity", "x")], constants={"c": np.zeros(3, np.float32)}, outputs=[value("c", 3)]
    ),
}


@pytest.mark.parametrize("flaw", WRONG_ARITY)
def test_other_inputs_or_outputs_are_refused(flaw: str) -> None:
    assert refused(WRONG_ARITY[flaw]) == "arity"


def test_named_columns_are_allowed_when_asked_for() -> None:
    texts = value("t", 1, dtype=TensorProto.STRING)
    model = graph(
        [
            node("LabelEncoder", "t", "n", "ai.onnx.ml", keys_strings=["a"], values_floats=[1.0]),
            node("Concat", "x n", "y", axis=1),
        ],
        inputs=[value("x", 3), texts],
        outputs=[value("y", 4)],
    )
    assert check_model(model.SerializeToString(), features=None).outputs == (("y", (None, 4)),)
    assert refused(model) == "arity"


@pytest.mark.parametrize(("domain", "version"), [("", 99), ("", 1), ("ai.onnx.ml", 6)])
def test_operator_sets_that_nobody_tried_are_refused(domain: str, version: int) -> None:
    assert refused(graph([node("Identity", "x")], opsets={domain: version})) == "opset"


def test_two_versions_of_one_operator_set_are_refused() -> None:
    model = graph([node("Identity", "x")])
    model.opset_import.append(helper.make_opsetid("", 20))
    assert refused(model) == "opset"


# Bytes


def test_a_file_that_is_cut_short_is_refused_at_every_length() -> None:
    data = corpus.sound(categories=1).SerializeToString()
    for end in range(data.index(b"edgewise.features") - 4):  # behind it only metadata is left to lose
        refused(data[:end])


def test_a_second_graph_cannot_ride_along() -> None:
    """Protobuf parsers merge a message that comes twice; the gate must not see one graph and the runtime two."""
    model = graph([node("Identity", "x")])
    evil = onnx.ModelProto()
    evil.graph.node.append(node("Loop", "x", "z"))
    assert refused(model.SerializeToString() + evil.SerializeToString()) == "malformed"


def test_a_number_given_twice_and_an_unknown_field_are_refused() -> None:
    data = graph([node("Identity", "x")]).SerializeToString()
    assert refused(data + b"\x08\x0a") == "malformed"  # ir_version again
    assert refused(data + b"\xf8\x07\x01") == "unexpected-field"  # field 127
    assert refused(data + b"\x0b") == "malformed"  # a group, long deprecated


def test_an_attribute_holds_what_its_type_says_and_nothing_else() -> None:
    model = corpus.tree()
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "nodes_featureids":
            attribute.floats.append(1.0)
    assert refused(model) == "malformed"


@pytest.mark.parametrize(
    "edit",
    [
        lambda tensor: tensor.dims.append(2),
        lambda tensor: tensor.__setattr__("raw_data", b"\x00" * 13),
        lambda tensor: (tensor.ClearField("dims"), tensor.dims.extend([1 << 32, 1 << 32])),
        lambda tensor: (tensor.ClearField("dims"), tensor.dims.extend([-1, -3])),
        lambda tensor: tensor.float_data.append(1.0),
        lambda tensor: tensor.__setattr__("data_type", TensorProto.STRING),
    ],
    ids=["too few values", "odd bytes", "a product that wraps", "negative sizes", "values twice", "bytes as text"],
)
def test_a_tensor_whose_bytes_do_not_fit_its_shape_is_refused(edit: Callable[[TensorProto], Any]) -> None:
    model = graph([node("Add", "x c")], constants={"c": np.zeros((1, 3), np.float32)})
    edit(model.graph.initializer[0])
    assert refused(model) == "tensor"


def test_an_element_type_that_nobody_needs_is_refused() -> None:
    model = graph([node("Add", "x c")], constants={"c": np.zeros((1, 3), np.float32)})
    model.graph.initializer[0].data_type = TensorProto.COMPLEX64
    assert refused(model) == "dtype"


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_and_nothing_worse(data: bytes) -> None:
    refused(data)


SOUND = corpus.sound(categories=1).SerializeToString()


@given(
    st.lists(
        st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 20), st.binary(max_size=12)), min_size=1, max_size=4
    )
)
def test_a_mutilated_model_is_refused_or_stays_within_the_rules(cuts: list[tuple[int, int, bytes]]) -> None:
    data = SOUND
    for start, gone, put in cuts:
        data = data[:start] + put + data[start + gone :]
    try:
        check_model(data, features=3)
    except ModelRefused:
        return
    onnx.ModelProto.FromString(data)  # what the gate can read, protobuf reads, too


@given(st.data())
def test_the_gate_reads_the_tensors_that_protobuf_reads(data: st.DataObject) -> None:
    """The own reader against the reference: every way of writing the same numbers."""
    dtype = data.draw(st.sampled_from([np.float32, np.float64, np.int64, np.int32]))
    values = data.draw(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=30))
    held = np.array(values, dtype=dtype)
    if data.draw(st.booleans()):
        tensor = numpy_helper.from_array(held, "c")
    else:
        tensor = helper.make_tensor("c", helper.np_dtype_to_tensor_dtype(held.dtype), held.shape, held.tolist())
    from edge.scoring.onnx_gate.graph import read_tensor

    name, constant = read_tensor(memoryview(tensor.SerializeToString()), "here")
    assert name == "c"
    np.testing.assert_array_equal(constant.values(), numpy_helper.to_array(tensor))


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40), st.lists(st.floats(width=32), max_size=40))
def test_the_gate_reads_the_lists_that_protobuf_reads(integers: list[int], floats: list[float]) -> None:
    from edge.scoring.onnx_gate.graph import read_graph

    model = graph([])
    for name, held in (("ints", integers), ("floats", floats)):
        attribute = onnx.AttributeProto(name=name, type="INTS" if name == "ints" else "FLOATS")
        getattr(attribute, name).extend(held)
        model.graph.node.append(onnx.NodeProto(op_type="Abs", attribute=[attribute]))
    read = read_graph(model.SerializeToString()).nodes
    assert read[0].integers("ints").tolist() == integers
    got = read[1].attributes["floats"].numbers("floats").astype(np.float32)
    np.testing.assert_array_equal(got, np.array(floats, dtype=np.float32))


def test_what_passes_after_one_flipped_bit_loads_or_is_refused() -> None:
    """Flips in names, weights and thresholds pass (digests catch those); none may crash the runtime."""
    passed = 0
    for position in range(0, len(SOUND), 3):
        flipped = bytearray(SOUND)
        flipped[position] ^= 1 << (position % 8)
        try:
            check_model(bytes(flipped), features=3)
        except ModelRefused:
            continue
        passed += 1
        with suppress(ScorerError):
            TableScorer(bytes(flipped)).run({"x": np.zeros((2, 3), np.float32)})
    assert 0 < passed < len(SOUND) // 3
