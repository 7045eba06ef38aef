"""Where a replayed decision first differs from the one that was logged, told by path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from edgewise.errors import MALFORMED
from edgewise.ids import ArmName, ItemId, PlacementName
from edgewise.reasons import Reason
from edgewise.records import FeatureRows, Shadow

Rows = Mapping[PlacementName, FeatureRows]
_FLOAT_BYTES = 4


class Difference(msgspec.Struct, frozen=True):
    """The first place where a replay differs from the record."""

    path: str
    """`$.decision.placements.home.items[2].score`, `$.shown.home.film-3.popularity`."""
    logged: Any
    replayed: Any


def decision_difference(logged: bytes, replayed: bytes) -> Difference | None:
    """The first difference between two decisions' bytes; a whole text each where one of them is no JSON."""
    if logged == replayed:
        return None
    whole = Difference("$.decision", logged.decode("utf-8", "replace"), replayed.decode("utf-8", "replace"))
    try:
        trees = msgspec.json.decode(logged), msgspec.json.decode(replayed)
    except MALFORMED:
        return whole
    return next(_differences(*trees, "$.decision"), whole)


def rows_difference(logged: Rows, replayed: Rows, path: str) -> Difference | None:
    """The first difference between logged feature rows and those of a replay, to the bit."""
    return next(_row_differences(logged, replayed, path), None)


def items_difference(logged: tuple[ItemId, ...], replayed: tuple[ItemId, ...], path: str) -> Difference | None:
    """The first difference between two lists of items."""
    return next(_differences(list(logged), list(replayed), path), None)


def shadows_difference(
    logged: Mapping[PlacementName, Shadow], replayed: Mapping[PlacementName, Shadow], path: str
) -> Difference | None:
    """The first difference in what challengers would have shown.

    One that was not asked for want of time, or that failed, has an answer now; there was none to compare it with.
    """
    unasked = {Reason.FALLBACK_DEADLINE, Reason.FALLBACK_SCORER}
    compared = {name for name in {*logged, *replayed} if name not in logged or logged[name].reason not in unasked}
    one, other = (
        msgspec.json.decode(msgspec.json.encode({name: shadows[name] for name in compared if name in shadows}))
        for shadows in (logged, replayed)
    )
    return next(_differences(one, other, path), None)


def enrolled_difference(logged: Mapping[str, ArmName], replayed: Mapping[str, ArmName], path: str) -> Difference | None:
    """The first difference between what two decisions have experiments remember."""
    return next(_differences(dict(logged), dict(replayed), path), None)


def _differences(logged: Any, replayed: Any, path: str) -> Iterator[Difference]:
    if isinstance(logged, dict) and isinstance(replayed, dict):
        for key in sorted({*logged, *replayed}):
            yield from _differences(logged.get(key), replayed.get(key), f"{path}.{key}")
    elif isinstance(logged, list) and isinstance(replayed, list) and len(logged) == len(replayed):
        for position, (one, other) in enumerate(zip(logged, replayed, strict=True)):
            yield from _differences(one, other, f"{path}[{position}]")
    elif type(logged) is not type(replayed) or logged != replayed:
        yield Difference(path, logged, replayed)


def _row_differences(logged: Rows, replayed: Rows, path: str) -> Iterator[Difference]:
    for placement in sorted({*logged, *replayed}):
        one, other, where = logged.get(placement), replayed.get(placement), f"{path}.{placement}"
        if one is None or other is None:
            yield Difference(where, _told(one), _told(other))
        elif one.names != other.names:
            yield Difference(f"{where}.names", list(one.names), list(other.names))
        elif one.items != other.items:
            yield Difference(f"{where}.items", list(one.items), list(other.items))
        elif len(one.data) != len(other.data):
            yield Difference(f"{where}.data", f"{len(one.data)} bytes", f"{len(other.data)} bytes")
        elif one.data != other.data:
            # By bytes, because NaN, which is what a missing feature is, does not equal itself.
            byte = int(np.argmax(np.frombuffer(one.data, np.uint8) != np.frombuffer(other.data, np.uint8)))
            value = byte // _FLOAT_BYTES
            row, column = divmod(value, len(one.names))
            yield Difference(f"{where}.{one.items[row]}.{one.names[column]}", _float(one, value), _float(other, value))


def _told(rows: FeatureRows | None) -> str | None:
    return None if rows is None else f"{len(rows.items)} rows of {len(rows.names)} columns"


def _float(rows: FeatureRows, place: int) -> float:
    return float(np.frombuffer(rows.data, "<f4", count=1, offset=place * _FLOAT_BYTES)[0])
