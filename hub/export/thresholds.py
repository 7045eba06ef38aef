"""Float64 split thresholds, made exact for float32 inputs.

LightGBM compares `float64(x) <= t`. A graph compares `x <= s` in float32. Both agree on every float32 `x` if
and only if `s` is the largest float32 that is not above `t`. Rounding `t` to the *nearest* float32, as the
usual converters do, sends the inputs between `t` and `s` down the wrong branch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgewise.errors import ModelRefused

ZERO_BAND = np.float32(1e-35)
"""LightGBM reads every |x| <= 1e-35 as 0 when it predicts (`kZeroThreshold`, compared as float32)."""


def round_down(thresholds: ArrayLike) -> NDArray[np.float32]:
    """The largest float32 at or below each float64 threshold.

    Above the float32 range the answer is the largest finite float32 (infinity stays above it, as in LightGBM),
    below it is -inf. Exact for subnormal results, and -0.0 becomes 0.0, so that equal models have equal bytes.

    Raises:
        ModelRefused: a threshold is NaN.
    """
    exact = np.asarray(thresholds, dtype=np.float64)
    if np.isnan(exact).any():
        raise ModelRefused("nan-threshold", "a split threshold is NaN; expected a number")
    with np.errstate(over="ignore", under="ignore"):
        nearest = exact.astype(np.float32)
        below = np.nextafter(nearest, np.float32(-np.inf), dtype=np.float32)
    rounded = np.where(nearest.astype(np.float64) > exact, below, nearest)
    return rounded + np.float32(0.0)


def numeric_splits(thresholds: ArrayLike) -> NDArray[np.float32]:
    """Float32 splits for which `x <= split` decides exactly as LightGBM does on float32 `x`.

    On top of `round_down` this answers for the zero band: LightGBM predicts with f(x) = 0 where |x| <= 1e-35,
    else x. For a threshold in [-1e-35, 0) no member of the band passes, for one in [0, 1e-35) all of it does.
    It matters in practice, because LightGBM itself puts thresholds on the two edges of the band.
    """
    exact = np.asarray(thresholds, dtype=np.float64)
    splits = round_down(exact)
    under_the_band = np.nextafter(-ZERO_BAND, np.float32(-np.inf), dtype=np.float32)
    band = float(ZERO_BAND)
    splits = np.where((exact >= -band) & (exact < 0.0), under_the_band, splits)
    return np.where((exact >= 0.0) & (exact < band), ZERO_BAND, splits).astype(np.float32)
