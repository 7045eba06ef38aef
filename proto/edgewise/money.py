"""Amounts in minor units, by ISO 4217: 12.5 are 1250 cents, but there is no half yen, and a dinar has 1,000 fils."""

from __future__ import annotations

from typing import Final

SITE_CURRENCY: Final = "USD"
"""What a site counts in that says nothing, as Segment's e-commerce specification has it."""
_DIGITS: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
"""ISO 4217 list one, where the minor unit is not a hundredth."""
_DIGITS_OF: Final = {code: digits for digits, codes in _DIGITS.items() for code in codes.split()}


def digits_of(currency: str) -> int:
    """How many decimals a currency's amounts have; 2 for a code that the list does not know."""
    return _DIGITS_OF.get(currency, 2)


def minor_units(amount: float, currency: str) -> int:
    """An amount in its currency's minor unit, rounded half to even."""
    scale: int = 10 ** digits_of(currency)
    return round(amount * scale)


def is_code(text: str) -> bool:
    """Whether a text has the form of an ISO 4217 code, such as `EUR`."""
    return len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()  # noqa: PLR2004  # letters
