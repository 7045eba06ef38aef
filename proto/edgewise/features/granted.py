"""Which columns are to be filled under one combination of grants, and by what kind of computation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgewise.consent import Grants
from edgewise.features import table as declared
from edgewise.features.coding import item_attribute
from edgewise.features.constants import Constant, constant_of
from edgewise.features.crossing import Crossing
from edgewise.features.view import View

Matrix = NDArray[np.float32]
OfNeighbours = declared.NeighbourScore | declared.NeighbourMax
OfValues = (
    declared.Affinity | declared.AffinityMatch | declared.TimeShare | declared.AffinitySum | declared.AffinityWindow
)
"""Features of the values that a candidate has in a dimension."""
OfBoth = declared.LastMatch | declared.ContentCosine | declared.DaysSinceItem | declared.SessionScore | declared.Touched
"""Features of a candidate and what the visitor touched."""
SUMS: Final = (declared.AffinitySum, declared.AffinityWindow)


class GrantedColumns:
    """The columns to fill under one combination of grants."""

    __slots__ = (
        "absent",
        "affinities",
        "constant_columns",
        "constants",
        "crossings",
        "fresh",
        "matches",
        "needed_by",
        "neighbours",
        "of_both",
        "prices",
        "scores",
    )

    def __init__(  # noqa: C901  # one a kind of computation
        self, features: Sequence[declared.Feature], crossings: Sequence[Crossing], grants: Grants
    ) -> None:
        """Raises ValueError as `constant_of`."""
        self.neighbours: list[tuple[int, OfNeighbours]] = []
        self.affinities: dict[str, list[tuple[int, OfValues]]] = {}
        """By dimension."""
        self.of_both: list[tuple[int, OfBoth]] = []
        self.prices: list[int] = []
        self.fresh: list[tuple[int, declared.Freshness]] = []
        self.matches: list[tuple[int, declared.ScoreMatch]] = []
        """Each costs the call of a model, as `scores` do."""
        self.scores: list[tuple[int, Constant]] = []
        """Apart from other constants: each costs the call of a model."""
        constants: list[tuple[int, Constant]] = []
        absent: list[int] = []
        for column, feature in enumerate(features):
            if feature.purpose is not None and not grants.allows(feature.purpose):
                absent.append(column)
            elif isinstance(feature, OfNeighbours):
                self.neighbours.append((column, feature))
            elif isinstance(feature, OfValues):
                self.affinities.setdefault(dimension_of(feature), []).append((column, feature))
            elif isinstance(feature, OfBoth):
                self.of_both.append((column, feature))
            elif isinstance(feature, declared.PriceDistance):
                self.prices.append(column)
            elif isinstance(feature, declared.Freshness):
                self.fresh.append((column, feature))
            elif isinstance(feature, declared.ScoreMatch):
                self.matches.append((column, feature))
            elif isinstance(feature, declared.Score):
                self.scores.append((column, constant_of(feature)))
            elif not _lies_ready(feature):
                constants.append((column, constant_of(feature)))
        self.neighbours.sort(key=lambda entry: entry[1].last)  # 0, all of the history, holds the rest
        self.absent = np.array(absent, np.intp)
        self.constant_columns = np.array([column for column, _ in constants], np.intp)
        self.constants = [constant for _, constant in constants]
        self.crossings = [crossing for crossing in crossings if crossing.column not in set(absent)]
        self.needed_by = {
            column: {column, *(cross.column for cross in self.crossings if column in {cross.first, cross.second})}
            for column in [*(column for column, _ in self.scores), *(column for column, _ in self.matches)]
        }
        """Column that asks a score -> the columns that cannot be filled without it: itself, and its crosses."""

    def fill_constants(self, matrix: Matrix, view: View, scores: Collection[int] | None) -> None:
        """What is the same for every candidate; of visitor scores only what the columns `scores` need, None: all."""
        if self.constants:
            matrix[:, self.constant_columns] = [constant(view) for constant in self.constants]
        for column, score in self.scores:
            if self.is_asked(column, scores):
                matrix[:, column] = score(view)

    def is_asked(self, column: int, scores: Collection[int] | None) -> bool:
        """Whether a column that asks a score is to be filled, of those that `scores` need; None: all."""
        return scores is None or not self.needed_by[column].isdisjoint(scores)


def dimension_of(feature: OfValues) -> str:
    """Which of the candidate's attributes holds the values."""
    return "topic" if isinstance(feature, declared.TimeShare) else feature.dimension


def _lies_ready(feature: declared.Feature) -> bool:
    """Whether the item alone decides it, or other columns do."""
    if isinstance(feature, declared.Code | declared.Hash):
        return item_attribute(feature) is not None
    return isinstance(feature, declared.ItemAttribute | declared.ItemIs | declared.Cross)
