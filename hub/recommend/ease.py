"""EASE: item-to-item weights in closed form, and what later papers add to it.

Steck 2019, Embarrassingly Shallow Autoencoders for Sparse Data, WWW, arXiv 1905.03375.

The weights minimise |X - XB|^2 + |L B|^2 under diag(B) = 0, L^2 being a diagonal of penalties: with P the inverse of
X'X + L^2 they are B[i, j] = -P[i, j] / P[j, j] off the diagonal. EASE's penalty is lambda for all items alike.
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


def fit(
    history: Matrix, *, l2: float, dropout: float = 0.0, user_power: float = 0.0, item_power: float = 0.0
) -> Weights:
    """The weights of a users x items matrix; all but `l2` (the paper's lambda) left at 0 is EASE itself.

    `dropout` p in [0, 1) adds p / (1 - p) times an item's own square sum to its penalty: the weights are those that
    would be learned if each cell of the history were dropped with probability p, over and over (EDLAE; Steck 2020,
    Autoencoders that don't overfit towards the Identity, NeurIPS). `user_power` a weighs a user with n items by n^-a,
    so that the few with long histories do not speak for all. `item_power` b multiplies an item's penalty by
    (square sum / mean square sum)^b: popular items, about which most is known, may be explained by less.

    Raises InputError for `l2` that is not above 0, another one out of its range, or more than 20,000 items.
    """
    if not (np.isfinite(l2) and l2 > 0):
        raise InputError(f"lambda is {l2:g}, expected a number above 0")
    if not 0 <= dropout < 1:
        raise InputError(f"dropout is {dropout:g}, expected a share from 0 to below 1")
    if not (np.isfinite(user_power) and np.isfinite(item_power)):
        raise InputError(f"user_power is {user_power:g} and item_power {item_power:g}, expected numbers")
    items = history.shape[1]
    if items > ITEMS_AT_MOST:
        raise InputError(
            f"ease inverts a matrix of items x items: {items:,} items need {items**2 * 16 / 1e9:.0f} GB, "
            f"at most {ITEMS_AT_MOST:,} are taken"
        )
    weighed = history if user_power == 0 else history * _user_weights(history, user_power)[:, None]
    gram = (history.T @ weighed).toarray()
    own = np.diag(gram).copy()
    # One more of each item: the penalty of an item that nobody used must not be 0, nor infinite.
    relative = (own + 1.0) / (own.mean() + 1.0)
    gram[np.diag_indices(items)] += l2 * relative**item_power + own * (dropout / (1.0 - dropout))
    inverse = np.linalg.inv(gram)
    weights: Weights = inverse / -np.diag(inverse)
    weights[np.diag_indices(items)] = 0.0
    return weights


def scores(history: Matrix, weights: Weights) -> npt.NDArray[np.float64]:
    """Users x items: for each item the sum of the weights from the user's items to it.

    A visitor who was not there at fitting is scored just so, by the items of the moment.
    """
    return np.asarray(history @ weights)


def _user_weights(history: Matrix, power: float) -> npt.NDArray[np.float64]:
    """Mean 1 over those who have anything, so that lambda means the same for each power."""
    count = np.diff(history.indptr).astype(np.float64)
    there = count > 0
    weights = np.where(there, np.maximum(count, 1.0) ** -power, 0.0)
    return np.asarray(weights * (there.sum() / max(float(weights.sum()), 1e-300)))
