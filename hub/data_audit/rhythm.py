"""Whether a source is late, by its own habit. Pure."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable
from typing import Final

import msgspec

DAY_MS: Final = 86_400_000
LEAST_DAYS: Final = 3
"""Fewer days with data show no habit."""
PATIENCE: Final = 3.0
"""Late is a silence of more than so many times the usual gap; the usual gap is a median, and weekends are two days."""


class Rhythm(msgspec.Struct, frozen=True):
    """When a source delivers."""

    days: int
    """Days with data."""
    newest_ms: int
    silent_days: float
    """From its newest data to now."""
    usual_days: float | None
    """Median gap between days with data; None: no habit is known."""
    stale: bool


def rhythm_of(days: Iterable[int], newest_ms: int, now_ms: int) -> Rhythm:
    """Of the days (since 1970) that a source has data of, at least one."""
    ordered = sorted(set(days))
    silent = max(0.0, (now_ms - newest_ms) / DAY_MS)
    if len(ordered) < LEAST_DAYS:
        return Rhythm(len(ordered), newest_ms, silent, None, stale=False)
    usual = float(statistics.median(after - before for before, after in itertools.pairwise(ordered)))
    return Rhythm(len(ordered), newest_ms, silent, usual, stale=silent > PATIENCE * usual)
