"""Hit rate at ten with its interval: how often the film that was liked next was among the ten that were shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from hub.demo.visitors import Hit

RESAMPLES: Final = 2_000
SEED: Final = 20
CONFIDENCE: Final = 0.95


class Rate(msgspec.Struct, frozen=True):
    """A share in [0, 1] with its 95 % interval."""

    estimate: float
    ci_low: float
    ci_high: float


class HitRates(msgspec.Struct, frozen=True):
    """Champion and challenger asked about the same events."""

    visitors: int
    events: int
    champion: Rate
    challenger: Rate


def hit_rates(hits: Sequence[Hit]) -> HitRates:
    """Rates over events, intervals by the percentile bootstrap over visitors (Efron 1979).

    Visitors are resampled whole: the events of one visitor are not independent of each other.
    """
    visitors = sorted({hit.visitor for hit in hits})
    row_of = {visitor: row for row, visitor in enumerate(visitors)}
    counts = np.zeros((len(visitors), 3))
    for hit in hits:
        counts[row_of[hit.visitor]] += (1, hit.champion, hit.challenger)
    drawn = np.random.default_rng(SEED).integers(len(visitors), size=(RESAMPLES, len(visitors)))
    resampled = np.stack([counts[rows].sum(axis=0) for rows in drawn])
    return HitRates(len(visitors), len(hits), _rate(counts, resampled, 1), _rate(counts, resampled, 2))


def _rate(counts: npt.NDArray[np.float64], resampled: npt.NDArray[np.float64], column: int) -> Rate:
    totals = counts.sum(axis=0)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled[:, column] / resampled[:, 0], [tail, 1 - tail])
    return Rate(float(totals[column] / totals[0]), float(low), float(high))
