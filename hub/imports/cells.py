"""Whole columns of cells parsed at once. What cannot be parsed is marked, never raised: an import keeps going."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_NUMBER: Final = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_EPOCH: Final = r"^\d{9,17}(\.\d+)?$"  # eight digits are a date of ISO 8601's basic format
_EPOCH_UNITS: Final = ((1e11, 1e6), (1e14, 1e3), (np.inf, 1.0))
"""(below, microseconds in one): seconds until the year 5138, then milliseconds, then microseconds."""
_1970: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
INTEGER_MAX: Final = 2**31 - 1


def numbers(column: pa.ChunkedArray) -> Floats:
    """Finite numbers; NaN where a cell is missing, not a number, NaN or infinite.

    Text is read with a decimal point, never a decimal comma: `0,5` might as well be five.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = _plain(column)
    if pa.types.is_string(column.type):
        trimmed = pc.utf8_trim_whitespace(column)
        readable = pc.match_substring_regex(trimmed, _NUMBER)
        column = pc.if_else(readable, trimmed, pa.scalar(None, pa.string())).cast(pa.float64())
    elif pa.types.is_decimal(column.type) or pa.types.is_integer(column.type):
        column = column.cast(pa.float64(), safe=False)
    elif not pa.types.is_floating(column.type):
        return np.full(len(column), np.nan)
    values = _float64(column)
    values[~np.isfinite(values)] = np.nan
    return values


def whole_numbers(column: pa.ChunkedArray) -> tuple[Integers, Mask]:
    """(numbers from 0 to 2^31 - 1, which cells were none); a bad cell is 0."""
    values = numbers(column)
    bad = ~((values >= 0) & (values <= INTEGER_MAX) & (values == np.floor(values)))
    return np.where(bad, 0, values).astype(np.int64), bad


def texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text without blanks at its ends, null where nothing is left; whole floats lose their `.0`.

    A column of ids becomes float wherever pandas met a gap in it, so `14.0` is the id `14`. Ids in text are kept
    digit for digit.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = _plain(column)
    kind = column.type
    if pa.types.is_floating(kind):
        values = _float64(column)
        whole = np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < 2**53)
        digits = pa.array(np.where(whole, values, 0).astype(np.int64)).cast(pa.string())
        column = pc.if_else(pa.array(whole), digits, column.cast(pa.string()))
    elif pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        column = pa.array([_as_json(cell) for cell in column.to_pylist()], pa.string())
    else:
        column = column.cast(pa.string())
    trimmed = pc.utf8_trim_whitespace(column)
    filled = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
    return filled if isinstance(filled, pa.ChunkedArray) else pa.chunked_array([filled])


def instants_us(column: pa.ChunkedArray) -> tuple[Integers, Mask]:
    """(microseconds since 1970 in UTC, which cells were no time); a bad cell is 0.

    ISO 8601, or seconds, milliseconds or microseconds since 1970, told apart by size. A time without a zone is
    taken as UTC.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = _plain(column)
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        moments = column.cast(
            pa.timestamp("us", column.type.tz if pa.types.is_timestamp(column.type) else None), safe=False
        )
        missing = _mask(pc.is_null(moments))
        return moments.cast(pa.int64()).fill_null(0).to_numpy().astype(np.int64), missing
    if not pa.types.is_string(column.type):
        return _epoch_us(numbers(column))
    trimmed = pc.utf8_trim_whitespace(column)
    since_1970 = pc.fill_null(pc.match_substring_regex(trimmed, _EPOCH), fill_value=False)
    from_number, bad_number = _epoch_us(numbers(pc.if_else(since_1970, trimmed, pa.scalar(None, pa.string()))))
    # many rows share a second: each text is parsed once
    encoded = trimmed.combine_chunks().dictionary_encode()
    moments_us = [*map(_iso_us, encoded.dictionary.to_pylist()), None]
    text = encoded.indices.fill_null(len(moments_us) - 1).to_numpy()
    from_text = np.array([moment or 0 for moment in moments_us], np.int64)[text]
    bad_text = np.array([moment is None for moment in moments_us], np.bool_)[text]
    is_number = _mask(since_1970)
    bad = np.where(is_number, bad_number, bad_text)
    return np.where(bad, 0, np.where(is_number, from_number, from_text)), bad


def missing(column: pa.ChunkedArray) -> Mask:
    """Which cells are null."""
    import pyarrow.compute as pc

    return _mask(pc.is_null(column))


def looks_numeric(column: pa.ChunkedArray) -> bool:
    """Whether every cell that is there is a finite number, and there is one."""
    known = ~missing(column)
    return bool(known.any()) and not np.isnan(numbers(column)[known]).any()


def _epoch_us(values: Floats) -> tuple[Integers, Mask]:
    bad = ~(values >= 0)
    scale = np.select([values < below for below, _ in _EPOCH_UNITS], [unit for _, unit in _EPOCH_UNITS], 1.0)
    scaled = values * scale
    bad |= ~(scaled < 2**62)
    return np.where(bad, 0, np.round(scaled)).astype(np.int64), bad


def _iso_us(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _1970) // _MICROSECOND


def _as_json(cell: Any) -> str | None:
    return None if cell is None else msgspec.json.encode(cell, enc_hook=str).decode()


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.string()) if pa.types.is_large_string(column.type) else column


def _float64(column: pa.ChunkedArray) -> Floats:
    import pyarrow as pa

    values = column.cast(pa.float64()).to_numpy()  # nulls become NaN; the copy is ours to change
    return np.array(values, np.float64)


def _mask(column: pa.ChunkedArray) -> Mask:
    return cast("Mask", np.asarray(column.to_numpy(), np.bool_))
