"""When each row was: what is learned from must lie before what is judged on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgewise.errors import InputError
from hub.origin import Origin
from hub.train.scoring.columns import kind_of
from hub.train.scoring.metrics import Floats

if TYPE_CHECKING:
    import pyarrow as pa


def times(table: pa.Table, name: str, origin: Origin) -> Floats:
    """A time column as numbers that order the rows.

    Raises:
        InputError: a time is missing, or is neither a number nor a date.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table.column(name)
    if column.null_count:
        row = origin.rows[column.is_null().to_numpy()][0]
        raise InputError(f"{origin.file}: column {name!r} has no time in row {row}")
    if pa.types.is_string(column.type):
        try:
            column = pc.cast(column, pa.timestamp("us"))
        except pa.ArrowInvalid as wrong:
            raise InputError(f"{origin.file}: column {name!r} is no time: {str(wrong).splitlines()[0]}") from None
    if pa.types.is_temporal(column.type):
        # Only the order counts, so ticks of whatever unit will do.
        column = column.cast(pa.int32() if column.type.bit_width == pa.int32().bit_width else pa.int64())
    elif kind_of(column.type) != "number":
        raise InputError(f"column {name!r} is {column.type}; expected numbers, dates or times")
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
