"""The part of ONNX's file format that an edge accepts, field by field.

Numbers as in onnx.proto of ONNX 1.23. The reader refuses what is missing here; fields of kind FORBIDDEN are
listed only so that they can be refused by name.
"""

from __future__ import annotations

from edge.scoring.onnx_gate.wire import Field, Kind

_TEXT = Kind.BYTES
_MESSAGE = Kind.BYTES
_FORBIDDEN = Kind.FORBIDDEN

MODEL = {
    1: Field("ir_version", Kind.INTEGER),
    2: Field("producer_name", _TEXT),
    3: Field("producer_version", _TEXT),
    4: Field("domain", _TEXT),
    5: Field("model_version", Kind.INTEGER),
    6: Field("doc_string", _TEXT),
    7: Field("graph", _MESSAGE),
    8: Field("opset_import", _MESSAGE, repeated=True),
    14: Field("metadata_props", _MESSAGE, repeated=True),
    20: Field("training info", _FORBIDDEN),
    25: Field("functions", _FORBIDDEN),
}
OPERATOR_SET = {1: Field("domain", _TEXT), 2: Field("version", Kind.INTEGER)}
STRING_ENTRY = {1: Field("key", _TEXT), 2: Field("value", _TEXT)}
GRAPH = {
    1: Field("node", _MESSAGE, repeated=True),
    2: Field("name", _TEXT),
    5: Field("initializer", _MESSAGE, repeated=True),
    10: Field("doc_string", _TEXT),
    11: Field("input", _MESSAGE, repeated=True),
    12: Field("output", _MESSAGE, repeated=True),
    13: Field("value_info", _MESSAGE, repeated=True),
    15: Field("sparse initializer", _FORBIDDEN),
}
NODE = {
    1: Field("input", _TEXT, repeated=True),
    2: Field("output", _TEXT, repeated=True),
    3: Field("name", _TEXT),
    4: Field("op_type", _TEXT),
    5: Field("attribute", _MESSAGE, repeated=True),
    6: Field("doc_string", _TEXT),
    7: Field("domain", _TEXT),
}
ATTRIBUTE = {
    1: Field("name", _TEXT),
    2: Field("f", Kind.FLOAT),
    3: Field("i", Kind.INTEGER),
    4: Field("s", _TEXT),
    5: Field("t", _MESSAGE),
    6: Field("sub-graph", _FORBIDDEN),
    7: Field("floats", Kind.FLOAT, repeated=True),
    8: Field("ints", Kind.INTEGER, repeated=True),
    9: Field("strings", _TEXT, repeated=True),
    11: Field("sub-graphs", _FORBIDDEN),
    13: Field("doc_string", _TEXT),
    20: Field("type", Kind.INTEGER),
    22: Field("sparse tensor", _FORBIDDEN),
    23: Field("sparse tensors", _FORBIDDEN),
}
TENSOR = {
    1: Field("dims", Kind.INTEGER, repeated=True),
    2: Field("data_type", Kind.INTEGER),
    4: Field("float_data", Kind.FLOAT, repeated=True),
    5: Field("int32_data", Kind.INTEGER, repeated=True),
    6: Field("string_data", _TEXT, repeated=True),
    7: Field("int64_data", Kind.INTEGER, repeated=True),
    8: Field("name", _TEXT),
    9: Field("raw_data", _TEXT),
    10: Field("double_data", Kind.DOUBLE, repeated=True),
    12: Field("doc_string", _TEXT),
    13: Field("external data", _FORBIDDEN),
    14: Field("data location", _FORBIDDEN),
}
VALUE_INFO = {1: Field("name", _TEXT), 2: Field("type", _MESSAGE), 3: Field("doc_string", _TEXT)}
TYPE = {1: Field("tensor_type", _MESSAGE)}
TENSOR_TYPE = {1: Field("elem_type", Kind.INTEGER), 2: Field("shape", _MESSAGE)}
SHAPE = {1: Field("dim", _MESSAGE, repeated=True)}
DIMENSION = {1: Field("dim_value", Kind.INTEGER), 2: Field("dim_param", _TEXT)}

DTYPES = {1: "float32", 2: "uint8", 6: "int32", 7: "int64", 8: "string", 9: "bool", 11: "float64"}
DTYPE_BYTES = {"float32": 4, "uint8": 1, "int32": 4, "int64": 8, "bool": 1, "float64": 8}
TYPED_FIELD = {
    "float32": "float_data",
    "uint8": "int32_data",
    "int32": "int32_data",
    "int64": "int64_data",
    "string": "string_data",
    "bool": "int32_data",
    "float64": "double_data",
}
"""Where a tensor keeps its values when it has no `raw_data`."""
