"""A file of purchases, read into one row per customer and day."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError, Problem
from hub.lifetime.history import Floats, Ints, Purchases
from hub.origin import Origin
from hub.tables import read_table, require_columns
from hub.train.scoring.columns import kind_of, texts

if TYPE_CHECKING:
    import pyarrow as pa

DAY_S: Final = 86_400
FEWEST_ROWS: Final = 10
_PROBLEMS_SHOWN: Final = 20
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
_WRITTEN_DAYS: Final = (1900_01_01, 2199_12_31)
"""Whole numbers between these are days written as 20110930. As seconds they would lie in 1970."""
_SECONDS: Final = (100_000_000, 7_258_118_400)
"""Seconds since 1970 of 1973 to 2199."""
_MILLISECONDS: Final = (100_000_000_000, 7_258_118_400_000)


class Columns(NamedTuple):
    """What the columns of the file are called."""

    customer: str
    time: str
    value: str


class Read(NamedTuple):
    """The purchases of a file, and what was left out of them."""

    purchases: Purchases
    warnings: list[str]


def read_purchases(path: Path, columns: Columns, *, delimiter: str | None = None) -> Read:
    """One purchase a customer and day: the values of a day are added up, returns (below 0) among them.

    A return of the same day mostly takes an order back or corrects it. A day that comes to 0 or less by its returns is
    no purchase; what it takes off earlier ones is left out and told, for nobody knows off which. Rows without a
    customer are left out and told.

    Raises:
        InputError: unreadable, no such column, a time or a value that is missing or none, fewer than 10 purchases.
    """
    table = read_table(path, delimiter=delimiter, text=[columns.customer])
    require_columns(table, columns, where=str(path))
    if len(set(columns)) < len(columns):
        raise InputError(f"{path}: customer, time and value are to be three columns; got {', '.join(columns)}")
    origin = Origin.of(path, table.num_rows)
    warnings = []
    customers = texts(table, columns.customer)
    known = np.array([bool(name.strip()) for name in customers], dtype=np.bool_)
    if not known.all():
        warnings.append(f"{np.count_nonzero(~known):,} of {len(known):,} rows name no customer: left out")
    table, origin, customers = table.filter(known), origin.kept(known), customers[known]
    day = days(table, columns.time, origin)
    purchases, taken_back = by_day(customers, day, amounts(table, columns.value, origin))
    if len(taken_back):
        warnings.append(
            f"{len(taken_back):,} days of a customer come to 0 or less by their returns: no purchases; the "
            f"{-taken_back.sum():,.2f} that they take off earlier ones are left out"
        )
    if len(purchases.day) < FEWEST_ROWS:
        raise InputError(f"{path}: {len(purchases.day)} purchases, expected at least {FEWEST_ROWS}")
    return Read(purchases, warnings)


def by_day(customers: NDArray[np.object_], day: Ints, value: Floats) -> tuple[Purchases, Floats]:
    """Rows (rows,) in any order as purchases, and what the days came to that are none: all 0 or less."""
    names, index = np.unique(customers.astype(np.str_), return_inverse=True)
    order = np.lexsort((day, index))
    index, day, value = index[order], day[order], value[order]
    starts = np.flatnonzero(np.append(len(day) > 0, (np.diff(index) != 0) | (np.diff(day) != 0)))
    if not len(starts):
        return Purchases((), index, day, value), value
    came_to = np.add.reduceat(value, starts)
    bought = (came_to > 0) | (np.minimum.reduceat(value, starts) == 0)
    kept, index = np.unique(index[starts][bought], return_inverse=True)
    named = tuple(map(str, names[kept]))
    return Purchases(named, index.astype(np.int64), day[starts][bought], came_to[bought]), came_to[~bought]


def day_number(date: dt.date) -> int:
    """Days since 1970-01-01."""
    return date.toordinal() - _EPOCH


def date_of(day: int) -> dt.date:
    """The day with that number."""
    return dt.date.fromordinal(day + _EPOCH)


def days(table: pa.Table, name: str, origin: Origin) -> Ints:
    """A column as days since 1970-01-01.

    It may hold dates, times (their day as it is written, or in UTC where they say their zone), texts of these as ISO
    8601 writes them, whole numbers as 20110930, or seconds or milliseconds since 1970.

    Raises InputError for what is missing or none of these.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = _whole(table, name, origin)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = _parsed(column, name, origin)
    if pa.types.is_timestamp(column.type):
        # not `cast`, which refuses a time of day
        seconds = pc.floor_temporal(column, unit="day").cast(pa.timestamp("s", column.type.tz)).cast(pa.int64())
        return np.asarray(seconds.to_numpy(), dtype=np.int64) // DAY_S
    if pa.types.is_date(column.type):
        return np.asarray(column.cast(pa.date32()).cast(pa.int32()).to_numpy(), dtype=np.int64)
    if kind_of(column.type) != "number" or pa.types.is_boolean(column.type):
        raise InputError(f"{origin.file}: column {name!r} is {column.type}; expected dates or times")
    numbers = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    return _numbered(numbers, name, origin)


def amounts(table: pa.Table, name: str, origin: Origin) -> Floats:
    """A column of money or other finite numbers. Raises InputError for what is missing or no number."""
    import pyarrow as pa

    column = _whole(table, name, origin)
    if kind_of(column.type) == "text":
        bad = ((row, text) for row, text in enumerate(column.to_pylist()) if not _is_number(text))
        row, text = next(bad, (0, str(column[0])))
        raise InputError(f"{origin.file}: {origin.place(row, name)}: {text[:40]!r}; expected a number")
    if kind_of(column.type) != "number" or pa.types.is_boolean(column.type):
        raise InputError(f"{origin.file}: column {name!r} is {column.type}; expected numbers")
    values = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    endless = np.flatnonzero(~np.isfinite(values))
    if len(endless):
        at = int(endless[0])
        raise InputError(f"{origin.file}: {origin.place(at, name)}: {values[at]}; expected a finite number")
    return values


def _whole(table: pa.Table, name: str, origin: Origin) -> pa.ChunkedArray:
    """A column without gaps."""
    import pyarrow as pa

    column = table.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count:
        rows = np.flatnonzero(column.is_null().to_numpy())
        problems = tuple(Problem(origin.place(int(row), name), "missing") for row in rows[:_PROBLEMS_SHOWN])
        raise InputError(f"{origin.file}: column {name!r} is missing in {len(rows):,} rows with a customer", problems)
    return column


def _parsed(column: pa.ChunkedArray, name: str, origin: Origin) -> pa.ChunkedArray:
    """Texts as moments: one zone for all, or none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return pc.cast(column, kind)
        except pa.ArrowInvalid:
            continue
    for row, text in enumerate(column.to_pylist()):
        try:
            dt.datetime.fromisoformat(text.strip())
        except ValueError:
            where = f"{origin.file}: {origin.place(row, name)}"
            raise InputError(f"{where}: {text[:40]!r}; expected a date such as 2011-09-30") from None
    raise InputError(f"{origin.file}: column {name!r}: some times say their zone and some do not")


def _numbered(numbers: Floats, name: str, origin: Origin) -> Ints:
    """Whole numbers as days."""
    low, high = numbers.min(initial=np.inf), numbers.max(initial=-np.inf)
    if _SECONDS[0] <= low and high <= _SECONDS[1]:
        return np.asarray(numbers // DAY_S, dtype=np.int64)
    if _MILLISECONDS[0] <= low and high <= _MILLISECONDS[1]:
        return np.asarray(numbers // (DAY_S * 1_000), dtype=np.int64)
    found = np.empty(len(numbers), dtype=np.int64)
    for written in np.unique(numbers):
        here = numbers == written
        try:
            if not (_WRITTEN_DAYS[0] <= written <= _WRITTEN_DAYS[1]):
                raise ValueError  # noqa: TRY301  # as for a day that is in no month
            found[here] = day_number(dt.datetime.strptime(f"{written:.0f}", "%Y%m%d").replace(tzinfo=dt.UTC).date())
        except ValueError:
            where = f"{origin.file}: {origin.place(int(np.flatnonzero(here)[0]), name)}"
            expected = "expected a date, a number as 20110930, or seconds or milliseconds since 1970"
            raise InputError(f"{where}: {written:.15g}; {expected}") from None
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
