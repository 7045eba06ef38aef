"""A file of rows, made one row a unit. What cannot be read is excluded, counted and named, never guessed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgewise.errors import InputError
from hub.imports import cells
from hub.origin import Origin
from hub.statistics.compare import Kind
from hub.statistics.metrics import Measured
from hub.statistics.summary import Floats
from hub.statistics.units import EXCLUDED, Columns, Ints, Rows, Units, Values, per_unit, sum_by_unit
from hub.tables import read_table, require_columns

if TYPE_CHECKING:
    import pyarrow as pa

_DAY_US: Final = 86_400_000_000
_NAMES_SHOWN: Final = 40


def read_units(path: Path, columns: Columns, metrics: Sequence[Measured], *, delimiter: str | None = None) -> Units:
    """Read a CSV, Parquet or JSONL file.

    Rows of one unit are added up; a binary metric is 1 when any of them is; covariate, segment and score are the
    unit's own, hence a mean and the first. Missing covariates become the mean of the known ones, which moves no lift.

    Raises InputError for a file that cannot be read, an absent column, a metric without any number, and a binary
    one that is neither 0 nor 1.
    """
    asked = [columns.unit, columns.time, columns.segment, columns.score]
    wanted = [*filter(None, [columns.variant, *asked]), *(name for metric in metrics for name in metric.columns)]
    texts = list(filter(None, [columns.variant, columns.unit, columns.segment]))
    table = read_table(path, delimiter=delimiter, text=texts)
    require_columns(table, dict.fromkeys(wanted), where=str(path))
    table, origin, warnings = _assigned(table, columns, Origin.of(path, table.num_rows))
    unit, units, label = _units(table, columns.unit, origin)
    arm_of_row, arms = _coded(table, columns.variant) if columns.variant else (np.zeros_like(unit), ("all",))
    counted = {name for metric in metrics for name in (metric.column, metric.denominator)}
    numbers = {
        name: _numbers(table, name, origin, warnings, is_counted=name in counted)
        for name in dict.fromkeys(name for metric in metrics for name in metric.columns)
    }
    score = None
    if columns.score:
        score = _mean(unit, _numbers(table, columns.score, origin, warnings), units)
    rows = Rows(unit, _days(table, columns.time, origin, warnings), numbers)
    return Units(
        arms=arms,
        arm=_arm_of_units(unit, arm_of_row, units, len(arms)),
        values={metric.name: _values(metric, rows, units, origin, warnings) for metric in metrics},
        label=label,
        segment=_first(table, columns.segment, unit, units),
        score=score,
        rows=rows,
        named=columns.unit is not None,
        warnings=tuple(warnings),
    )


def _assigned(table: pa.Table, columns: Columns, origin: Origin) -> tuple[pa.Table, Origin, list[str]]:
    """Rows that name a variant, and a unit where units have names."""
    warnings = []
    for name, what in ((columns.variant, "variant"), (columns.unit, "unit")):
        if name is None:
            continue
        nobody = cells.missing(cells.texts(table.column(name)))
        if nobody.any():
            first = origin.place(int(np.flatnonzero(nobody)[0]), name)
            warnings.append(f"{np.count_nonzero(nobody):,} rows name no {what} (the first: {first}): excluded")
            table, origin = table.filter(~nobody), origin.kept(~nobody)
    if not table.num_rows:
        raise InputError(f"{origin.file}: no row names a {columns.variant or columns.unit or 'unit'}")
    return table, origin, warnings


def _coded(table: pa.Table, name: str) -> tuple[Ints, tuple[str, ...]]:
    """(rows,) indices into the words of a column without gaps."""
    encoded = cells.texts(table.column(name)).combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), tuple(encoded.dictionary.to_pylist())


def _units(table: pa.Table, name: str | None, origin: Origin) -> tuple[Ints, int, Callable[[int], str]]:
    """(rows,) the unit of each, how many there are, and how to name one in a sentence."""
    if name is None:
        return np.arange(table.num_rows), table.num_rows, lambda unit: f"of row {origin.rows[unit]}"
    unit, names = _coded(table, name)
    return unit, len(names), names.__getitem__


def _arm_of_units(unit: Ints, arm: Ints, units: int, arms: int) -> Ints:
    """(units,) the arm of each, -1 for a unit with rows in several."""
    pairs = np.unique(unit * arms + arm)
    found = np.full(units, EXCLUDED, dtype=np.int64)
    once = np.bincount(pairs // arms, minlength=units)[pairs // arms] == 1
    found[pairs[once] // arms] = pairs[once] % arms
    return found


def _numbers(table: pa.Table, name: str, origin: Origin, warnings: list[str], *, is_counted: bool = False) -> Floats:
    """(rows,) NaN where there is no number; `is_counted` says what a missing one costs."""
    import pyarrow as pa

    column = table.column(name)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    found = cells.numbers(column)
    if np.isnan(found).all():
        first = next((str(value) for value in column.to_pylist() if value is not None), None)
        seen = "nothing at all" if first is None else f"{first[:_NAMES_SHOWN]!r} first"
        raise InputError(f"{origin.file}: column {name!r} holds no number, {seen}")
    empty = cells.missing(column)
    bad = np.isnan(found) & ~empty
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        value = str(column[at].as_py())[:_NAMES_SHOWN]
        where = f"{origin.place(at, name)}: {value!r}"
        warnings.append(
            f"{np.count_nonzero(bad):,} values of {name} are no finite number (the first: {where}): excluded"
        )
    if empty.any() and is_counted:
        where = origin.place(int(np.flatnonzero(empty)[0]), name)
        warnings.append(
            f"{np.count_nonzero(empty):,} values of {name} are missing (the first: {where}): excluded; whoever did "
            "nothing has a 0"
        )
    return found


def _days(table: pa.Table, name: str | None, origin: Origin, warnings: list[str]) -> Ints | None:
    if name is None:
        return None
    instants, bad = cells.instants_us(table.column(name))
    if bad.all():
        raise InputError(f"{origin.file}: column {name!r} holds no time, expected ISO 8601 or seconds since 1970")
    days = instants // _DAY_US
    if bad.any():
        where = origin.place(int(np.flatnonzero(bad)[0]), name)
        warnings.append(f"{np.count_nonzero(bad):,} rows have no time (the first: {where}): not in the view by day")
        days[bad] = np.iinfo(np.int64).min
    return days


def _values(metric: Measured, rows: Rows, units: int, origin: Origin, warnings: list[str]) -> Values:
    value = rows.cells[metric.column]
    if metric.kind is Kind.BINARY:
        strange = np.flatnonzero(np.isfinite(value) & (value != 0) & (value != 1))
        if len(strange):
            at = int(strange[0])
            what = f"{value[at]:g}, expected 0 or 1 of a binary metric"
            raise InputError(f"{origin.file}: {origin.place(at, metric.column)}: {what}")
    found, below = per_unit(metric, rows, np.ones(len(value), dtype=np.bool_), units)
    before = [
        None if name is None else _filled(name, _mean(rows.unit, rows.cells[name], units), warnings)
        for name in (metric.covariate, metric.covariate_denominator)
    ]
    return Values(found, below, before[0], before[1])


def _mean(unit: Ints, values: Floats, units: int) -> Floats:
    good = np.isfinite(values)
    counted = np.bincount(unit[good], minlength=units)
    with np.errstate(invalid="ignore"):
        return np.asarray(sum_by_unit(unit[good], values[good], units) / counted, dtype=np.float64)


def _filled(name: str, values: Floats, warnings: list[str]) -> Floats:
    unknown = np.isnan(values)
    if unknown.any():
        warnings.append(f"{np.count_nonzero(unknown):,} units have no {name}: the mean of the others stands in")
    return np.where(unknown, np.nanmean(values), values)


def _first(table: pa.Table, name: str | None, unit: Ints, units: int) -> tuple[str | None, ...] | None:
    """A text of each unit's first row."""
    if name is None:
        return None
    words = cells.texts(table.column(name)).to_pylist()
    at = np.full(units, len(words), dtype=np.int64)
    np.minimum.at(at, unit, np.arange(len(unit)))
    return tuple(words[row] for row in at)
