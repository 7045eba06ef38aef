"""A reader for the protobuf wire format, strict enough to stand before ONNX Runtime.

It accepts less than protobuf does, on purpose: a field that the caller did not name, a field of the wrong wire
type, or a single field given twice is refused, because two parsers that read such bytes differently are how
a checked file becomes another file. Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import ModelRefused

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MOST_VARINT_BYTES = 10
MOST_RUNS = 64


class Kind(Enum):
    """How a field is written."""

    INTEGER = "integer"
    FLOAT = "float"
    DOUBLE = "double"
    BYTES = "bytes"
    """Text, raw bytes and nested messages."""
    FORBIDDEN = "forbidden"
    """Refused wherever it stands; the field's name becomes the code."""


class Field(NamedTuple):
    """One field that a message may have."""

    name: str
    kind: Kind
    repeated: bool = False


class Message:
    """The fields of one message by name; absent fields read as empty or zero."""

    __slots__ = ("_bytes", "_numbers")

    def __init__(self) -> None:
        self._bytes: dict[str, list[memoryview]] = {}
        self._numbers: dict[str, list[NDArray[np.generic]]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._bytes or name in self._numbers

    def parts(self, name: str) -> list[memoryview]:
        """Every value of a repeated bytes field."""
        return self._bytes.get(name, [])

    def part(self, name: str) -> memoryview:
        """A single bytes field."""
        return self._bytes[name][0] if name in self._bytes else memoryview(b"")

    def text(self, name: str) -> str:
        """A single text field; bytes that are no UTF-8 are shown escaped."""
        return bytes(self.part(name)).decode("utf-8", "backslashreplace")

    def numbers(self, name: str) -> NDArray[np.generic]:
        """Every value of a repeated numeric field."""
        runs = self._numbers.get(name)
        return np.concatenate(runs) if runs else np.zeros(0, dtype=np.int64)

    def integers(self, name: str) -> NDArray[np.int64]:
        """Every value of a repeated integer field."""
        return self.numbers(name).astype(np.int64)

    def integer(self, name: str) -> int:
        """A single integer field."""
        return int(self._numbers[name][0][0]) if name in self._numbers else 0

    def count(self, name: str) -> int:
        """How many numbers a repeated numeric field holds."""
        return sum(len(run) for run in self._numbers.get(name, []))

    def add_bytes(self, name: str, value: memoryview) -> None:
        """Keep one more value of a bytes field."""
        self._bytes.setdefault(name, []).append(value)

    def add_numbers(self, name: str, values: NDArray[np.generic]) -> None:
        """Keep a run of values of a numeric field."""
        self._numbers.setdefault(name, []).append(values)


def read_message(data: memoryview, fields: Mapping[int, Field], where: str) -> Message:
    """Read one message that may hold `fields` (by number) and nothing else.

    Raises:
        ModelRefused: `malformed` if the bytes are no such message, `unexpected-field` (or the name of a
            forbidden field) if they hold more.
    """
    message = Message()
    position = 0
    runs = 0
    while position < len(data):
        tag, after_tag = _varint(data, position, where)
        number, wire_type = tag >> 3, tag & 7
        field = fields.get(number)
        if field is None:
            raise ModelRefused("unexpected-field", f"{where}: field {number} is not allowed")
        if field.kind is Kind.FORBIDDEN:
            raise ModelRefused(field.name.replace(" ", "-"), f"{where}: has {field.name}, which is not allowed")
        if not field.repeated and field.name in message:
            raise ModelRefused("malformed", f"{where}: {field.name} is there twice")
        if field.repeated and wire_type != BYTES:
            runs += 1
            if runs > MOST_RUNS:
                raise ModelRefused("malformed", f"{where}: repeated numbers in more than {MOST_RUNS} runs")
        position = _read_field(data, position, after_tag, wire_type, field, message, where)
    return message


def _read_field(
    data: memoryview, start: int, position: int, wire_type: int, field: Field, message: Message, where: str
) -> int:
    """Read the value behind a tag into `message`; the position after it."""
    if wire_type == BYTES:
        length, position = _varint(data, position, where)
        end = position + length
        if end > len(data):
            raise ModelRefused("malformed", f"{where}: {field.name} says {length} bytes and is cut short")
        body = data[position:end]
        if field.kind is Kind.BYTES:
            message.add_bytes(field.name, body)
        elif field.repeated:
            message.add_numbers(field.name, _packed(body, field, where))
        else:
            raise ModelRefused("malformed", f"{where}: {field.name} is not a number")
        return end
    if field.kind is Kind.INTEGER and wire_type == VARINT:
        if field.repeated:
            values, end = _varint_run(data, start, position, where)
            message.add_numbers(field.name, values)
            return end
        value, end = _varint(data, position, where)
        message.add_numbers(field.name, np.array([value], dtype=np.uint64).view(np.int64))
        return end
    width = {(Kind.FLOAT, FIXED32): 4, (Kind.DOUBLE, FIXED64): 8}.get((field.kind, wire_type))
    if width is None:
        raise ModelRefused("malformed", f"{where}: {field.name} has wire type {wire_type}")
    return _fixed_run(data, start, position, width, field, message, where)


def _fixed_run(
    data: memoryview, start: int, position: int, width: int, field: Field, message: Message, where: str
) -> int:
    """Floats that are not packed repeat their tag; take the whole run at once."""
    stride = position - start + width
    tag = bytes(data[start:position])
    most = (len(data) - start) // stride if field.repeated else 1
    if start + stride > len(data):
        raise ModelRefused("malformed", f"{where}: {field.name} is cut short")
    table = np.frombuffer(data[start : start + most * stride], dtype=np.uint8).reshape(most, stride)
    same = (table[:, : len(tag)] == np.frombuffer(tag, dtype=np.uint8)).all(axis=1)
    count = int(np.argmin(same)) if not same.all() else most
    values = np.ascontiguousarray(table[:count, len(tag) :]).view(f"<f{width}").reshape(-1)
    message.add_numbers(field.name, values)
    return start + count * stride


def _varint(data: memoryview, position: int, where: str) -> tuple[int, int]:
    value = 0
    for index in range(MOST_VARINT_BYTES):
        if position + index >= len(data):
            raise ModelRefused("malformed", f"{where}: the file is cut short")
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004  # the continuation bit
            return value & 0xFFFF_FFFF_FFFF_FFFF, position + index + 1
    raise ModelRefused("malformed", f"{where}: a number of more than {MOST_VARINT_BYTES} bytes")


def _varint_run(data: memoryview, start: int, position: int, where: str) -> tuple[NDArray[np.int64], int]:
    """Integers that are not packed repeat their tag before each value; take the whole run at once."""
    tag, _ = _varint(data, start, where)
    numbers, ends = _varints(data[start:], where)
    tags, values = numbers[0::2], numbers[1::2]
    if not len(values):
        raise ModelRefused("malformed", f"{where}: the file is cut short")
    same = tags[: len(values)] == tag
    count = int(np.argmin(same)) if not same.all() else len(values)
    assert position > start
    return values[:count].view(np.int64), start + int(ends[2 * count - 1])


def _packed(body: memoryview, field: Field, where: str) -> NDArray[np.generic]:
    if field.kind is Kind.INTEGER:
        numbers, ends = _varints(body, where)
        if (int(ends[-1]) if len(ends) else 0) != len(body):
            raise ModelRefused("malformed", f"{where}: {field.name} is cut short")
        return numbers.view(np.int64)
    width = 4 if field.kind is Kind.FLOAT else 8
    if len(body) % width:
        raise ModelRefused("malformed", f"{where}: {field.name} is cut short")
    return np.frombuffer(body, dtype=f"<f{width}")


def _varints(data: memoryview, where: str) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """All complete varints from the start of `data`, and the position after each.

    Bytes behind the last complete one are left; a varint that is too long ends the list, too.
    """
    raw = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(raw < 0x80) + 1  # noqa: PLR2004  # the continuation bit
    starts = np.concatenate([np.zeros(1, dtype=ends.dtype), ends[:-1]]) if len(ends) else ends
    lengths = ends - starts
    too_long = lengths > MOST_VARINT_BYTES
    if too_long.any():
        first = int(np.argmax(too_long))
        if first == 0:
            raise ModelRefused("malformed", f"{where}: a number of more than {MOST_VARINT_BYTES} bytes")
        ends, starts, lengths = ends[:first], starts[:first], lengths[:first]
    values = np.zeros(len(ends), dtype=np.uint64)
    for index in range(int(lengths.max()) if len(lengths) else 0):
        held = lengths > index
        part = (raw[starts[held] + index] & np.uint8(0x7F)).astype(np.uint64)
        values[held] |= part << np.uint64(7 * index)
    return values, ends.astype(np.int64)
