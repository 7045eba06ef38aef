"""sessions.msgpack: what visitors did in one visit, without saying who, when or in which order.

A sequence travels as the set of its items. Its place in the list says how recent it is among the others, and nothing
says more of when it was. Items that too few visitors touched are in none of them (`proto/decisions/0028-sessions.md`).
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from edgewise.ids import ItemId

MOST_LAST: Final = 10
"""Ten clicks back, a shared item counts nothing any more (`edgewise.sessions`)."""
MOST_MEMBERS: Final = 256
"""Items of one sequence: what a decision has to read is bounded by it."""
LOUDEST: Final = 1e6
"""Largest weight of an item: sums over all neighbours must stay finite as float32."""


class Walk(msgspec.Struct, frozen=True):
    """How sequences are searched; chosen where they are made, the same on every node."""

    most_recent: Annotated[int, Meta(ge=1, le=5_000)] = 500
    """So many sequences are looked at, for an item and in all: the paper's m."""
    neighbours: Annotated[int, Meta(ge=1, le=1_000)] = 50
    """So many of these speak: the paper's k."""
    last: Annotated[int, Meta(ge=1, le=MOST_LAST)] = 2
    """So many of the visitor's latest items are compared with them."""
    pause_minutes: Annotated[int, Meta(ge=1, le=525_600)] = 30
    """What was touched before a pause as long as this belongs to another visit."""


class SessionRows(msgspec.Struct, frozen=True):
    """The resource as it travels: little-endian bytes."""

    items: list[ItemId]
    """Code -> item; those that were touched most recently first, which is how equal scores are put in order."""
    weights: bytes
    """float32 (items,): how much an item says, ln(sequences / sequences with it)."""
    indptr: bytes
    """int32 (sequences + 1,); the most recent sequence first."""
    members: bytes
    """int32 (entries,): codes of a sequence's items, rising."""
    walk: Walk


class Sessions(msgspec.Struct, frozen=True):
    """Decoded and checked: every member points into `items`, members of a sequence rise."""

    items: list[ItemId]
    code_of: dict[ItemId, int]
    weights: npt.NDArray[np.float32]
    indptr: npt.NDArray[np.int32]
    members: npt.NDArray[np.int32]
    walk: Walk


_decoder = msgspec.msgpack.Decoder(SessionRows)


def encode_sessions(
    items: list[ItemId],
    weights: npt.NDArray[np.floating],
    indptr: npt.NDArray[np.integer],
    members: npt.NDArray[np.integer],
    walk: Walk,
) -> bytes:
    """Bytes of the resource. Arrays as in `Sessions`."""
    rows = SessionRows(
        items=items,
        weights=weights.astype("<f4").tobytes(),
        indptr=indptr.astype("<i4").tobytes(),
        members=members.astype("<i4").tobytes(),
        walk=walk,
    )
    return msgspec.msgpack.encode(rows)


def decode_sessions(data: bytes) -> Sessions:
    """Raises ValueError (or its subclass `msgspec.ValidationError`) when the sequences do not hold together."""
    rows = _decoder.decode(data)
    size = len(rows.items)
    for name, column in (("weights", rows.weights), ("bounds", rows.indptr), ("members", rows.members)):
        if len(column) % 4:
            raise ValueError(f"sessions: {len(column)} bytes of {name} of 4 bytes each")
    weights = np.frombuffer(rows.weights, "<f4")
    indptr = np.frombuffer(rows.indptr, "<i4")
    members = np.frombuffer(rows.members, "<i4")
    if len(weights) != size:
        raise ValueError(f"sessions: {len(weights)} weights for {size} items")
    if not bool(np.isfinite(weights).all()) or bool(np.any(weights < 0)) or bool(np.any(weights > LOUDEST)):
        raise ValueError(f"sessions: a weight lies outside 0..{LOUDEST:g}")
    if not len(indptr) or indptr[0] != 0 or indptr[-1] != len(members) or bool(np.any(indptr[1:] < indptr[:-1])):
        raise ValueError("sessions: bounds of sequences must rise from 0 to the number of members")
    longest = int((indptr[1:] - indptr[:-1]).max(initial=0))
    if longest > MOST_MEMBERS:
        raise ValueError(f"sessions: a sequence of {longest} items, at most {MOST_MEMBERS} are taken")
    if len(members) and (int(members.min()) < 0 or int(members.max()) >= size):
        raise ValueError(f"sessions: a member lies outside 0..{size - 1}")
    rises = members[1:] > members[:-1]
    rises[indptr[(indptr > 0) & (indptr < len(members))] - 1] = True
    if not bool(rises.all()):
        raise ValueError("sessions: the members of a sequence must rise")
    code_of = {item: code for code, item in enumerate(rows.items)}
    if len(code_of) != size:
        raise ValueError("sessions: an item is listed twice")
    return Sessions(rows.items, code_of, weights, indptr, members, rows.walk)
