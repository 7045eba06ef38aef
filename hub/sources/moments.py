"""Dates as people and systems write them, to milliseconds since 1970 in UTC; what can be read two ways is refused."""

from __future__ import annotations

import datetime as dt
import math
import re
import zoneinfo
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from hub.sources.fault import Fault

_UNITS_MS: Final = {"epoch": Decimal(1_000), "epoch_ms": Decimal(1), "epoch_us": Decimal("0.001")}
FORMS: Final = ("iso", *_UNITS_MS)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND: Final = dt.timedelta(milliseconds=1)
_LEAST_MS: Final = -62_135_596_800_000
"""The first millisecond of the year 1."""
_MOST_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999."""
_REMEMBERED: Final = 20_000
_PROBE: Final = dt.datetime(2033, 11, 22, 13, 44, 55, tzinfo=dt.UTC)
_DIGITS: Final = re.compile(r"-?\d{1,18}(\.\d{1,9})?")


def check_form(form: str) -> str | None:
    """What is wrong with a declared form of dates; None: nothing."""
    if form in FORMS:
        return None
    if "%" not in form:
        return f"{form!r} is no form of dates; expected iso, epoch, epoch_ms, epoch_us or a pattern such as %d/%m/%Y"
    try:
        written = _PROBE.strftime(form)
        read = dt.datetime.strptime(written, form)  # noqa: DTZ007  # only the calendar is compared
    except ValueError as wrong:
        return f"{form!r} cannot be read back ({wrong}); expected a pattern such as %d/%m/%Y %H:%M"
    if read.date() != _PROBE.date():
        return f"{form!r} does not say day, month and year"
    return None


def reader(column: str, forms: Sequence[str], timezone: str) -> Callable[[Any], int]:
    """Reads one column's cells; the reader raises Fault."""
    zone = zoneinfo.ZoneInfo(timezone)
    expected = "a date as " + " or ".join(forms)
    remembered: dict[Any, int] = {}

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal | dt.date):
            raise Fault(column, value, "no date", expected)
        known = remembered.get(value)
        if known is not None:
            return known
        if isinstance(value, dt.date):
            midnight = dt.datetime(value.year, value.month, value.day)  # noqa: DTZ001  # the zone is added
            try:
                found = {_ms(value if isinstance(value, dt.datetime) else midnight, zone)}
            except OverflowError:  # a zone takes the first hours of the year 1 out of all years
                found = set()
        else:
            text = value.strip() if isinstance(value, str) else value
            found = {moment for form in forms if (moment := _read(text, form, zone)) is not None}
        if len(found) > 1:
            raise Fault(column, value, "ambiguous", f"a date that only one of {', '.join(forms)} can read")
        if not found:
            raise Fault(column, value, "no date", expected)
        moment = found.pop()
        if not _LEAST_MS <= moment <= _MOST_MS:
            raise Fault(column, value, "out of range", "a date of the years 1 to 9999")
        if len(remembered) >= _REMEMBERED:
            remembered.clear()
        remembered[value] = moment
        return moment

    return read


def written(moment_ms: int) -> str:
    """ISO 8601 in UTC, with milliseconds."""
    moment = _EPOCH + dt.timedelta(milliseconds=moment_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _read(value: Any, form: str, zone: dt.tzinfo) -> int | None:
    if form in _UNITS_MS:
        return _epoch(value, _UNITS_MS[form])
    if not isinstance(value, str):
        return None
    try:
        if form == "iso":
            return None if value.isdigit() and len(value) != 8 else _ms(dt.datetime.fromisoformat(value), zone)  # noqa: PLR2004  # 20261201
        return _ms(dt.datetime.strptime(value, form), zone)  # noqa: DTZ007  # the zone is added
    except (ValueError, OverflowError):
        return None


def _epoch(value: Any, unit_ms: Decimal) -> int | None:
    if isinstance(value, str):
        if not _DIGITS.fullmatch(value):
            return None
        value = Decimal(value)
    if not isinstance(value, int | float | Decimal) or not math.isfinite(value):
        return None
    moment = Decimal(value) * unit_ms
    return int(moment) if abs(moment) <= _MOST_MS else None


def _ms(moment: dt.datetime, zone: dt.tzinfo) -> int:
    """An hour that a clock shows twice is taken as the first of the two."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return (aware - _EPOCH) // _MILLISECOND
