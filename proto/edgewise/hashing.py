"""Who gets which arm: GrowthBook's deterministic bucketing, so that both sides of a migration agree.

Source: GrowthBook's SDK specification, "Build your own" (hash, getBucketRange, chooseVariation, inNamespace,
getEqualWeights), and FNV-1a, 32 bits (Fowler, Noll, Vo; draft-eastlake-fnv). Text is hashed as UTF-8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

_OFFSET_BASIS: Final = 0x811C9DC5
_PRIME: Final = 0x01000193
_MASK: Final = 0xFFFFFFFF
_SUM_TOLERANCE: Final = 0.01

NOBODY: Final = -1
"""The variation of a unit that is in no range."""


class BucketRange(NamedTuple):
    """Hash values from `start` (included) to `end` (excluded)."""

    start: float
    end: float


class Namespace(NamedTuple):
    """A slice of the population; experiments in disjoint slices of one namespace never share a unit."""

    name: str
    start: float
    end: float


def fnv1a32(text: str) -> int:
    """FNV-1a of the UTF-8 bytes of `text`, 32 bits."""
    value = _OFFSET_BASIS
    for byte in text.encode():
        value = (value ^ byte) * _PRIME & _MASK
    return value


def bucket(seed: str, unit: str, version: int) -> float | None:
    """Where a unit falls, in [0, 1): thousandths in version 1, ten-thousandths in version 2; None for any other.

    Version 1 is biased between experiments (its seed only trails the unit); version 2 hashes twice and is not.
    """
    match version:
        case 1:
            return fnv1a32(unit + seed) % 1_000 / 1_000
        case 2:
            return fnv1a32(str(fnv1a32(seed + unit))) % 10_000 / 10_000
        case _:
            return None


def equal_weights(count: int) -> list[float]:
    """`count` equal shares; none for a count below 1."""
    return [1 / count] * count if count > 0 else []


def bucket_ranges(count: int, coverage: float, weights: Sequence[float] | None) -> list[BucketRange]:
    """The range of every variation.

    Ranges start where they would without `coverage`, which only cuts their ends: raising it moves nobody from one
    arm to another. Coverage is clamped to [0, 1]. Weights that are missing, of another number, or do not sum to 1
    within 0.01 are replaced by equal ones.
    """
    coverage = min(1.0, max(0.0, coverage))
    if weights is None or len(weights) != count or abs(sum(weights) - 1) > _SUM_TOLERANCE:
        weights = equal_weights(count)
    ranges = []
    start = 0.0
    for weight in weights:
        ranges.append(BucketRange(start, start + coverage * weight))
        start += weight
    return ranges


def choose_variation(value: float, ranges: Sequence[BucketRange]) -> int:
    """The first variation whose range holds `value`; `NOBODY` where none does."""
    for variation, (start, end) in enumerate(ranges):
        if start <= value < end:
            return variation
    return NOBODY


def in_namespace(unit: str, namespace: Namespace) -> bool:
    """Whether a unit lies in the slice."""
    value = fnv1a32(unit + "__" + namespace.name) % 1_000 / 1_000
    return namespace.start <= value < namespace.end
