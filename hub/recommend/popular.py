"""Popularity: the same list for everybody, and the baseline that anything personal must beat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgewise.errors import InputError
from hub.recommend.interactions import Matrix


def fit(history: Matrix) -> npt.NDArray[np.float64]:
    """Per item how many users have it (with weights: the sum of the weights)."""
    return np.asarray(history.sum(axis=0), dtype=np.float64).ravel()


def fit_decayed(moments: Matrix, *, half_life: float) -> npt.NDArray[np.float64]:
    """Per item how many users have it, each counting half as much per `half_life` before the latest use of all.

    `moments` as `interactions.moments`; `half_life` in the unit of its times. What was loved last year gives way to
    what is used now, without a window over whose edge everything falls at once.

    Raises InputError for a half-life that is not above 0.
    """
    if not (np.isfinite(half_life) and half_life > 0):
        raise InputError(f"half_life is {half_life:g}, expected a number above 0, in the unit of the time column")
    faded = moments.copy()
    faded.data = 2.0 ** ((moments.data - moments.data.max(initial=0.0)) / half_life)
    return fit(faded)
