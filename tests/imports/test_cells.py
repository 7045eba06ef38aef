"""Columns of cells against their naive twins, one cell at a time."""

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.imports.cells import instants_us, looks_numeric, missing, numbers, texts, whole_numbers


def column(values: list[object], kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


def naive_number(text: str | None) -> float:
    """What a number means here: as Python reads it, but no underscores, no words, nothing infinite."""
    if text is None or not set(text.strip()) <= set("0123456789.eE+-"):
        return math.nan
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


@given(st.lists(st.none() | st.text("0123456789.eE+- ", max_size=8) | st.floats().map(repr), min_size=1))
def test_numbers_in_text(values: list[str | None]) -> None:
    found = numbers(column(list(values), pa.string()))
    np.testing.assert_array_equal(found, [naive_number(value) for value in values])


@given(st.lists(st.none() | st.floats(), min_size=1))
def test_numbers_that_are_numbers(values: list[float | None]) -> None:
    found = numbers(column(list(values), pa.float64()))
    expected = [value if value is not None and math.isfinite(value) else math.nan for value in values]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("word", ["NaN", "nan", "inf", "-Infinity", "0,5", "1_000", "0x1", "", "one"])
def test_words_are_no_numbers(word: str) -> None:
    assert np.isnan(numbers(column([word])))[0]


def test_numbers_of_other_types() -> None:
    assert numbers(column([3, None], pa.int32())).tolist()[0] == 3.0
    assert numbers(column([Decimal("0.25")])).tolist() == [0.25]
    assert numbers(column(["0.5", "x"]).dictionary_encode()).tolist()[0] == 0.5
    assert np.isnan(numbers(column([True, False]))).all()
    assert np.isnan(numbers(column([[1.0]]))).all()


def test_whole_numbers() -> None:
    values, bad = whole_numbers(column(["3", "3.0", "-1", "1.5", None, "2147483648", "x"]))
    assert values.tolist() == [3, 3, 0, 0, 0, 0, 0]
    assert bad.tolist() == [False, False, True, True, True, True, True]


def test_texts_keep_digits_and_lose_blanks() -> None:
    assert texts(column([" 007 ", "", None, "18446744073709551615"])).to_pylist() == [
        "007",
        None,
        None,
        "18446744073709551615",
    ]
    assert texts(column([14.0, 1.5, None, math.nan, 1e300])).to_pylist() == ["14", "1.5", None, "nan", "1e+300"]
    assert texts(column([9_007_199_254_740_993])).to_pylist() == ["9007199254740993"]
    assert texts(column([{"a": 1}, None])).to_pylist() == ['{"a":1}', None]
    assert texts(column(["a", None]).dictionary_encode()).to_pylist() == ["a", None]


MOMENTS = st.datetimes(
    datetime(1971, 1, 1),  # noqa: DTZ001  # Hypothesis adds the zone
    datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([None, UTC, timezone(timedelta(hours=-7))]),
)


@given(st.lists(MOMENTS, min_size=1), st.sampled_from(["T", " "]))
def test_iso_8601(moments: list[datetime], separator: str) -> None:
    found, bad = instants_us(column([moment.isoformat(separator) for moment in moments]))
    aware = [moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in moments]
    assert found.tolist() == [
        (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) for moment in aware
    ]
    assert not bad.any()


@given(st.integers(1_000_000_000, 4_000_000_000))
def test_seconds_milliseconds_and_microseconds_mean_the_same(second: int) -> None:
    written = [str(second), f"{second}.0", str(second * 1000), str(second * 1_000_000)]
    for kind in (column(list(written)), column([float(text) for text in written])):
        found, bad = instants_us(kind)
        assert set(found.tolist()) == {second * 1_000_000}
        assert not bad.any()


@pytest.mark.parametrize("text", [None, "", "yesterday", "2024-02-30", "24:00", "12", "-1574553634", "2024-13-01"])
def test_no_time(text: str | None) -> None:
    found, bad = instants_us(column([text], pa.string()))
    assert bad.tolist() == [True]
    assert found.tolist() == [0]


def test_times_that_are_typed() -> None:
    moment = datetime(2024, 5, 1, 12, tzinfo=UTC)
    microseconds = int(moment.timestamp()) * 1_000_000
    naive = column([moment.replace(tzinfo=None), None], pa.timestamp("ns"))
    assert instants_us(naive)[0].tolist() == [microseconds, 0]
    assert instants_us(naive)[1].tolist() == [False, True]
    berlin = column([moment], pa.timestamp("ms", "Europe/Berlin"))
    assert instants_us(berlin)[0].tolist() == [microseconds]
    assert instants_us(column([moment.date()]))[0].tolist() == [microseconds - 12 * 3_600_000_000]
    assert instants_us(column([True]))[1].tolist() == [True]


def test_which_columns_look_numeric() -> None:
    assert looks_numeric(column(["1", None, "2.5"]))
    assert not looks_numeric(column(["1", "x"]))
    assert not looks_numeric(column([None], pa.string()))
    assert missing(column(["a", None])).tolist() == [False, True]
