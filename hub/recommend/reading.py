"""Interactions from the files that people bring."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edgewise.errors import InputError, Problem
from hub.origin import Origin
from hub.recommend.interactions import Interactions, encode
from hub.tables import read_table

if TYPE_CHECKING:
    import pyarrow as pa


_FRACTION: Final = re.compile(r"[+-]?[0-9]+\.0+", re.ASCII)


class Columns(NamedTuple):
    """The names of a file's columns.

    `user_id` also finds the typed header `user_id:token` of RecBole's atomic files.
    """

    user: str
    item: str
    time: str | None = None
    weight: str | None = None
    rating: str | None = None


class Read(NamedTuple):
    """What the files hold."""

    interactions: Interactions
    first_of_test: int
    """The rows from here on come from the test file."""
    unlisted: int
    """How many items were used but are not in the catalogue; 0 without one."""
    fractions: tuple[str, ...] = ()
    """Columns whose ids are all written as `7.0`. They stay so: 7 is another id, and ties go by text."""


def read_interactions(
    path: Path,
    columns: Columns,
    *,
    delimiter: str | None = None,
    test: Path | None = None,
    catalogue: Path | None = None,
) -> Read:
    """The interactions of a file, followed by those of a test file with the same columns.

    `catalogue` is a file with the item column: what may be recommended, whether or not somebody used it.

    Raises InputError for an unreadable or empty file, an unknown column (with the ones that there are), an id
    that is missing, a weight that is no number, or a time that is neither a number nor a date.
    """
    parts = [_part(one, columns, delimiter) for one in (path, test) if one is not None]
    listed: set[str] = set()
    if catalogue is not None:
        table, (name,) = _table(catalogue, [columns.item], [columns.item], delimiter)
        listed = set(_ids(table, name, catalogue))
    time = None if columns.time is None else np.concatenate([part.time for part in parts])
    weight = None if columns.weight is None else np.concatenate([part.weight for part in parts])
    item = [one for part in parts for one in part.item]
    rating = None if columns.rating is None else np.concatenate([part.rating for part in parts])
    interactions = encode(
        [one for part in parts for one in part.user], item, time=time, weight=weight, rating=rating, catalogue=listed
    )
    unlisted = len(set(item) - listed) if catalogue is not None else 0
    ids = ((columns.user, interactions.users), (columns.item, item))
    fractions = tuple(name for name, column in ids if all(map(_FRACTION.fullmatch, column)))
    return Read(interactions, len(parts[0].user), unlisted, fractions)


def read_about(
    path: Path, item: str, items: Sequence[str], *, columns: Sequence[str] | None = None, delimiter: str | None = None
) -> dict[str, list[object]]:
    """What a catalogue says of `items`, column by column in their order; None where it does not know one.

    `columns`: all but the item's where they are not named, which may be none. Raises as `read_interactions`.
    """
    names = [item] if columns is None else [item, *columns]
    table, found = _table(path, names, [item], delimiter)
    said = [name for name in table.column_names if name != found[0]] if columns is None else found[1:]
    place = {one: row for row, one in enumerate(_ids(table, found[0], path))}
    rows = [place.get(one) for one in items]
    about: dict[str, list[object]] = {}
    for name in said:
        values = table.column(name).to_pylist()
        about[name] = [None if row is None else values[row] for row in rows]
    return about


class _Part(NamedTuple):
    user: list[str]
    item: list[str]
    time: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]
    rating: npt.NDArray[np.float64]


def _part(path: Path, columns: Columns, delimiter: str | None) -> _Part:
    wanted = [name for name in columns if name is not None]
    table, found = _table(path, wanted, [columns.user, columns.item], delimiter)
    named = dict(zip(wanted, found, strict=True))
    nothing = np.zeros(0)
    return _Part(
        user=_ids(table, named[columns.user], path),
        item=_ids(table, named[columns.item], path),
        time=nothing if columns.time is None else _numbers(table, named[columns.time], path, dates=True),
        weight=nothing if columns.weight is None else _weights(table, named[columns.weight], path),
        rating=nothing if columns.rating is None else _numbers(table, named[columns.rating], path, dates=False),
    )


def _table(path: Path, wanted: list[str], ids: list[str], delimiter: str | None) -> tuple[pa.Table, list[str]]:
    """The table and the names of its wanted columns. Ids stay text, so that `007` and 64-bit numbers survive."""
    table = read_table(path, delimiter=delimiter, text=[*ids, *(f"{name}:token" for name in ids)])
    there = table.column_names
    found = []
    for name in wanted:
        matching = [column for column in there if name in {column, column.partition(":")[0]}]
        if not matching:
            raise InputError(f"{path}: no column {name!r}; there are: {', '.join(map(repr, there))}")
        found.append(name if name in matching else matching[0])
    if not table.num_rows:
        raise InputError(f"{path}: a header and no row")
    return table, found


def _ids(table: pa.Table, name: str, path: Path) -> list[str]:
    column = table.column(name)
    _refuse_missing(column, name, path)
    return [str(one) for one in column.to_pylist()]


def _numbers(table: pa.Table, name: str, path: Path, *, dates: bool) -> npt.NDArray[np.float64]:
    import pyarrow as pa

    column = table.column(name)
    _refuse_missing(column, name, path)
    kind = column.type
    if dates and pa.types.is_date(kind):
        column = column.cast(pa.timestamp("s"))
    if dates and pa.types.is_temporal(kind):
        return np.asarray(column.cast(pa.int64()).to_numpy(), dtype=np.float64)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        expected = "a number or a date" if dates else "a number"
        values = column.to_pylist()
        # one wrong cell makes words of a whole column: name that one, and not a good one above it
        row = next((row for row, value in enumerate(values) if not _reads(value, dates=dates)), 0)
        place = Origin.of(path, len(values)).place(row, name)
        raise InputError(f"{path}: {place}: {values[row]!r}, expected {expected}")
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _weights(table: pa.Table, name: str, path: Path) -> npt.NDArray[np.float64]:
    """Raises InputError for one that is not above 0; said here, where its place in the file is known."""
    weights = _numbers(table, name, path, dates=False)
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights > 0)))
    if len(wrong):
        place = Origin.of(path, len(weights)).place(int(wrong[0]), name)
        raise InputError(f"{path}: {place}: {weights[wrong[0]]:g}, expected a number above 0")
    return weights


def _reads(value: object, *, dates: bool) -> bool:
    """Whether a cell by itself is a number, or a date where that may be."""
    text = str(value)
    try:
        float(text)
    except ValueError:
        pass
    else:
        return not isinstance(value, bool)
    if not dates:
        return False
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _refuse_missing(column: Any, name: str, path: Path) -> None:
    if column.null_count:
        origin, row = Origin.of(path, len(column)), column.is_null().to_pylist().index(True)
        raise InputError(
            f"{path}: column {name} has {column.null_count} empty values, the first in row {origin.rows[row]}",
            (Problem(origin.place(row, name), "empty, or a word for nothing such as NA or nan; expected a value"),),
        )
