"""How far one stretch of time is from all the others, by one column; in units of what chance alone brings. Pure.

Each statistic treats all stretches alike: it is computed for every one of them against the rest, with bins that come
from all of them. That makes the ranks of `alarms` exact.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hub.monitor.windows import Floats, Ints

BINS: Final = 10
GRID: Final = 200
"""Points at which distribution functions are compared."""
_HALF: Final = 0.5
"""Added to every count, so that an empty bin does not make the index infinite (Jeffreys' prior)."""


def psi(values: NDArray[np.floating], window: Ints, count: int) -> Floats:
    """(count,) Population stability index of each stretch against the others, divided by its mean under chance.

    The index is the sum over bins of (p - q) log(p / q), Jeffreys' divergence (Siddiqi 2006, Credit Risk Scorecards).
    Bins are tenths of all values, or the values themselves where there are few, and one for missing ones. Of n and N
    independent rows its mean is (bins - 1) (1/n + 1/N) (Yurdakul 2018), which is 1 here. 0 where a stretch is empty.
    """
    counts = _counts(_bin(values), window, count)
    bins = counts.shape[1]
    if bins < 2:  # noqa: PLR2004  # one value: nothing to compare
        return np.zeros(count)
    own, rest = counts.sum(axis=1), counts.sum() - counts.sum(axis=1)
    p = (counts + _HALF) / (own + _HALF * bins)[:, None]
    q = (counts.sum(axis=0) - counts + _HALF) / (rest + _HALF * bins)[:, None]
    index = np.sum((p - q) * np.log(p / q), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = (bins - 1) * (1 / own + 1 / rest)
        return np.asarray(np.where((own > 0) & (rest > 0), index / chance, 0.0), np.float64)


def plain_psi(values: NDArray[np.floating], window: Ints, count: int) -> float:
    """The index of the latest stretch as tables of others give it, not divided by anything."""
    counts = _counts(_bin(values), window, count)
    bins = counts.shape[1]
    own, rest = counts[0], counts[1:].sum(axis=0)
    if not own.sum() or not rest.sum():
        return float("nan")
    p = (own + _HALF) / (own.sum() + _HALF * bins)
    q = (rest + _HALF) / (rest.sum() + _HALF * bins)
    return float(np.sum((p - q) * np.log(p / q)))


def ks(values: NDArray[np.floating], window: Ints, count: int) -> Floats:
    """(count,) Kolmogorov and Smirnov's statistic of each stretch against the others, times sqrt(nN / (n + N)).

    Scaled so, its distribution under chance does not depend on the sizes. Compared at 200 quantiles of all values;
    missing ones are left out, `psi` counts them. 0 where a stretch has no value.
    """
    known = ~np.isnan(values) & (window >= 0) & (window < count)
    if not known.any():
        return np.zeros(count)
    kept, at = values[known], window[known]
    grid = np.unique(np.quantile(kept, np.linspace(0, 1, GRID + 1), method="inverted_cdf"))
    counts = _counts(np.searchsorted(grid, kept, side="left"), at, count, bins=len(grid))
    own = counts.sum(axis=1, keepdims=True)
    rest = counts.sum() - own
    below = np.cumsum(counts, axis=1)
    others = below.sum(axis=0) - below
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.abs(below / own - others / rest).max(axis=1)
        scaled = apart * np.sqrt(own * rest / (own + rest))[:, 0]
    return np.asarray(np.nan_to_num(scaled, nan=0.0), np.float64)


def miscalibration(score: Floats, outcome: NDArray[np.bool_], window: Ints, count: int) -> tuple[Floats, Floats]:
    """((count,), (count,)) How many outcomes came in each stretch, and how many its scores let expect.

    What a score lets expect is the share that came of like scores, in tenths of all of them, in the other stretches.
    That works for any score that orders, a probability or not.
    """
    place = _bin(score)
    bins = int(place.max(initial=0)) + 1
    shown = _counts(place, window, count, bins=bins)
    came = _counts(place[outcome], window[outcome], count, bins=bins)
    rest_shown, rest_came = shown.sum(axis=0) - shown, came.sum(axis=0) - came
    share = (rest_came + _HALF) / (rest_shown + 2 * _HALF)
    return came.sum(axis=1), (shown * share).sum(axis=1)


def _bin(values: NDArray[np.floating]) -> Ints:
    """(rows,) 0 is missing; then the values themselves, or tenths."""
    known = ~np.isnan(values)
    distinct = np.unique(values[known])
    if len(distinct) > BINS:
        inner = np.quantile(values[known], np.linspace(0, 1, BINS + 1)[1:-1], method="inverted_cdf")
        distinct = np.unique(inner)
    return np.where(known, np.searchsorted(distinct, values, side="left") + 1, 0).astype(np.int64)


def _counts(place: Ints, window: Ints, count: int, *, bins: int | None = None) -> Floats:
    """(count, bins) Rows by stretch and bin; bins that nobody is in are left out, unless their number is said."""
    kept = (window >= 0) & (window < count)
    width = (int(place.max(initial=0)) + 1) if bins is None else bins
    table = np.bincount(window[kept] * width + place[kept], minlength=count * width).reshape(count, width)
    return (table[:, table.any(axis=0)] if bins is None else table).astype(np.float64)
