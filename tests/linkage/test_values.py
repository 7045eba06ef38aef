"""Equal things are written alike, and writing them again changes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.linkage import values


@given(st.text())
def test_a_plain_value_stays(text: str) -> None:
    for write in (values.plain, values.email, values.phone, values.postcode, values.date):
        once = write(text)
        assert once is None or write(once) == once


@pytest.mark.parametrize("text", ["", "  ", "N/A", "unknown", "NULL", "-"])
def test_nothing_said_is_nothing(text: str) -> None:
    assert values.plain(text) is None


def test_blanks_case_and_accents_do_not_tell_people_apart() -> None:
    assert values.plain("  Jos\u00c9   M\u00dcller ") == values.plain("jose\u0301 mu\u0308ller") == "jose muller"


def test_a_phone_is_its_last_nine_digits() -> None:
    assert values.phone("+49 (0)30 1234-5678") == values.phone("030 12345678") == "012345678"[-9:]
    assert values.phone("12 34") is None


@pytest.mark.parametrize(
    ("text", "order", "written"),
    [
        ("1990-02-03", "day first", "1990-02-03"),
        ("1990-02-03T00:00:00", "day first", "1990-02-03"),
        ("19900203", "day first", "1990-02-03"),
        ("3.2.1990", "month first", "1990-02-03"),
        ("3/2/1990", "day first", "1990-02-03"),
        ("2/3/1990", "month first", "1990-02-03"),
        ("1840-12-77", "day first", "1840-12-77"),
        ("1850", "day first", "1850-01-01"),
        ("around 1850", "day first", "around 1850"),
    ],
)
def test_dates_read_alike(text: str, order: values.DateOrder, written: str) -> None:
    assert values.date(text, order) == written


def test_a_column_tells_its_order_of_day_and_month() -> None:
    assert values.date_order(["1/2/1990", "1/31/1990"]) == "month first"
    assert values.date_order(["1/2/1990", "31/1/1990"]) == "day first"
    assert values.date_order(["1/2/1990"]) == "day first"
