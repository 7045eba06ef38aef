"""Item vectors of ALS as a bundle carries them: directions in int8, found by dot product as content vectors are.

What a vector's length says (how popular an item is) does not travel: retrieval is by direction, and what is popular has
its own place in an arm, the fill attribute and the ranker. A visitor's direction is the decayed mean of the vectors
that he touched (`edgewise.nearness.taste`), not the least-squares step of ALS: `proto/decisions/0028-sessions.md`.
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from edgewise.bundle.vectors import encode_vectors, quantised
from edgewise.ids import ItemId
from edgewise.nearness import EXACT_ITEMS
from hub.content_vectors import in_lists
from hub.recommend.factors import fit_als
from hub.recommend.interactions import Interactions, matrix
from hub.site.recipes import FactorRecipe
from hub.train.history import Touches
from hub.train.neighbour_sets import interactions_of, most_touched


def factors_of(touches: Touches, recipe: FactorRecipe, *, exact_items: int = EXACT_ITEMS) -> bytes:
    """A set of vectors, in lists where there are more than `exact_items`. The same touches give the same bytes."""
    interactions = interactions_of(touches, most_touched(touches, recipe.most_items))
    with threadpool_limits(1):
        rows = quantised(_vectors(interactions, recipe))
        ids = [ItemId(item) for item in interactions.items]
        if len(ids) <= exact_items:
            return encode_vectors(ids, rows)
        order, centroids, bounds = in_lists(rows, recipe.seed)
    return encode_vectors([ids[row] for row in order.tolist()], rows[order], centroids, bounds)


def _vectors(interactions: Interactions, recipe: FactorRecipe) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    history = matrix(interactions, np.arange(len(interactions)))
    return fit_als(
        history,
        factors=recipe.factors,
        regularisation=recipe.regularisation,
        alpha=recipe.alpha,
        iterations=recipe.iterations,
        seed=recipe.seed,
    ).vectors
