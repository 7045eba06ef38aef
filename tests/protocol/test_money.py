"""Minor units by ISO 4217."""

import pytest

from edgewise.money import is_code, minor_units


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [(12.34, "EUR", 1234), (500, "JPY", 500), (1.234, "KWD", 1234), (1.5, "CLF", 15_000), (9.99, "XYZ", 999)],
)
def test_an_amount_has_the_decimals_of_its_currency(amount: float, currency: str, minor: int) -> None:
    assert minor_units(amount, currency) == minor


@pytest.mark.parametrize("text", ["", "EU", "eur", "EURO", "E1R", "ÄÖÜ"])
def test_only_three_capital_letters_are_a_code(text: str) -> None:
    assert is_code("EUR")
    assert not is_code(text)
