"""From a value to its code. What a code is made of, an item, a page or a visitor, is `compile`'s and `constants`'."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from edgewise.attributes import Attribute, context_field
from edgewise.features.encodings import CONTEXT, ITEM, MOST_HASHED, TRAITS, Code, Coded, Hash
from edgewise.features.view import View
from edgewise.hashing import fnv1a32

Coder = Callable[[Attribute], float]
"""A value -> its code, NaN where it has none."""
_REMEMBERED = 4_096


def written(value: Attribute) -> tuple[str, ...]:
    """The value, or the values of a list, as they are written; blanks are none.

    A number that is whole is written without a point, whichever codec it came through.
    """
    match value:
        case None | "":
            return ()
        case bool():
            return ("true" if value else "false",)
        case str():
            return (value,)
        case int():
            return (str(value),)
        case float():
            return (str(int(value)) if value.is_integer() else str(value),)
        case _:
            return tuple(text for text in value if text)


def coder_of(feature: Coded) -> Coder:
    """How a feature codes a value."""
    match feature:
        case Code(values=values):
            code_of: dict[str, float] = {}
            for code, text in enumerate(values):
                code_of.setdefault(text, float(code))
            return lambda value: next((code_of[text] for text in written(value) if text in code_of), math.nan)
        case Hash(buckets=buckets):
            return lambda value: next(
                (float(_hashed(text[:MOST_HASHED]) % buckets) for text in written(value)), math.nan
            )


def item_attribute(feature: Coded) -> str | None:
    """The attribute of the candidate that is coded; None where the code is the same for every candidate."""
    return feature.of.removeprefix(ITEM) if feature.of.startswith(ITEM) else None


def source(view: View, path: str) -> Attribute:
    """A value of the page or the visitor, None where it is missing. Raises ValueError for any other path."""
    if path.startswith(CONTEXT):
        return context_field(view.context, path.removeprefix(CONTEXT))
    if path.startswith(TRAITS):
        return trait(view, path.removeprefix(TRAITS))
    raise ValueError(f"{path!r} is neither {CONTEXT}FIELD nor {TRAITS}NAME")


def trait(view: View, name: str) -> Attribute:
    """What the visitor's trait says; None without one."""
    stated = view.profile.traits.get(name)
    return None if stated is None else stated.value


@lru_cache(_REMEMBERED)
def _hashed(text: str) -> int:
    """A page's path is hashed at every request, byte by byte: remembered, not for its meaning but for its time."""
    return fnv1a32(text)
