"""Dates: declared forms only, in the source's zone; what two of them read differently is refused."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.sources.fault import Fault
from hub.sources.moments import check_form, reader, written

NAIVE = dt.datetime(2025, 7, 1, 9)  # noqa: DTZ001  # as Parquet has it
MIXED = ["iso", "%d/%m/%Y", "%m/%d/%Y"]


def said(value: Any, *forms: str, zone: str = "UTC") -> str:
    return written(reader("when", forms or ("iso",), zone)(value))


@pytest.mark.parametrize(
    ("value", "forms", "zone", "moment"),
    [
        ("2025-07-01T09:00:00+02:00", ("iso",), "Europe/London", "2025-07-01T07:00:00.000Z"),
        ("2025-07-01 09:00", ("iso",), "Europe/London", "2025-07-01T08:00:00.000Z"),
        ("2025-01-01", ("iso",), "Europe/London", "2025-01-01T00:00:00.000Z"),
        ("20250101", ("iso",), "UTC", "2025-01-01T00:00:00.000Z"),
        ("31/12/2025", tuple(MIXED), "UTC", "2025-12-31T00:00:00.000Z"),
        ("12/31/2025", tuple(MIXED), "UTC", "2025-12-31T00:00:00.000Z"),
        ("05/05/2025", tuple(MIXED), "UTC", "2025-05-05T00:00:00.000Z"),
        ("1735689600", ("epoch",), "UTC", "2025-01-01T00:00:00.000Z"),
        (1735689600, ("epoch",), "UTC", "2025-01-01T00:00:00.000Z"),
        (1735689600.5, ("epoch",), "UTC", "2025-01-01T00:00:00.500Z"),
        (Decimal(1735689600500), ("epoch_ms",), "UTC", "2025-01-01T00:00:00.500Z"),
        (NAIVE, ("iso",), "Europe/London", "2025-07-01T08:00:00.000Z"),
        (dt.date(2025, 7, 1), ("iso",), "Europe/London", "2025-06-30T23:00:00.000Z"),
        # the hour that October shows twice is the first of the two; the one that March leaves out comes after it
        ("2025-10-26 01:30", ("iso",), "Europe/London", "2025-10-26T00:30:00.000Z"),
        ("2025-03-30 01:30", ("iso",), "Europe/London", "2025-03-30T01:30:00.000Z"),
        ("2038-01-19T03:14:08Z", ("iso",), "UTC", "2038-01-19T03:14:08.000Z"),
        (2**31, ("epoch",), "UTC", "2038-01-19T03:14:08.000Z"),
        (2**32, ("epoch",), "UTC", "2106-02-07T06:28:16.000Z"),
    ],
)
def test_dates_are_read_as_declared(value: Any, forms: tuple[str, ...], zone: str, moment: str) -> None:
    assert said(value, *forms, zone=zone) == moment


@pytest.mark.parametrize(
    ("value", "forms", "reason"),
    [
        ("03/04/2025", MIXED, "ambiguous"),
        ("31/12/2025", ["iso"], "no date"),
        ("yesterday", MIXED, "no date"),
        ("31/02/2025", MIXED, "no date"),
        (1735689600, ["iso"], "no date"),
        ("1735689600", ["iso"], "no date"),
        (True, ["epoch"], "no date"),
        (float("inf"), ["epoch"], "no date"),
        (10**30, ["epoch_ms"], "no date"),
        ([2025], ["iso"], "no date"),
        ({"a": 1}, ["iso"], "no date"),
        (253_402_300_800, ["epoch"], "no date"),
        ("9999-12-31T23:59:00-12:00", ["iso"], "out of range"),
    ],
)
def test_other_dates_are_refused_with_the_column(value: Any, forms: list[str], reason: str) -> None:
    with pytest.raises(Fault) as refused:
        reader("when", forms, "UTC")(value)
    assert (refused.value.column, refused.value.reason) == ("when", reason)


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_what_is_written_is_read_again(moment_ms: int) -> None:
    assert reader("when", ["iso"], "UTC")(written(moment_ms)) == moment_ms


def test_a_reader_remembers_no_other_type() -> None:
    read = reader("when", ["epoch"], "UTC")
    assert read(1) == 1_000
    with pytest.raises(Fault):
        read(True)


@pytest.mark.parametrize(("form", "says"), [("isoo", "no form"), ("%d.%m", "day, month and year"), ("%Q", "read back")])
def test_a_wrong_form_is_said(form: str, says: str) -> None:
    assert says in (check_form(form) or "")


@pytest.mark.parametrize("form", ["iso", "epoch", "epoch_ms", "%d/%m/%Y", "%d-%b-%y %H:%M:%S", "%Y%m%dT%H%M%z"])
def test_right_forms_are_silent(form: str) -> None:
    assert check_form(form) is None
