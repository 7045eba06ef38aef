"""vectors.msgpack: what an item is about, as a direction; alike items point the same way.

Components are whole numbers from -127 to 127, in units of 1/127 of the vector's length. A dot product of two such
vectors is a sum of whole numbers below 2^24, which float32 adds exactly in any order: every machine, with any BLAS,
finds the same items, so that the hub's replay does (`proto/decisions/0010-content-vectors.md`).

Rows may come in lists (inverted lists: Sivic & Zisserman 2003), each around a centroid, so that only the lists that
point the visitor's way have to be read.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from edgewise.ids import ItemId

UNIT: Final = 127
"""The length of a vector, as it travels."""
MOST_WIDTH: Final = 256
"""256 products of at most 127 x 127 stay below 2^24."""

Int8s = npt.NDArray[np.int8]


class VectorRows(msgspec.Struct, frozen=True):
    """The resource as it travels: little-endian bytes, rows one behind the other."""

    items: list[ItemId]
    """Row -> item."""
    width: Annotated[int, Meta(ge=1, le=MOST_WIDTH)]
    """Components of a vector."""
    rows: bytes
    """int8 (items, width); a row of zeros is about nothing, and like nothing."""
    centroids: bytes = b""
    """int8 (lists, width); empty where the rows are in no lists."""
    bounds: bytes = b""
    """int32 (lists + 1,): list l is the rows bounds[l] to bounds[l + 1]."""


class Vectors(msgspec.Struct, frozen=True):
    """Decoded and checked: `bounds` rises from 0 to the number of items, no vector is longer than UNIT and rounding."""

    items: list[ItemId]
    code_of: dict[ItemId, int]
    rows: Int8s
    centroids: Int8s
    """(lists, width); no list at all, or all rows are in one."""
    bounds: npt.NDArray[np.int32]
    """(lists + 1,); (0,) without lists."""

    @property
    def width(self) -> int:
        """Components of a vector."""
        return int(self.rows.shape[1])


_decoder = msgspec.msgpack.Decoder(VectorRows)


def quantised(vectors: npt.NDArray[np.floating]) -> Int8s:
    """Directions (n, width), of any length, as whole numbers; what has no direction becomes zeros."""
    length = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1, keepdims=True))
    unit = np.divide(vectors, length, out=np.zeros(vectors.shape), where=length > 0)
    whole: Int8s = np.rint(UNIT * unit).astype(np.int8)
    return whole


def encode_vectors(
    items: list[ItemId], rows: Int8s, centroids: Int8s | None = None, bounds: npt.NDArray[np.int32] | None = None
) -> bytes:
    """Bytes of the resource. Arrays as in `Vectors`; `centroids` and `bounds` both or neither."""
    made = VectorRows(
        items=items,
        width=rows.shape[1],
        rows=rows.tobytes(),
        centroids=b"" if centroids is None else centroids.tobytes(),
        bounds=b"" if bounds is None else bounds.astype("<i4").tobytes(),
    )
    return msgspec.msgpack.encode(made)


def decode_vectors(data: bytes) -> Vectors:
    """Raises ValueError (or its subclass `msgspec.ValidationError`) when the rows do not hold together."""
    made = _decoder.decode(data)
    size, width = len(made.items), made.width
    if len(made.rows) != size * width:
        raise ValueError(f"vectors: {len(made.rows)} bytes of rows for {size} items of {width} components")
    if len(made.centroids) % width:
        raise ValueError(f"vectors: {len(made.centroids)} bytes of centroids of {width} components")
    if len(made.bounds) % 4:
        raise ValueError(f"vectors: {len(made.bounds)} bytes of bounds of 4 bytes each")
    rows = np.frombuffer(made.rows, np.int8).reshape(size, width)
    centroids = np.frombuffer(made.centroids, np.int8).reshape(-1, width)
    bounds = np.frombuffer(made.bounds, "<i4")
    if len(centroids) or len(bounds):
        if len(bounds) != len(centroids) + 1:
            raise ValueError(f"vectors: {len(bounds)} bounds of {len(centroids)} lists, expected one more than lists")
        if bounds[0] != 0 or bounds[-1] != size or bool(np.any(bounds[1:] < bounds[:-1])):
            raise ValueError("vectors: bounds of lists must rise from 0 to the number of items")
    for name, matrix in (("item", rows), ("centroid", centroids)):
        if _longest(matrix) > UNIT + np.sqrt(width) / 2:
            # Rounding moves a component by a half at most. A longer item would be everybody's first choice.
            raise ValueError(f"vectors: the vector of an {name} is longer than {UNIT}")
    code_of = {item: code for code, item in enumerate(made.items)}
    if len(code_of) != size:
        raise ValueError("vectors: an item is listed twice")
    return Vectors(made.items, code_of, rows, centroids, bounds)


def _longest(matrix: Int8s) -> float:
    squares = np.einsum("ij,ij->i", matrix, matrix, dtype=np.int32, casting="safe")
    return float(np.sqrt(squares.max(initial=0)))
