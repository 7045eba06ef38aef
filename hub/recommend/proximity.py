"""Item-to-item weights from what a visitor uses within a short stretch: what comes next, rather than what fits.

EASE sees a history as a set; this sees it as a sequence. For items i and j it sums 1/d over all visitors and all
places where both are d steps apart, d at most `window`, and divides by sqrt((n_i + shrink)(n_j + shrink)), n being how
often an item was used. That is item-kNN's cosine with shrinkage (Sarwar, Karypis, Konstan, Riedl 2001, WWW) over
close pairs only. Both directions count alike: the order within one second of a log is chance.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from edgewise.errors import InputError
from hub.recommend.interactions import Interactions, Rows

WINDOW: Final = 20
"""Steps. On MovieLens 100k, 10 to 50 are alike and 3 is worse."""
SHRINK: Final = 30.0
"""Uses that an item is thought to have had elsewhere, so that two items seen once are no perfect match."""


def fit(
    interactions: Interactions, rows: Rows, *, window: int = WINDOW, shrink: float = SHRINK
) -> npt.NDArray[np.float64]:
    """Items x items, symmetric, diagonal 0, of the chosen rows by time (file order where there is none or a tie).

    Raises InputError for a window below 1 or a shrinkage that is not above 0.
    """
    if window < 1:
        raise InputError(f"window is {window}, expected at least 1 step")
    if not (np.isfinite(shrink) and shrink > 0):
        raise InputError(f"shrink is {shrink:g}, expected a number above 0")
    from scipy.sparse import coo_array

    ordered = np.sort(rows)
    if interactions.time is not None:
        ordered = ordered[np.argsort(interactions.time[ordered], kind="stable")]
    ordered = ordered[np.argsort(interactions.user[ordered], kind="stable")]
    user, item = interactions.user[ordered], interactions.item[ordered]
    items = len(interactions.items)
    near = np.zeros((items, items))
    for steps in range(1, min(window, len(ordered) - 1) + 1):
        same = user[:-steps] == user[steps:]
        before, after = item[:-steps][same], item[steps:][same]
        pairs = (np.full(len(before), 1.0 / steps), (before, after))
        near += coo_array(pairs, shape=(items, items)).toarray()
    near += near.T
    np.fill_diagonal(near, 0.0)
    used = np.sqrt(np.bincount(item, minlength=items) + shrink)
    closeness: npt.NDArray[np.float64] = near / used[:, None] / used[None, :]
    return closeness
