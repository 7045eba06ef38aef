"""What a recipe fits: trees, bags of them that say how sure they are, or a line. All score rows and become ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hub.linear_model import LinearModel
from hub.site.recipes import RankerRecipe
from hub.train.boosting import Lesson, Progress, fit_trees, raw_scores
from hub.train.linear import fit_linear
from hub.train.uncertainty import Bags, fit_bags

if TYPE_CHECKING:
    import lightgbm

Matrix = NDArray[np.float32]
Fitted: TypeAlias = "lightgbm.Booster | Bags | LinearModel"


def fit(
    lesson: Lesson,
    recipe: RankerRecipe,
    seed: int,
    *,
    unit: NDArray[np.integer] | None,
    what: str,
    progress: Progress,
) -> Fitted:
    """`unit` (choices,): whose choice it was, None where nobody knows. Raises as `fit_trees` and `fit_linear`."""
    if recipe.linear is not None:
        progress(what, 0, 1)
        line = fit_linear(lesson, recipe.linear)
        progress(what, 1, 1)
        return line
    if recipe.uncertainty is None:
        return fit_trees(lesson, recipe.trees, seed, what=what, progress=progress)
    return fit_bags(lesson, recipe.trees, recipe.uncertainty, seed, unit=unit, what=what, progress=progress)


def scores_of(fitted: Fitted, matrix: Matrix) -> NDArray[np.float64]:
    """What ranks, float64 (n,)."""
    if isinstance(fitted, LinearModel):
        return fitted.scores(matrix)
    return fitted.scores(matrix)[:, 0] if isinstance(fitted, Bags) else raw_scores(fitted, matrix)


def gains_of(fitted: Fitted, matrix: Matrix) -> list[float]:
    """What each column is worth: of trees the gain of its splits, of a line how far it moves the scores of `matrix`."""
    if isinstance(fitted, LinearModel):
        moved = fitted.terms.of(matrix) @ fitted.credits()[:, :-1]
        return [float(spread) for spread in moved.std(axis=0)]
    return fitted.gains if isinstance(fitted, Bags) else [float(gain) for gain in fitted.feature_importance("gain")]


def sureness_of(fitted: Fitted, matrix: Matrix) -> dict[str, float] | None:
    """How sure a model is of rows that it was not fitted on; None of one that does not say."""
    match fitted:
        case Bags():
            scores, errors = fitted.scores(matrix).T
        case LinearModel():
            scores, errors = fitted.scores(matrix), fitted.errors(matrix)
        case _:
            return None
    middle, most = np.quantile(errors, [0.5, 0.95])
    return {
        "standard error of a score, median": float(middle),
        "standard error of a score, 95 % are below": float(most),
        "standard deviation of the scores": float(scores.std()),
    }
