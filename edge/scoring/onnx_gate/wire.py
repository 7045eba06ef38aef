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
CONTINUES = 0x80
"""Set in every byte of a varint but the last."""
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
        """A single text field.

        Raises:
            ModelRefused: it is no UTF-8.
        """
        return decode_text(self.part(name))

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


def decode_text(raw: memoryview) -> str:
    """UTF-8 bytes as text.

    Raises:
        ModelRefused: they are no UTF-8.
    """
    try:
        return bytes(raw).decode()
    except UnicodeDecodeError:
        raise ModelRefused("malformed", f"{bytes(raw[:40])!r} is no UTF-8 text") from None


def read_message(data: memoryview, fields: Mapping[int, Field], where: str) -> Message:
    """Read one message that may hold `fields` (by number) and nothing else.

    Raises:
        ModelRefused: `malformed` if the bytes are no such message, `unexpected-field` (or the name of a
            forbidden field) if they hold more.
    """
    reader = _Reader(data, where)
    message = Message()
    position = 0
    runs = 0
    while position < len(data):
        tag, after_tag = reader.varint(position)
        number, wire_type = tag >> 3, tag & 7
        field = fields.get(number)
        if field is None:
            raise ModelRefused("unexpected-field", f"{where}: field {number} is not allowed")
        if field.kind is Kind.FORBIDDEN:
            raise ModelRefused(field.name.replace(" ", "-"), f"{where}: has {field.name}, which is not allowed")
        if not field.repeated and field.name in message:
            raise reader.malformed(f"{field.name} is there twice")
        if wire_type == BYTES:
            body, position = reader.body(after_tag, field)
            if field.kind is Kind.BYTES:
                message.add_bytes(field.name, body)
            else:
                message.add_numbers(field.name, reader.packed(body, field))
        else:
            runs += field.repeated
            if runs > MOST_RUNS:
                raise reader.malformed(f"repeated numbers in more than {MOST_RUNS} runs")
            values, position = reader.numbers(position, after_tag, field, wire_type)
            message.add_numbers(field.name, values)
    return message


class _Reader:
    """Positions into the bytes of one message; every step says where it would have read past the end."""

    def __init__(self, data: memoryview, where: str) -> None:
        self._data = data
        self._where = where

    def malformed(self, what: str) -> ModelRefused:
        return ModelRefused("malformed", f"{self._where}: {what}")

    def varint(self, position: int) -> tuple[int, int]:
        """One integer, and the position after it."""
        value = 0
        for index in range(MOST_VARINT_BYTES):
            if position + index >= len(self._data):
                raise self.malformed("the file is cut short")
            byte = self._data[position + index]
            value |= (byte & 0x7F) << (7 * index)
            if byte < CONTINUES:
                return value & 0xFFFF_FFFF_FFFF_FFFF, position + index + 1
        raise self.malformed(f"a number of more than {MOST_VARINT_BYTES} bytes")

    def body(self, position: int, field: Field) -> tuple[memoryview, int]:
        """Bytes with their length before them, and the position after them."""
        length, start = self.varint(position)
        if start + length > len(self._data):
            raise self.malformed(f"{field.name} says {length} bytes and is cut short")
        return self._data[start : start + length], start + length

    def numbers(self, start: int, after_tag: int, field: Field, wire_type: int) -> tuple[NDArray[np.generic], int]:
        """One number, or a run of numbers that each repeat the tag, and the position after."""
        if (field.kind, wire_type) == (Kind.INTEGER, VARINT):
            if field.repeated:
                return self._varint_run(start)
            value, end = self.varint(after_tag)
            return np.array([value], dtype=np.uint64).view(np.int64), end
        width = {(Kind.FLOAT, FIXED32): 4, (Kind.DOUBLE, FIXED64): 8}.get((field.kind, wire_type))
        if width is None:
            raise self.malformed(f"{field.name} has wire type {wire_type}")
        return self._fixed_run(start, after_tag - start, width, field)

    def packed(self, body: memoryview, field: Field) -> NDArray[np.generic]:
        """Numbers that share one tag."""
        if not field.repeated:
            raise self.malformed(f"{field.name} is not a number")
        if field.kind is Kind.INTEGER:
            numbers, ends = self._varints(body)
            if (int(ends[-1]) if len(ends) else 0) != len(body):
                raise self.malformed(f"{field.name} is cut short")
            return numbers.view(np.int64)
        width = 4 if field.kind is Kind.FLOAT else 8
        if len(body) % width:
            raise self.malformed(f"{field.name} is cut short")
        return np.frombuffer(body, dtype=f"<f{width}")

    def _fixed_run(self, start: int, tag_bytes: int, width: int, field: Field) -> tuple[NDArray[np.generic], int]:
        stride = tag_bytes + width
        most = (len(self._data) - start) // stride
        if most == 0:
            raise self.malformed(f"{field.name} is cut short")
        most = most if field.repeated else 1
        table = np.frombuffer(self._data[start : start + most * stride], dtype=np.uint8).reshape(most, stride)
        same = (table[:, :tag_bytes] == table[0, :tag_bytes]).all(axis=1)
        count = most if same.all() else int(np.argmin(same))
        values = np.ascontiguousarray(table[:count, tag_bytes:]).view(f"<f{width}").reshape(-1)
        return values, start + count * stride

    def _varint_run(self, start: int) -> tuple[NDArray[np.generic], int]:
        numbers, ends = self._varints(self._data[start:])
        tags, values = numbers[0::2], numbers[1::2]
        if not len(values):
            raise self.malformed("the file is cut short")
        same = tags[: len(values)] == tags[0]
        count = len(values) if same.all() else int(np.argmin(same))
        return values[:count].view(np.int64), start + int(ends[2 * count - 1])

    def _varints(self, data: memoryview) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """All complete varints from the start of `data`, and the position after each.

        Bytes behind the last complete one are left; a varint that is too long ends the list, too.
        """
        raw = np.frombuffer(data, dtype=np.uint8)
        ends = np.flatnonzero(raw < CONTINUES) + 1
        starts = np.concatenate([np.zeros(1, dtype=ends.dtype), ends[:-1]]) if len(ends) else ends
        lengths = ends - starts
        too_long = lengths > MOST_VARINT_BYTES
        if too_long.any():
            first = int(np.argmax(too_long))
            if first == 0:
                raise self.malformed(f"a number of more than {MOST_VARINT_BYTES} bytes")
            ends, starts, lengths = ends[:first], starts[:first], lengths[:first]
        values = np.zeros(len(ends), dtype=np.uint64)
        for index in range(int(lengths.max()) if len(lengths) else 0):
            held = lengths > index
            part = (raw[starts[held] + index] & np.uint8(0x7F)).astype(np.uint64)
            values[held] |= part << np.uint64(7 * index)
        return values, ends.astype(np.int64)
