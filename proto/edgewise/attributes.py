"""What an attribute means as a number, as text, and as one of several values.

Attributes come from people's catalogues, from pages and over two codecs, so every function here takes anything that
these can hold and answers "missing" (NaN, nothing, False) for what it cannot use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from typing_extensions import TypeIs

from edgewise.request import Context

Attribute = str | int | float | bool | Sequence[str] | None
"""The value of an attribute of an item or a page; None is missing."""

FLOAT32_MAX: Final = 3.4028234663852886e38
_EXACT: Final = 1 << 53


def number_of(value: Attribute) -> float:
    """The value as a number: true is 1, false is 0; NaN for text, lists, and what does not fit a finite float32."""
    if isinstance(value, bool):
        return 1.0 if value else 0.0
    if not isinstance(value, (int, float)):
        return math.nan
    # The comparison is made before the conversion, because an int may be too large to become a float at all.
    return float(value) if -FLOAT32_MAX <= value <= FLOAT32_MAX else math.nan


def is_number(value: object) -> TypeIs[int | float]:
    """Whether the value is a number by itself: neither true nor false, nor text that reads as one."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def whole(number: float) -> int | float:
    """A whole number as people write it: 3, not 3.0. Above 2^53 a float is no longer every whole number, and stays."""
    return int(number) if not isinstance(number, int) and number.is_integer() and abs(number) < _EXACT else number


def texts_of(value: Attribute) -> tuple[str, ...]:
    """The values of a dimension: a text alone, or each different text of a list, in its order; blanks are none."""
    if isinstance(value, str):
        return (value,) if value else ()
    if isinstance(value, (list, tuple)):
        return tuple(dict.fromkeys(text for text in value if isinstance(text, str) and text))
    return ()


def is_or_contains(value: Attribute, text: str) -> bool:
    """Whether `value` is what `text` writes, or a list that contains it.

    `true` and `false` write the booleans; a number equals every text that reads as the same number.
    """
    if isinstance(value, str):
        return value == text
    if isinstance(value, bool):
        return text == ("true" if value else "false")
    if isinstance(value, (int, float)):
        try:
            return float(text) == value
        except ValueError:
            return False
    return value is not None and text in value


_READERS: Final[dict[str, Callable[[Context], str]]] = {
    "page.path": lambda context: context.page.path,
    "page.referrer": lambda context: context.page.referrer,
    "page.url": lambda context: context.page.url,
    "page.title": lambda context: context.page.title,
    "device.type": lambda context: context.device.type,
    "locale": lambda context: context.locale,
    "timezone": lambda context: context.timezone,
    "geo.country": lambda context: context.geo.country,
    "network.type": lambda context: context.network.type,
}
CONTEXT_FIELDS: Final = tuple(_READERS)
"""Fields of the context by name; `attributes.NAME` names one of its attributes."""
ATTRIBUTE_PREFIX: Final = "attributes."


def is_context_field(field: str) -> bool:
    """Whether `context_field` knows the name."""
    return field in CONTEXT_FIELDS or (field.startswith(ATTRIBUTE_PREFIX) and len(field) > len(ATTRIBUTE_PREFIX))


def context_field(context: Context, field: str) -> Attribute:
    """A field of the context; None where the page says nothing (a blank text says nothing) or no such field exists."""
    if field.startswith(ATTRIBUTE_PREFIX):
        return context.attributes.get(field.removeprefix(ATTRIBUTE_PREFIX))
    read = _READERS.get(field)
    return None if read is None else read(context) or None
