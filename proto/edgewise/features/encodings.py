"""Declared features that write something else as a number: codes, hashes, traits, crosses, the place in a list.

What is written is named by its path, as in rules: `item.NAME` (an attribute of the candidate), `context.FIELD`,
`profile.traits.NAME`. A code says which of several values it is and no more: no value is larger than another, so that
trees split by sets of codes (LightGBM's categorical features), never by a threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta

from edgewise.attributes import is_context_field
from edgewise.consent import Purpose
from edgewise.features.base import BaseFeature

MOST_VALUES: Final = 10_000
MOST_BUCKETS: Final = 65_536
MOST_HASHED: Final = 2_000
"""Characters of a text that are hashed. A page's fields are no longer; its attributes may fill a whole request, whose
hash would cost milliseconds, and which nobody should have to remember."""
MOST_CODES: Final = 1 << 24
"""Float32 holds every whole number up to here."""
ITEM: Final = "item."
CONTEXT: Final = "context."
TRAITS: Final = "profile.traits."


class Code(BaseFeature, frozen=True, kw_only=True, tag="code"):
    """Which of the declared `values` it is: 0 for the first, in their order.

    Of a list, the first of its values that is declared. Numbers, true and false are compared as they are written
    (`3`, `true`). NaN where there is none, or none that is declared: to a model that was trained, a value of tomorrow
    is as unknown as no value.
    """

    of: str
    values: Annotated[tuple[str, ...], Meta(min_length=1, max_length=MOST_VALUES)]


class Hash(BaseFeature, frozen=True, kw_only=True, tag="hash"):
    """A bucket from 0 to `buckets` - 1, by FNV-1a of the text; NaN where there is none. Of a list, its first value.

    Texts that begin with the same 2,000 characters are the same.
    For what has too many values to declare, or new ones every day: unlike values may share a bucket (Weinberger et al.
    2009, "Feature hashing for large scale multitask learning").
    """

    of: str
    buckets: Annotated[int, Meta(ge=2, le=MOST_BUCKETS)]


class TraitValue(BaseFeature, frozen=True, kw_only=True, tag="trait_value"):
    """A numeric trait of the visitor, such as a vendor's score (`score.NAME`); NaN where it is missing or no number."""

    trait: str


class TraitIs(BaseFeature, frozen=True, kw_only=True, tag="trait_is"):
    """1 if the visitor's trait is `value`, else 0."""

    trait: str
    value: str


class Cross(BaseFeature, frozen=True, kw_only=True, tag="cross"):
    """Two other features of the table at once; NaN where either is missing.

    `product`: one times the other, NaN beyond float32. `pair`: of two codes or hashes, which pair it is, a code again:
    the first one's code times the number of the second one's codes, plus the second one's code.
    """

    of: tuple[str, str]
    how: Literal["product", "pair"] = "product"


class Position(BaseFeature, frozen=True, kw_only=True, tag="position"):
    """The slot in which the item was shown, from 1: for training only.

    People look at the first slots whatever stands there. A model that is told the slot at training need not credit the
    item with it; at serving every candidate is in the same slot, `serve_as`, so that only the items differ.
    """

    serve_as: Annotated[float, Meta(ge=1, le=1_000)] = 1.0
    purpose: Purpose | None = None


Coded = Code | Hash
"""Features whose numbers are names."""


def codes_of(feature: BaseFeature) -> int | None:
    """How many different codes a code or a hash has; None for any other feature."""
    match feature:
        case Code(values=values):
            return len(values)
        case Hash(buckets=buckets):
            return buckets
        case _:
            return None


def is_categorical(feature: BaseFeature) -> bool:
    """Whether its numbers are names, so that trees must split them by sets."""
    return isinstance(feature, Coded) or (isinstance(feature, Cross) and feature.how == "pair")


def is_source(path: str) -> bool:
    """Whether a code can be made of this path."""
    for prefix in (ITEM, TRAITS):
        if path.startswith(prefix):
            return len(path) > len(prefix)
    return path.startswith(CONTEXT) and is_context_field(path.removeprefix(CONTEXT))


def wrong_cross(feature: Cross, declared: Mapping[str, BaseFeature]) -> str | None:
    """What is wrong with a cross of a table's features by name; None where nothing is."""
    parts = [declared.get(name) for name in feature.of]
    for name, part in zip(feature.of, parts, strict=True):
        if part is None:
            return f"there is no feature {name!r} to cross"
        if isinstance(part, Cross):
            return f"{name!r} is a cross itself; cross the features that it is made of"
    if feature.how == "product":
        return None
    sizes = [None if part is None else codes_of(part) for part in parts]
    pairs = 1
    for name, size in zip(feature.of, sizes, strict=True):
        if size is None:
            return f"{name!r} is neither a code nor a hash; only these make pairs"
        pairs *= size
    return None if pairs <= MOST_CODES else f"{pairs:,} pairs, at most {MOST_CODES:,} can be told apart"
