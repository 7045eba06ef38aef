"""What is learned about items from a history up to a moment: who speaks for whom, how popular, how well rated."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.neighbours import Neighbours, decode_neighbours, encode_neighbours
from edgewise.errors import InputError
from edgewise.ids import ItemId
from edgewise.profile.state import DAY_MS
from hub.item_statistics import ItemStatistic
from hub.recommend import ease, proximity
from hub.recommend.interactions import Interactions, matrix
from hub.recommend.neighbours import strongest
from hub.site.recipes import MeanRating, NeighbourRecipe, Popularity, RankerRecipe, Statistic
from hub.train.history import History, Touches


class FittedItems(NamedTuple):
    """Fitted on the first `through` deeds of a history, and on nothing later."""

    through: int
    neighbours_bytes: bytes | None
    statistics: dict[str, ItemStatistic]

    @property
    def neighbours(self) -> Neighbours | None:
        """Decoded."""
        return None if self.neighbours_bytes is None else decode_neighbours(self.neighbours_bytes)


def fit_items(history: History, recipe: RankerRecipe, through: int) -> FittedItems:
    """Fit on the first `through` deeds.

    Raises InputError when nobody has touched anything by then.
    """
    touches = history.touches.between(0, int(np.searchsorted(history.touches.deed, through)))
    if not len(touches.deed):
        raise InputError(f"nobody touched an item in the first {through:,} of {len(history):,} records")
    return FittedItems(
        through=through,
        neighbours_bytes=None if recipe.neighbours is None else _neighbours(touches, recipe.neighbours),
        statistics={name: _statistic(touches, wanted) for name, wanted in recipe.statistics.items()},
    )


def _neighbours(touches: Touches, recipe: NeighbourRecipe) -> bytes:
    """EASE's weights plus `closeness` times proximity, the strongest of each row."""
    chosen = _most_touched(touches, recipe.most_items)
    code = np.full(len(touches.items), -1, np.int32)
    code[chosen] = np.arange(len(chosen), dtype=np.int32)
    taking_part = np.flatnonzero(code[touches.item] >= 0)
    visitors, visitor = np.unique(touches.visitor[taking_part], return_inverse=True)
    items = tuple(touches.items[item] for item in chosen)
    interactions = Interactions(
        users=tuple(map(str, visitors)),
        items=items,
        user=visitor.astype(np.int32),
        item=code[touches.item[taking_part]],
    )
    rows = np.arange(len(interactions))
    weights = ease.fit(matrix(interactions, rows), l2=recipe.l2)
    if recipe.closeness > 0:
        weights += recipe.closeness * proximity.fit(interactions, rows, window=recipe.window, shrink=recipe.shrink)
    kept = strongest(weights, per_item=recipe.per_item)
    return encode_neighbours([ItemId(item) for item in items], kept.indptr, kept.indices, kept.weights)


def _most_touched(touches: Touches, most: int) -> NDArray[np.int64]:
    """Items by how many visitors touched them, ties by id; the result is sorted by id."""
    visitors = _visitors_by_item(touches)
    touched = np.flatnonzero(visitors)
    return np.sort(touched[np.argsort(-visitors[touched], kind="stable")][:most])


def _visitors_by_item(touches: Touches) -> NDArray[np.int64]:
    pairs = np.unique(touches.visitor.astype(np.int64) * len(touches.items) + touches.item)
    return np.bincount(pairs % len(touches.items), minlength=len(touches.items))


def _statistic(touches: Touches, wanted: Statistic) -> ItemStatistic:
    match wanted:
        case Popularity(days=days):
            if days is not None:
                since_ms = touches.moment_ms[-1] - days * DAY_MS
                first = int(np.searchsorted(touches.moment_ms, since_ms, side="right"))
                touches = touches.between(first, len(touches.deed))
            visitors = _visitors_by_item(touches)
            share = visitors / len(np.unique(touches.visitor))
            return _stated(touches, share, visitors > 0, 0.0)
        case MeanRating(weight=weight):
            rated = ~np.isnan(touches.rating)
            count = np.bincount(touches.item[rated], minlength=len(touches.items))
            total = np.bincount(touches.item[rated], touches.rating[rated], minlength=len(touches.items))
            if not rated.any():
                return ItemStatistic({})
            mean = float(touches.rating[rated].mean())
            return _stated(touches, (total + weight * mean) / (count + weight), count > 0, mean)


def _stated(
    touches: Touches, values: NDArray[np.float64], is_known: NDArray[np.bool_], otherwise: float
) -> ItemStatistic:
    stated = {touches.items[item]: float(values[item]) for item in np.flatnonzero(is_known).tolist()}
    return ItemStatistic(stated, otherwise)
