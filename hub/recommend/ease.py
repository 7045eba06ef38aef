"""EASE: item-to-item weights in closed form.

Steck 2019, Embarrassingly Shallow Autoencoders for Sparse Data, WWW, arXiv 1905.03375.

The weights minimise |X - XB|^2 + lambda |B|^2 under diag(B) = 0: with P the inverse of X'X + lambda I they are
B[i, j] = -P[i, j] / P[j, j] off the diagonal.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from edgewise.errors import InputError
from hub.recommend.interactions import Matrix

ITEMS_AT_MOST: Final = 20_000
"""The inverse of an items x items matrix of float64: 3.2 GB each for it and its inverse."""

Weights = npt.NDArray[np.float64]
"""Items x items: row = an item of the history, column = the item that is scored."""


def fit(history: Matrix, *, l2: float) -> Weights:
    """The weights of a users x items matrix.

    Raises InputError for `l2` (the paper's lambda) that is not above 0, or more than 20,000 items.
    """
    if not (np.isfinite(l2) and l2 > 0):
        raise InputError(f"lambda is {l2:g}, expected a number above 0")
    items = history.shape[1]
    if items > ITEMS_AT_MOST:
        raise InputError(
            f"ease inverts a matrix of items x items: {items:,} items need {items**2 * 16 / 1e9:.0f} GB, "
            f"at most {ITEMS_AT_MOST:,} are taken"
        )
    gram = (history.T @ history).toarray()
    gram[np.diag_indices(items)] += l2
    inverse = np.linalg.inv(gram)
    weights: Weights = inverse / -np.diag(inverse)
    weights[np.diag_indices(items)] = 0.0
    return weights


def scores(history: Matrix, weights: Weights) -> npt.NDArray[np.float64]:
    """Users x items: for each item the sum of the weights from the user's items to it.

    A visitor who was not there at fitting is scored just so, by the items of the moment.
    """
    return np.asarray(history @ weights)
