"""Several tests at once: p-values that may be held against one alpha again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

Key = TypeVar("Key")


class Correction(StrEnum):
    """What is kept below alpha."""

    HOLM = "holm"
    """The chance of any false finding (Holm 1979)."""
    BH = "bh"
    """The expected share of false ones among the findings (Benjamini, Hochberg 1995)."""
    NONE = "none"


def corrected(p_values: Mapping[Key, float], correction: Correction) -> dict[Key, float]:
    """Adjusted p-values of one family, never below their own; NaN stays, and is no test."""
    known = sorted((key for key, value in p_values.items() if not math.isnan(value)), key=p_values.__getitem__)
    raw = [p_values[key] for key in known]
    if correction is Correction.HOLM:
        raw = _holm(raw)
    elif correction is Correction.BH:
        raw = _benjamini_hochberg(raw)
    return dict(p_values) | dict(zip(known, raw, strict=True))


def _holm(ascending: Sequence[float]) -> list[float]:
    """Step down: the k-th smallest of m times m - k + 1, and never below one before it."""
    found: list[float] = []
    for place, value in enumerate(ascending):
        found.append(min(1.0, max(found[-1] if found else 0.0, value * (len(ascending) - place))))
    return found


def _benjamini_hochberg(ascending: Sequence[float]) -> list[float]:
    """Step up: the k-th smallest of m times m / k, and never above one after it."""
    found: list[float] = []
    for place in range(len(ascending), 0, -1):
        times = len(ascending) / place  # first, so that the largest is times exactly 1 and never falls by rounding
        found.append(min(found[-1] if found else 1.0, ascending[place - 1] * times))
    return found[::-1]
