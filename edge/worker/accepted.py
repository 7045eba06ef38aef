"""Which of two media types a caller would rather have (RFC 9110, 12.5.1)."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

MOST_RANGES: Final = 32
"""Of a header that are looked at; browsers send four to eight."""


class Wanted(NamedTuple):
    """How much a type is wanted; the more exact name decides between two that are wanted alike."""

    quality: float
    """From 0, not at all, to 1."""
    exactness: int


def wanted(accept: bytes, media: str) -> Wanted:
    """What the most exact range says that names `media`, which is written in small letters.

    >>> wanted(b"text/*;q=0.5, */*;q=0.1", "text/html")
    Wanted(quality=0.5, exactness=1)
    """
    kind = media.partition("/")[0]
    exactness = {media: 2, f"{kind}/*": 1, "*/*": 0}
    best = Wanted(0.0, -1)
    for part in accept.decode("latin-1").lower().split(",")[:MOST_RANGES]:
        name, *parameters = [piece.strip() for piece in part.split(";")]
        exact = exactness.get(name, -1)
        if exact > best.exactness:
            best = Wanted(_quality(parameters), exact)
    return best


def prefers(accept: bytes, media: str, to: str) -> bool:
    """Whether `media` is wanted more than the type `to`, which is given where both are wanted alike."""
    asked = wanted(accept, media)
    return asked.quality > 0.0 and asked > wanted(accept, to)


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                said = float(value)
            except ValueError:
                return 0.0
            return min(max(said, 0.0), 1.0) if math.isfinite(said) else 0.0
    return 1.0
