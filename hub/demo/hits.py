"""Hit rate at ten with its interval: how often the film that was liked next was among the ten that were shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from hub.demo.visitors import Hit
from hub.evaluation.bootstrap import percentile_interval, resampled_sums
from hub.evaluation.logged import Floats

RESAMPLES: Final = 2_000
SEED: Final = 20


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
    sums = sums_of(counts)
    return HitRates(len(visitors), len(hits), rate_of(sums[:, 1] / sums[:, 0]), rate_of(sums[:, 2] / sums[:, 0]))


def sums_of(counts: Floats) -> Floats:
    """(1 + RESAMPLES, k): sums of `counts` (people, k) over everybody, then over people drawn with replacement."""
    drawn = resampled_sums(counts, RESAMPLES, np.random.default_rng(SEED))
    return np.concatenate([counts.sum(axis=0, keepdims=True), drawn])


def rate_of(samples: Floats) -> Rate:
    """Of the point, which comes first, and its resamples."""
    return Rate(float(samples[0]), *percentile_interval(samples[1:]))


def told(rate: Rate) -> str:
    """For people."""
    return f"{rate.estimate:.3f} [{rate.ci_low:.3f}, {rate.ci_high:.3f}]"
