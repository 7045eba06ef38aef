"""What a method learns from: rows of a history, seen as the matrices that methods ask for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hub.recommend import popular
from hub.recommend.interactions import Interactions, Matrix, Rows, matrix, moments

LEAST_LIKING = 0.05
"""A cell stays above 0: whoever disliked an item has used it all the same."""


@dataclass(frozen=True)
class Lessons:
    """The chosen `rows` of a history, and nothing else of it."""

    interactions: Interactions
    rows: Rows
    content: npt.NDArray[np.float64] | None = None
    """Items x components, unit length or all 0: what items say of themselves (`hub.recommend.content`)."""

    @cached_property
    def history(self) -> Matrix:
        """Users x items; see `interactions.matrix`."""
        return matrix(self.interactions, self.rows)

    @cached_property
    def moments(self) -> Matrix:
        """Users x items; see `interactions.moments`."""
        return moments(self.interactions, self.rows)

    @cached_property
    def popularity(self) -> npt.NDArray[np.float64]:
        """Per item, as in `popular.fit`."""
        return popular.fit(self.history)

    def liked(self, strength: float) -> Matrix:
        """`history` with each cell times 1 + strength z, z being how far its rating is from the mean in deviations.

        Without ratings, or where all are equal, `history` as it is.
        """
        rating = self.interactions.rating
        if rating is None or strength == 0:
            return self.history
        given = rating[self.rows]
        spread = float(given.std())
        if spread == 0:
            return self.history
        factor = np.maximum(1.0 + strength * (given - given.mean()) / spread, LEAST_LIKING)
        weight = self.interactions.weight
        valued = self._with_weight(factor if weight is None else factor * weight[self.rows])
        if weight is None:
            # Used twice is no more than used once, as in `history`: the mean, not the sum.
            valued.data /= self._with_weight(np.ones(len(self.rows))).data
        return valued

    def _with_weight(self, weight: npt.NDArray[np.float64]) -> Matrix:
        whole, rows = self.interactions, self.rows
        chosen = Interactions(whole.users, whole.items, whole.user[rows], whole.item[rows], weight=weight)
        return matrix(chosen, np.arange(len(rows)))
