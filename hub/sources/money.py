"""Numbers and money as exports write them: separators, signs, minor units. Exact decimals, never through binary."""

from __future__ import annotations

import math
import re
import unicodedata
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from edgewise.money import digits_of
from hub.sources.fault import Fault

# ISO 4217 list one (six-group.com, maintenance agency): active currencies.
_CODES: Final = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF "
    "CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF "
    "IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN "
    "MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS "
    "SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG "
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF BHD IQD JOD KWD LYD OMR TND CLF UYW"
)
EXPONENT_OF: Final[dict[str, int]] = {code: digits_of(code) for code in _CODES.split()}
"""ISO 4217 code -> digits of the minor unit."""
_SIGN_OF: Final = {"£": ("GBP",), "€": ("EUR",), "¥": ("JPY", "CNY"), "₹": ("INR",), "₩": ("KRW",), "₽": ("RUB",)}
"""Signs of one or two currencies; `$` and others are of too many to contradict anything."""
_PLAIN: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?")
_CODE: Final = re.compile(r"^([A-Z]{3})\s*(?=[-+(.\d])|(?<=[\d)])\s*([A-Z]{3})$")
_BLANKS: Final = dict.fromkeys(map(ord, " \u00a0\u202f\u2009'\u2019"))
_MOST: Final = Decimal(10) ** 18
_MOST_DIGITS: Final = 19
_MOST_WRITTEN_DIGITS: Final = 40


def number(column: str, value: Any, mark: str) -> Decimal:
    """A number, with thousands separators or without. Raises Fault."""
    if isinstance(value, bool):
        raise _no_number(column, value, mark)
    if isinstance(value, int):
        found = Decimal(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise Fault(column, value, "not finite", "a number")
        found = Decimal(repr(value))
    elif isinstance(value, Decimal):
        found = value
    elif isinstance(value, str):
        text = _ungrouped(value.strip().replace("\u2212", "-"), mark)
        if text is None:
            raise _no_number(column, value, mark)
        found = Decimal(text)
    else:
        raise _no_number(column, value, mark)
    if not found.is_finite() or found.adjusted() >= _MOST_DIGITS or abs(found) > _MOST:
        raise Fault(column, value, "out of range", "a number of at most 18 digits")
    return found


def amount(column: str, value: Any, mark: str, currency: str | None, *, minor: bool) -> Decimal:
    """Money: a number that may wear its currency, and brackets for a minus. Raises Fault."""
    if isinstance(value, str):
        value = _undressed(column, value.strip(), currency)
    found = number(column, value, mark)
    return found.scaleb(-EXPONENT_OF.get(currency or "", 2)) if minor else found


def converted(money: Decimal, rate: Decimal, currency: str) -> Decimal:
    """Money in another currency, rounded half to even to its minor unit."""
    return (money * rate).quantize(Decimal(1).scaleb(-EXPONENT_OF.get(currency, 2)), ROUND_HALF_EVEN)


def plain(value: Decimal) -> int | float:
    """As JSON would have it; a whole number is an integer, but for one that no 64 bits hold."""
    # asked first: the digits of 1e99999999 would be made for hours
    is_short = value.adjusted() < _MOST_DIGITS
    return int(value) if is_short and value == value.to_integral_value() else float(value)


def json_number(text: str) -> Decimal | float:
    """A number of JSON with all of its digits, as far as any honest one goes; beyond that as near as a float is."""
    found = Decimal(text)
    is_short = abs(found.adjusted()) < _MOST_WRITTEN_DIGITS and len(text) < 2 * _MOST_WRITTEN_DIGITS
    return found if is_short else float(text)


def _ungrouped(text: str, mark: str) -> str | None:
    """The text with a decimal point and no separators; None for what is no number."""
    if mark == "." and _PLAIN.fullmatch(text):
        return text
    separator = "," if mark == "." else "."
    whole, point, fraction = text.translate(_BLANKS).partition(mark)
    if separator in whole:
        first, *groups = whole.lstrip("+-").split(separator)
        if not 1 <= len(first) <= 3 or any(len(group) != 3 for group in groups):  # noqa: PLR2004  # thousands
            return None
        whole = whole.replace(separator, "")
    joined = f"{whole}.{fraction}" if point else whole
    return joined if _PLAIN.fullmatch(joined) else None


def _undressed(column: str, text: str, currency: str | None) -> str:
    dressed = text
    negative = text.startswith("(") and text.endswith(")")
    text = text[1:-1].strip() if negative else text
    found = _CODE.search(text)
    if found is not None:
        code = found[1] or found[2]
        if currency is not None and code != currency:
            raise Fault(column, dressed, "another currency", f"money in {currency}")
        text = (text[: found.start()] + text[found.end() :]).strip()
    kept = []
    for character in text:
        if unicodedata.category(character) == "Sc":
            if currency is not None and currency not in _SIGN_OF.get(character, (currency,)):
                raise Fault(column, dressed, "another currency", f"money in {currency}")
        else:
            kept.append(character)
    text = "".join(kept).strip()
    return f"-{text}" if negative else text


def _no_number(column: str, value: Any, mark: str) -> Fault:
    return Fault(column, value, "no number", f"a number with `{mark}` before its decimals")
