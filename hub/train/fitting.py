"""What a recipe fits: trees, or bags of them that say how sure they are. Both score rows and become ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hub.site.recipes import RankerRecipe
from hub.train.boosting import Lesson, Progress, fit_trees, raw_scores
from hub.train.uncertainty import Bags, fit_bags

if TYPE_CHECKING:
    import lightgbm

Matrix = NDArray[np.float32]


def fit(
    lesson: Lesson,
    recipe: RankerRecipe,
    seed: int,
    *,
    unit: NDArray[np.integer] | None,
    what: str,
    progress: Progress,
) -> lightgbm.Booster | Bags:
    """`unit` (choices,): whose choice it was, None where nobody knows. Raises as `fit_trees`."""
    if recipe.uncertainty is None:
        return fit_trees(lesson, recipe.trees, seed, what=what, progress=progress)
    return fit_bags(lesson, recipe.trees, recipe.uncertainty, seed, unit=unit, what=what, progress=progress)


def scores_of(fitted: lightgbm.Booster | Bags, matrix: Matrix) -> NDArray[np.float64]:
    """What ranks, float64 (n,)."""
    return fitted.scores(matrix)[:, 0] if isinstance(fitted, Bags) else raw_scores(fitted, matrix)


def gains_of(fitted: lightgbm.Booster | Bags) -> list[float]:
    """What each column is worth: the gain of its splits."""
    return fitted.gains if isinstance(fitted, Bags) else [float(gain) for gain in fitted.feature_importance("gain")]


def sureness_of(fitted: lightgbm.Booster | Bags, matrix: Matrix) -> dict[str, float] | None:
    """How sure a model is of rows that it was not fitted on; None of one that does not say."""
    if not isinstance(fitted, Bags):
        return None
    scores, errors = fitted.scores(matrix).T
    middle, most = np.quantile(errors, [0.5, 0.95])
    return {
        "standard error of a score, median": float(middle),
        "standard error of a score, 95 % are below": float(most),
        "standard deviation of the scores": float(scores.std()),
    }
