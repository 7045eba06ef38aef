"""Which of some locales a reader gets: his own, else his language, else what is for everybody."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

EVERYBODY: Final = ""
_MOST: Final = 35
"""Characters of a tag that is looked at (RFC 5646, 4.4.1)."""


def best_locale(asked: str, known: Container[str]) -> str:
    """The most particular of `known` that fits: `de-AT` is offered `de-AT`, `de`, then what is for everybody.

    Case and `_` for `-` make no difference in what is asked; `known` are written `de` or `de-AT`.
    """
    tag = asked[:_MOST].replace("_", "-").strip("-")
    language, *others = tag.split("-")
    parts = [language.lower(), *(part.upper() if len(part) == 2 else part for part in others)]  # noqa: PLR2004  # a region
    for end in range(len(parts), 0, -1):
        candidate = "-".join(parts[:end])
        if candidate in known:
            return candidate
    return EVERYBODY
