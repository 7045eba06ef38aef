"""Money and numbers as exports write them: exact, in minor units by ISO 4217, and never a comma taken for a point."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.sources.fault import Fault
from hub.sources.money import EXPONENT_OF, amount, converted, number, plain


@pytest.mark.parametrize(
    ("written", "mark", "currency", "found"),
    [
        ("2.55", ".", "GBP", "2.55"),
        ("£1,234.50", ".", "GBP", "1234.50"),
        ("1.234,50 €", ",", "EUR", "1234.50"),
        ("1 234,50", ",", "EUR", "1234.50"),
        ("1'234.50 CHF", ".", "CHF", "1234.50"),
        ("GBP 12", ".", "GBP", "12"),
        ("(12.00)", ".", "GBP", "-12.00"),
        ("-£5", ".", "GBP", "-5"),
        ("\u22125.5", ".", None, "-5.5"),
        ("$1,000,000", ".", "CAD", "1000000"),
        ("¥500", ".", "CNY", "500"),
        (2.55, ".", "GBP", "2.55"),
        (9007199254740993, ".", "JPY", "9007199254740993"),
        (Decimal("0.001"), ".", "GBP", "0.001"),
    ],
    ids=repr,
)
def test_money_is_read_exactly(written: Any, mark: str, currency: str | None, found: str) -> None:
    assert amount("price", written, mark, currency, minor=False) == Decimal(found)


@pytest.mark.parametrize(
    ("written", "mark", "currency", "reason"),
    [
        ("12,50", ".", "GBP", "no number"),
        ("1,23,456", ".", "GBP", "no number"),
        ("€5", ".", "GBP", "another currency"),
        ("EUR 5", ".", "GBP", "another currency"),
        ("five", ".", "GBP", "no number"),
        ("", ".", "GBP", "no number"),
        (True, ".", "GBP", "no number"),
        (float("nan"), ".", "GBP", "not finite"),
        ("1e99", ".", "GBP", "out of range"),
        (10**40, ".", "GBP", "out of range"),
        ([1], ".", "GBP", "no number"),
    ],
    ids=repr,
)
def test_other_money_is_refused(written: Any, mark: str, currency: str, reason: str) -> None:
    with pytest.raises(Fault) as refused:
        amount("price", written, mark, currency, minor=False)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("currency", "found"), [("GBP", "19.99"), ("JPY", "1999"), ("KWD", "1.999"), ("CLF", "0.1999")]
)
def test_minor_units_have_the_digits_of_their_currency(currency: str, found: str) -> None:
    assert amount("price", 1999, ".", currency, minor=True) == Decimal(found)


def test_converted_money_is_rounded_half_to_even() -> None:
    assert converted(Decimal("0.05"), Decimal("0.5"), "GBP") == Decimal("0.02")
    assert converted(Decimal("100.50"), Decimal(150), "JPY") == Decimal(15075)


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=2))
def test_thousands_and_marks_change_no_value(money: Decimal) -> None:
    english = f"{money:,.2f}"
    german = english.translate(str.maketrans(",.", ".,"))
    assert number("x", english, ".") == money
    assert number("x", german, ",") == money
    assert Decimal(repr(plain(money))) == money


def test_the_list_has_every_kind_of_exponent() -> None:
    assert {EXPONENT_OF[code] for code in ("GBP", "JPY", "BHD", "UYW")} == {0, 2, 3, 4}
    assert len(EXPONENT_OF) > 160
