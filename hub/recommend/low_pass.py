"""Item-to-item weights of a few broad tastes: what remains of a history when its fine detail is filtered out.

The ideal low-pass filter of graph filtering (GF-CF: Shen et al. 2021, How Powerful is Graph Convolution for
Recommendation?, CIKM, arXiv 2108.07567): with N = Du^-a X Di^-b, Du and Di being how much users and items have, and V
the leading `rank` right singular vectors of N, the weights are Di^-b V V' Di^b. The paper has a = b = 1/2. EASE knows
best which single item goes with which; this knows what kind of visitor somebody is, so that the sum beats both.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgewise.errors import InputError
from hub.recommend.interactions import Matrix

USER_POWER = 0.5
ITEM_POWER = 0.25
"""Below the paper's 1/2 popular items keep more of their weight; better on MovieLens' validation parts."""


def fit(
    history: Matrix, *, rank: int, user_power: float = USER_POWER, item_power: float = ITEM_POWER
) -> npt.NDArray[np.float64]:
    """Items x items, diagonal 0 (an item's own word for itself would only favour what is seen).

    Fewer vectors than `rank` where there are no more; rank 0 is no filter, all weights are 0.
    Raises InputError for a rank below 0.
    """
    if rank < 0:
        raise InputError(f"rank is {rank}, expected 0 or more tastes")
    from scipy.sparse.linalg import svds

    items = history.shape[1]
    found = min(rank, min(history.shape) - 1)
    if found < 1:
        return np.zeros((items, items))
    users = np.maximum(np.asarray(history.sum(axis=1), np.float64).ravel(), 1.0) ** -user_power
    columns = np.maximum(np.asarray(history.sum(axis=0), np.float64).ravel(), 1.0) ** item_power
    normalised = (history * users[:, None] / columns).tocsr()
    # The start is given: a drawn one would make other bits each time.
    _, _, tastes = svds(normalised, k=found, v0=np.ones(min(history.shape)), solver="arpack")
    weights: npt.NDArray[np.float64] = (tastes.T / columns[:, None]) @ (tastes * columns)
    np.fill_diagonal(weights, 0.0)
    return weights
