"""The nonparametric bootstrap (Efron 1979) of sums over units, vectorised.

Every estimator here is a function of a few sums over decisions, so a resample needs only the sums.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from hub.evaluation.logged import Floats

RESAMPLES: Final = 10_000
_GROUPS: Final = 16_384
_BLOCK_DRAWS: Final = 4_000_000  # 32 MB of indices at once
_MULTINOMIAL_COST: Final = 15  # drawing one binomial costs about that many random picks


def resampled_sums(parts: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """(resamples, k): sums of `parts` (units, k) over units drawn with replacement, as many as there are.

    Equal units are counted, not drawn one by one: few distinct ones need only a multinomial draw, which has the
    very same distribution. Above 16,384 units, equally large random groups of units are resampled instead; sums
    of exchangeable groups have the variance of the whole, known to 1/sqrt(2 x 16,384) = 0.6 % of it, and a
    million decisions take seconds.
    """
    units = len(parts)
    distinct, counts = np.unique(parts, axis=0, return_counts=True)
    if len(distinct) * _MULTINOMIAL_COST <= min(units, _GROUPS):
        return rng.multinomial(units, counts / units, size=resamples) @ distinct
    if units > _GROUPS:
        parts = _grouped(parts, rng)
    return _picked(parts, resamples, rng)


def percentile_interval(replicates: Floats, level: float = 0.95) -> tuple[float, float]:
    """The central interval of bootstrap replicates; those that are undefined (NaN) are left out.

    (NaN, NaN) when none is defined.
    """
    defined = replicates[~np.isnan(replicates)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _grouped(parts: Floats, rng: np.random.Generator) -> Floats:
    """(16,384, k): sums over random groups whose sizes differ by one unit at most."""
    starts = np.linspace(0, len(parts), _GROUPS, endpoint=False).astype(np.int64)
    return np.add.reduceat(parts[rng.permutation(len(parts))], starts, axis=0)


def _picked(parts: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    units, k = parts.shape
    sums = np.empty((resamples, k))
    columns = [np.ascontiguousarray(parts[:, column]) for column in range(k)]
    at_once = max(1, _BLOCK_DRAWS // units)
    for start in range(0, resamples, at_once):
        picks = rng.integers(units, size=(min(at_once, resamples - start), units), dtype=np.int32)
        for column, values in enumerate(columns):
            sums[start : start + len(picks), column] = values[picks].sum(axis=1)
    return sums
