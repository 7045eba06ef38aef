"""Boosters on visitors drawn anew: how far they agree about a candidate says how sure a score is.

The rows of one visitor stay together. They are no independent witnesses, and drawing rows would make the model look
surer than it is. Where it is not known whose choice was whose (decisions carry no identity here), choices are drawn.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from hub.site.recipes import TreeRecipe, UncertaintyRecipe
from hub.train.boosting import Lesson, Progress, fit_trees, raw_scores

if TYPE_CHECKING:
    import lightgbm

STEEPEST: Final = 0.3
"""Learning rate; above it few trees overshoot."""


class Bags(NamedTuple):
    """Boosters of the same columns."""

    boosters: tuple[lightgbm.Booster, ...]

    def scores(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Mean and standard deviation (with n - 1) of their raw scores, float64 (n, 2)."""
        said = np.stack([raw_scores(booster, matrix) for booster in self.boosters], axis=1)
        return np.stack([said.mean(axis=1), said.std(axis=1, ddof=1)], axis=1)

    @property
    def gains(self) -> list[float]:
        """How much each column has helped, over all boosters."""
        gains: list[float] = np.sum([booster.feature_importance("gain") for booster in self.boosters], axis=0).tolist()
        return gains


def fit_bags(
    lesson: Lesson,
    trees: TreeRecipe,
    recipe: UncertaintyRecipe,
    seed: int,
    *,
    unit: NDArray[np.integer] | None,
    what: str,
    progress: Progress,
) -> Bags:
    """`recipe.bags` boosters; `unit` (choices,): whose choice it was, None: each of somebody else.

    Raises as `fit_trees`.
    """
    steep = min(max(STEEPEST, trees.learning_rate), trees.learning_rate * max(1.0, trees.rounds / recipe.rounds))
    each = msgspec.structs.replace(trees, rounds=recipe.rounds, learning_rate=steep)
    generator = np.random.default_rng(seed)
    boosters = []
    for bag in range(recipe.bags):
        drawn = redrawn(lesson, unit, generator)
        boosters.append(fit_trees(drawn, each, seed + bag, what=what, progress=lambda *_: None))
        progress(what, bag + 1, recipe.bags)
    return Bags(tuple(boosters))


def redrawn(lesson: Lesson, unit: NDArray[np.integer] | None, generator: np.random.Generator) -> Lesson:
    """As many units as there are, drawn with replacement, each with all its choices."""
    choices = len(lesson.size)
    _, number = np.unique(np.arange(choices) if unit is None else unit, return_inverse=True)
    units = int(number.max(initial=-1)) + 1
    times = np.bincount(generator.integers(0, units, units), minlength=units)[number]
    chosen = np.repeat(np.arange(choices), times)
    size = lesson.size[chosen]
    starts = (np.cumsum(lesson.size) - lesson.size)[chosen]
    rows = np.repeat(starts - (np.cumsum(size) - size), size) + np.arange(int(size.sum()))
    weight = None if lesson.weight is None else lesson.weight[rows]
    return replace(
        lesson, matrix=lesson.matrix[rows], label=lesson.label[rows], gain=lesson.gain[rows], size=size, weight=weight
    )
