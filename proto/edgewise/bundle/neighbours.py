"""neighbours.msgpack: which items speak for which, as sparse rows.

The neighbour score of item j for a history H is the sum over i in H of weight[i, j]
(EASE: Steck 2019, arXiv 1905.03375; truncated to the strongest weights of each row).
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from edgewise.ids import ItemId


class NeighbourRows(msgspec.Struct, frozen=True):
    """Compressed sparse rows as they travel: little-endian bytes."""

    items: list[ItemId]
    """Code -> item."""
    indptr: bytes
    """int32 (items + 1,)"""
    indices: bytes
    """int32 (entries,)"""
    weights: bytes
    """float32 (entries,)"""


class Neighbours(msgspec.Struct, frozen=True):
    """Decoded and checked: every index points into `items`, `indptr` rises from 0 to the number of entries."""

    items: list[ItemId]
    code_of: dict[ItemId, int]
    indptr: npt.NDArray[np.int32]
    indices: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]


_decoder = msgspec.msgpack.Decoder(NeighbourRows)


def encode_neighbours(
    items: list[ItemId],
    indptr: npt.NDArray[np.int32],
    indices: npt.NDArray[np.int32],
    weights: npt.NDArray[np.float32],
) -> bytes:
    """Bytes of the resource. Arrays as in `Neighbours`."""
    rows = NeighbourRows(
        items=items,
        indptr=indptr.astype("<i4").tobytes(),
        indices=indices.astype("<i4").tobytes(),
        weights=weights.astype("<f4").tobytes(),
    )
    return msgspec.msgpack.encode(rows)


def decode_neighbours(data: bytes) -> Neighbours:
    """Raises ValueError (or its subclass `msgspec.ValidationError`) when the rows do not hold together."""
    rows = _decoder.decode(data)
    size = len(rows.items)
    indptr = np.frombuffer(rows.indptr, "<i4")
    indices = np.frombuffer(rows.indices, "<i4")
    weights = np.frombuffer(rows.weights, "<f4")
    if len(indptr) != size + 1:
        raise ValueError(f"neighbours: {len(indptr)} row bounds for {size} items, expected {size + 1}")
    if indptr[0] != 0 or indptr[-1] != len(indices) or bool(np.any(np.diff(indptr) < 0)):
        raise ValueError("neighbours: row bounds must rise from 0 to the number of entries")
    if len(indices) != len(weights):
        raise ValueError(f"neighbours: {len(indices)} indices but {len(weights)} weights")
    if len(indices) and (int(indices.min()) < 0 or int(indices.max()) >= size):
        raise ValueError(f"neighbours: an index lies outside 0..{size - 1}")
    if not bool(np.isfinite(weights).all()):
        raise ValueError("neighbours: a weight is not finite")
    code_of = {item: code for code, item in enumerate(rows.items)}
    if len(code_of) != size:
        raise ValueError("neighbours: an item is listed twice")
    return Neighbours(rows.items, code_of, indptr, indices, weights)
