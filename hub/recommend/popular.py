"""Popularity: the same list for everybody, and the baseline that anything personal must beat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hub.recommend.interactions import Matrix


def fit(history: Matrix) -> npt.NDArray[np.float64]:
    """Per item how many users have it (with weights: the sum of the weights)."""
    return np.asarray(history.sum(axis=0), dtype=np.float64).ravel()
