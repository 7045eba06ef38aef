"""How new an item is: its day of publication lies ready, and its age is taken off at the moment of the decision."""

from __future__ import annotations

import datetime as dt
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgewise.attributes import Attribute, number_of
from edgewise.profile.state import DAY_MS

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY: Final = dt.timedelta(days=1)


def published_day(value: Attribute) -> float:
    """Days since 1970 of a date or moment in ISO 8601 (without a zone: UTC), or of milliseconds; NaN for all else.

    As a float32 it is exact to three minutes in this century.
    """
    if not isinstance(value, str):
        return math.nan if isinstance(value, bool) else number_of(value) / DAY_MS
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        return math.nan
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    return (aware - _EPOCH) / _DAY


def freshness(days: NDArray[np.float32], now_ms: int, half_after_days: float) -> NDArray[np.float64]:
    """In (0, 1], of days of publication since 1970; NaN where there is none. Exact to the bit on every machine."""
    age_days = np.maximum(now_ms / DAY_MS - days.astype(np.float64), 0.0)
    return 1.0 / (1.0 + age_days / half_after_days)
