"""An ONNX file as far as the gate reads it: names, types, shapes and attributes, each within its limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.scoring.onnx_gate import schema
from edge.scoring.onnx_gate.wire import Message, decode_text, read_message
from edgewise.errors import ModelRefused

MOST_NODES = 2_000
MOST_INPUTS = 1_000
MOST_CONSTANT_RANK = 3
MOST_NAME_CHARACTERS = 200

VALUE_FIELDS = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints", 8: "strings"}
"""Which field an attribute of a type may use; two parsers must not read different ones."""

Dimension = int | None
"""None is the batch: the number of rows, known only when the model runs."""
Shape = tuple[Dimension, ...]


class Declared(NamedTuple):
    """An input or output as the file declares it; `shape` is None where the file leaves it out."""

    name: str
    dtype: str
    shape: Shape | None


@dataclass(frozen=True, slots=True)
class Constant:
    """A tensor in the file. Small integer tensors (axes, shapes, indices) can be read."""

    dtype: str
    shape: tuple[int, ...]
    message: Message
    where: str

    @property
    def elements(self) -> int:
        """Product of the shape."""
        return int(np.prod(self.shape, dtype=np.int64))

    def values(self) -> NDArray[Any]:
        """The values, flat.

        Raises:
            ModelRefused: strings, or bytes that do not fit the shape (`tensor`).
        """
        if self.dtype == "string":
            raise ModelRefused("tensor", f"{self.where}: strings where numbers were expected")
        if "raw_data" in self.message:
            return np.frombuffer(self.message.part("raw_data"), dtype=self.dtype)
        return self.message.numbers(schema.TYPED_FIELD[self.dtype]).astype(self.dtype)


@dataclass(frozen=True, slots=True)
class Node:
    """One operator call; attributes are read when a rule asks for them."""

    op: str
    """`Add`, or `ai.onnx.ml:TreeEnsemble`."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Message]
    where: str

    def integer(self, name: str, default: int) -> int:
        """A single integer attribute."""
        held = self.attributes.get(name)
        return held.integer("i") if held is not None else default

    def text(self, name: str, default: str) -> str:
        """A single text attribute."""
        held = self.attributes.get(name)
        return held.text("s") if held is not None else default

    def integers(self, name: str) -> NDArray[np.int64]:
        """A list of integers; empty if the attribute is absent."""
        held = self.attributes.get(name)
        return held.integers("ints") if held is not None else np.zeros(0, dtype=np.int64)

    def strings(self, name: str) -> list[bytes]:
        """A list of texts; empty if the attribute is absent."""
        held = self.attributes.get(name)
        return [bytes(text) for text in held.parts("strings")] if held is not None else []

    def count(self, *names: str) -> int:
        """How many integers, floats or strings these list attributes hold together."""
        held = [self.attributes[name] for name in names if name in self.attributes]
        return sum(part.count("ints") + part.count("floats") + len(part.parts("strings")) for part in held)

    def tensor(self, name: str) -> Constant | None:
        """A tensor attribute."""
        held = self.attributes.get(name)
        if held is None or "t" not in held:
            return None
        return read_tensor(held.part("t"), f"{self.where}, attribute {name}")[1]


@dataclass(frozen=True, slots=True)
class Graph:
    """The whole file."""

    opsets: dict[str, int]
    metadata: dict[str, str]
    inputs: tuple[Declared, ...]
    outputs: tuple[Declared, ...]
    constants: dict[str, Constant]
    nodes: tuple[Node, ...]


def read_graph(data: bytes) -> Graph:
    """Read a model file; nothing outside the allowed fields survives this.

    Raises:
        ModelRefused: malformed bytes, forbidden content, or more of something than the limits allow.
    """
    model = read_message(memoryview(data), schema.MODEL, "model")
    if "graph" not in model:
        raise ModelRefused("malformed", "model: holds no graph")
    graph = read_message(model.part("graph"), schema.GRAPH, "graph")
    within("nodes", len(graph.parts("node")), MOST_NODES)
    within("inputs", len(graph.parts("input")), MOST_INPUTS)
    constants: dict[str, Constant] = {}
    for number, part in enumerate(graph.parts("initializer")):
        name, constant = read_tensor(part, f"initializer {number}")
        if name in constants:
            raise ModelRefused("malformed", f"initializer {name}: is there twice")
        constants[name] = constant
    for part in graph.parts("value_info"):
        _declared(part)
    return Graph(
        opsets=_opsets(model),
        metadata=_metadata(model),
        inputs=tuple(_declared(part) for part in graph.parts("input")),
        outputs=tuple(_declared(part) for part in graph.parts("output")),
        constants=constants,
        nodes=tuple(_node(part, number) for number, part in enumerate(graph.parts("node"))),
    )


def within(what: str, count: int, most: int) -> None:
    """Refuse (`too-large`) what is over its limit."""
    if count > most:
        raise ModelRefused("too-large", f"{count} {what}; expected at most {most}")


def read_tensor(part: memoryview, where: str) -> tuple[str, Constant]:
    """A tensor and its name; its bytes must fit its shape."""
    message = read_message(part, schema.TENSOR, where)
    name = message.text("name")
    where = f"{where} {name}".rstrip()
    dtype = _dtype(message.integer("data_type"), where)
    shape = tuple(int(dimension) for dimension in message.integers("dims"))
    if len(shape) > MOST_CONSTANT_RANK or any(dimension < 0 for dimension in shape):
        raise ModelRefused("tensor", f"{where}: shape {shape}; expected at most {MOST_CONSTANT_RANK} sizes >= 0")
    constant = Constant(dtype, shape, message, where)
    elements = 1
    for dimension in shape:  # in Python's integers: a product of int64 could wrap
        elements *= dimension
    if _held(message, dtype) != elements:
        raise ModelRefused("tensor", f"{where}: {_held(message, dtype)} values for shape {shape}")
    return name, constant


def _held(message: Message, dtype: str) -> int:
    """How many values a tensor holds; -1 if they are kept where they do not belong."""
    present = [field for field in {"raw_data", *schema.TYPED_FIELD.values()} if field in message]
    if not present:
        return 0
    if present == ["raw_data"] and dtype != "string":
        size, rest = divmod(len(message.part("raw_data")), schema.DTYPE_BYTES[dtype])
        return -1 if rest else size
    if present != [schema.TYPED_FIELD[dtype]]:
        return -1
    return len(message.parts("string_data")) if dtype == "string" else message.count(present[0])


def _dtype(number: int, where: str) -> str:
    if number not in schema.DTYPES:
        raise ModelRefused("dtype", f"{where}: element type {number}; expected one of {sorted(schema.DTYPES)}")
    return schema.DTYPES[number]


def _opsets(model: Message) -> dict[str, int]:
    opsets: dict[str, int] = {}
    for part in model.parts("opset_import"):
        read = read_message(part, schema.OPERATOR_SET, "opset_import")
        domain, version = read.text("domain"), read.integer("version")
        if opsets.setdefault(domain, version) != version:  # the same line twice is what skl2onnx writes
            raise ModelRefused("opset", f"opset of {domain!r} is both {opsets[domain]} and {version}")
    return opsets


def _metadata(model: Message) -> dict[str, str]:
    entries = [read_message(part, schema.STRING_ENTRY, "metadata") for part in model.parts("metadata_props")]
    return {entry.text("key"): entry.text("value") for entry in entries}


def _declared(part: memoryview) -> Declared:
    info = read_message(part, schema.VALUE_INFO, "value")
    name = info.text("name")
    tensor = read_message(info.part("type"), schema.TYPE, f"value {name}, type")
    if "tensor_type" not in tensor:
        raise ModelRefused("malformed", f"value {name}: is no tensor")
    declared = read_message(tensor.part("tensor_type"), schema.TENSOR_TYPE, f"value {name}, type")
    dtype = _dtype(declared.integer("elem_type"), f"value {name}")
    if "shape" not in declared:
        return Declared(name, dtype, None)
    shape: list[Dimension] = []
    for dimension in read_message(declared.part("shape"), schema.SHAPE, f"value {name}, shape").parts("dim"):
        size = read_message(dimension, schema.DIMENSION, f"value {name}, shape")
        shape.append(size.integer("dim_value") if "dim_value" in size else None)
    return Declared(name, dtype, tuple(shape))


def _node(part: memoryview, number: int) -> Node:
    message = read_message(part, schema.NODE, f"node {number}")
    domain, op = message.text("domain"), message.text("op_type")
    called = f"{domain}:{op}" if domain not in {"", "ai.onnx"} else op
    where = f"node {number} ({called[:MOST_NAME_CHARACTERS]})"
    attributes: dict[str, Message] = {}
    for raw in message.parts("attribute"):
        attribute = read_message(raw, schema.ATTRIBUTE, f"{where}, attribute")
        name = attribute.text("name")
        if name in attributes:
            raise ModelRefused("malformed", f"{where}: attribute {name} is there twice")
        held = [field for field in VALUE_FIELDS.values() if field in attribute]
        if not set(held) <= {VALUE_FIELDS.get(attribute.integer("type"))}:
            raise ModelRefused("malformed", f"{where}: attribute {name} holds {held}, its type says otherwise")
        if "t" in attribute:
            read_tensor(attribute.part("t"), f"{where}, attribute {name}")
        attributes[name] = attribute
    return Node(
        op=called,
        inputs=tuple(decode_text(name) for name in message.parts("input")),
        outputs=tuple(decode_text(name) for name in message.parts("output")),
        attributes=attributes,
        where=where,
    )
