"""Columns of a table as a model reads them: float32 numbers, or words; the same in training and in scoring."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError, Problem
from hub.origin import Origin

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["number", "text"]
Cells = NDArray[np.object_]
"""(rows, columns): Python floats (NaN is missing) in number columns, strings ("" is missing) in text columns."""

WORDS = {"true": 1.0, "false": 0.0, "": float("nan")}
PROBLEMS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Column:
    """One feature column and how it is read."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Features:
    """The chosen feature columns, numbers first, and those that were left out with the reason."""

    columns: tuple[Column, ...]
    left_out: tuple[str, ...]


def choose_features(
    table: pa.Table,
    *,
    target: str,
    wanted: Sequence[str] | None,
    dropped: Collection[str],
    categorical: Collection[str],
) -> Features:
    """All columns but the target and the dropped ones, or exactly the wanted ones.

    Dates, lists and other types that are neither numbers nor words are left out by name, unless they were wanted.

    Raises:
        InputError: nothing is left, the target is among the wanted, or one of these is named twice or of no use.
    """
    if wanted is not None and target in wanted:
        raise InputError(f"column {target!r} is the target; a model may not read it as a feature")
    twice = next((name for name in wanted or () if list(wanted or ()).count(name) > 1), None)
    if twice is not None:
        raise InputError(f"column {twice!r} is named twice among the features; expected once")
    names = [name for name in (wanted or table.column_names) if name != target and name not in dropped]
    numbers: list[Column] = []
    texts: list[Column] = []
    left_out: list[str] = []
    for name in names:
        kind = "text" if name in categorical else kind_of(table.schema.field(name).type)
        if kind == "number":
            numbers.append(Column(name, "number"))
        elif kind == "text":
            texts.append(Column(name, "text"))
        elif wanted is not None:
            raise InputError(f"column {name!r} is {table.schema.field(name).type}; expected numbers or text")
        else:
            left_out.append(
                f"column {name!r} is {table.schema.field(name).type} and was left out: derive numbers from it"
            )
    if not numbers and not texts:
        raise InputError(f"no feature column is left beside the target {target!r}")
    return Features((*numbers, *texts), tuple(left_out))


def kind_of(type_: pa.DataType) -> Kind | None:
    """How a type of Arrow is read; None for dates, lists and the like."""
    import pyarrow as pa

    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return "text"
    numeric = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return "number" if any(is_such(type_) for is_such in numeric) else None


def cells(table: pa.Table, columns: Sequence[Column], origin: Origin | None = None) -> Cells:
    """The rows as a pipeline reads them.

    Raises:
        InputError: a number column holds a word, with file, row, column and value.
    """
    read = np.empty((table.num_rows, len(columns)), dtype=object)
    for index, column in enumerate(columns):
        if column.kind == "number":
            read[:, index] = numbers(table, column.name, origin).astype(object)
        else:
            read[:, index] = texts(table, column.name)
    return read


def numbers(table: pa.Table, name: str, origin: Origin | None = None) -> NDArray[np.float32]:
    """A column as float32; missing and infinite values are NaN, true and false are 1 and 0.

    Raises:
        InputError: a value is no number.
    """
    origin = origin or Origin.nowhere(table.num_rows)
    column = _decoded(table, name)
    if kind_of(column.type) == "number":
        import pyarrow as pa

        if pa.types.is_null(column.type):
            return np.full(table.num_rows, np.nan, dtype=np.float32)
        values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return _finite_float32(values)
    parsed = np.empty(table.num_rows)
    problems: list[Problem] = []
    for row, value in enumerate(texts(table, name)):
        try:
            known = WORDS.get(value.strip().lower())
            parsed[row] = float(value) if known is None else known
        except ValueError:
            problems.append(Problem(origin.place(row, name), f"{value[:40]!r}; expected a number"))
    if problems:
        what = f"{origin.file}: column {name!r}: {len(problems)} values are no numbers"
        raise InputError(what, tuple(problems[:PROBLEMS_SHOWN]))
    return _finite_float32(parsed)


def _finite_float32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    return np.where(np.isfinite(narrow), narrow, np.float32(np.nan))


def texts(table: pa.Table, name: str) -> NDArray[np.object_]:
    """A column as words; missing ones are empty, whole numbers have no decimals, so that 1 and 1.0 are one word."""
    column = _decoded(table, name)
    return np.array([_word(value) for value in column.to_pylist()], dtype=object)


def _word(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else ("" if value != value else repr(value))  # noqa: PLR0124
    return str(value)


def _decoded(table: pa.Table, name: str) -> pa.ChunkedArray:
    import pyarrow as pa

    column = table.column(name)
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
