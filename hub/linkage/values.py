"""One way to write each value, so that equal ones are equal: blanks, case, accents, dates, digits."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final, Literal

DateOrder = Literal["day first", "month first"]

_EMPTY: Final = frozenset({"", "-", "n/a", "na", "nan", "none", "null", "unknown", "?"})
_ISO: Final = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ].*)?")
_COMPACT: Final = re.compile(r"(\d{4})(\d{2})(\d{2})")
_LOCAL: Final = re.compile(r"(\d{1,2})([-/.])(\d{1,2})[-/.](\d{4})")
_YEAR: Final = re.compile(r"\d{4}")
_LEAST_DIGITS: Final = 6
_MOST_DIGITS: Final = 9
_MONTHS: Final = 12


def plain(value: str) -> str | None:
    """Without outer and doubled blanks, case and accents; None when nothing is said ("unknown", "n/a")."""
    folded = unicodedata.normalize("NFKD", value).casefold()
    text = " ".join("".join(mark for mark in folded if not unicodedata.combining(mark)).split())
    return None if text in _EMPTY else text


def email(value: str) -> str | None:
    """Lower case without blanks; a damaged address stays as it is, since half of it may still speak."""
    text = plain(value)
    return None if text is None else text.replace(" ", "")


def phone(value: str) -> str | None:
    """The last nine digits: what is left when country code and trunk zero are written in different ways."""
    digits = re.sub(r"\D", "", value)
    return digits[-_MOST_DIGITS:] if len(digits) >= _LEAST_DIGITS else None


def postcode(value: str) -> str | None:
    """Without case; the blank within stays, because it parts area from street."""
    return plain(value.replace("-", " "))


def date_order(values: Iterable[str]) -> DateOrder:
    """How a column writes `1/2/1990`: month first where some second number cannot be a month, else day first."""
    month_first = day_first = 0
    for value in values:
        local = _LOCAL.fullmatch(value.strip())
        if local is not None:
            day_first += int(local[1]) > _MONTHS
            month_first += int(local[3]) > _MONTHS
    return "month first" if month_first > day_first else "day first"


def date(value: str, order: DateOrder = "day first") -> str | None:
    """`yyyy-mm-dd`, also for impossible dates: one wrong digit is what a comparison must be able to see.

    A year alone reads as its 1 January, as registers write it. What is no date stays plain text.
    """
    text = plain(value)
    if text is None:
        return None
    text = text.upper()
    if (iso := _ISO.fullmatch(text) or _COMPACT.fullmatch(text)) is not None:
        year, month, day = iso[1], iso[2], iso[3]
    elif (local := _LOCAL.fullmatch(text)) is not None:
        year = local[4]
        month, day = (local[1], local[3]) if order == "month first" and local[2] == "/" else (local[3], local[1])
    elif _YEAR.fullmatch(text):
        year, month, day = text, "1", "1"
    else:
        return text.lower()
    return f"{year}-{int(month):02}-{int(day):02}"


def area(code: str) -> str:
    """The coarse part of a postcode: before its blank, else its first three characters."""
    head, blank, _ = code.partition(" ")
    return head if blank else code[:3]
