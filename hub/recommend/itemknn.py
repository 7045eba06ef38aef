"""Item-kNN: items are alike when the same users have them (Sarwar, Karypis, Konstan, Riedl 2001, WWW)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgewise.errors import InputError
from hub.recommend.interactions import Matrix


def fit(history: Matrix, *, neighbours: int, shrink: float) -> npt.NDArray[np.float64]:
    """Items x items, diagonal 0: cosine with shrinkage, x_i . x_j / (|x_i| |x_j| + shrink).

    `shrink` takes the word from pairs that few users vouch for. Of each scored item (column) only the `neighbours`
    most alike speak, ties to the lower code: what is a little alike to everything would only say what is popular.

    Raises InputError for fewer than 1 neighbour or a shrinkage below 0.
    """
    if neighbours < 1:
        raise InputError(f"neighbours is {neighbours}, expected 1 or more")
    if not (np.isfinite(shrink) and shrink >= 0):
        raise InputError(f"shrink is {shrink:g}, expected a number of 0 or more")
    together = (history.T @ history).toarray()
    length = np.sqrt(np.diag(together))
    below = np.outer(length, length) + shrink
    alike: npt.NDArray[np.float64] = np.divide(together, below, out=np.zeros_like(together), where=below > 0)
    np.fill_diagonal(alike, 0.0)
    if neighbours < len(alike):
        order = np.argsort(-alike, axis=0, kind="stable")
        np.put_along_axis(alike, order[neighbours:], 0.0, axis=0)
    return alike
