"""What is learned about items from a history up to a moment: who speaks for whom, how popular, how well rated."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.catalogue import Catalogue
from edgewise.bundle.learned import UNNAMED, Learned
from edgewise.bundle.neighbours import Neighbours, decode_neighbours
from edgewise.bundle.sessions import decode_sessions
from edgewise.bundle.vectors import Vectors, decode_vectors, encode_vectors
from edgewise.errors import InputError
from edgewise.profile.state import DAY_MS
from hub.artefacts import Artefacts, NamedSets
from hub.content_vectors import content_vectors
from hub.item_statistics import ItemStatistic
from hub.site.loading import SiteContents
from hub.site.recipes import (
    ComplementRecipe,
    ContentRecipe,
    ItemsRecipe,
    MeanRating,
    NeighbourRecipe,
    Popularity,
    RankerRecipe,
    Statistic,
)
from hub.train.complements import complements
from hub.train.factors import factors_of
from hub.train.history import History, Touches
from hub.train.neighbour_sets import by_content, by_use, visitors_by_item
from hub.train.visits import visits

_NO_ROWS: Final = np.zeros((0, 1), np.int8)


class FittedItems(NamedTuple):
    """Fitted on the first `through` deeds of a history, and on nothing later."""

    through: int
    neighbours_bytes: bytes | None
    statistics: dict[str, ItemStatistic]
    sets: NamedSets = NamedSets()
    sessions_bytes: bytes | None = None

    @property
    def neighbours(self) -> Neighbours | None:
        """Those without a name, decoded."""
        return None if self.neighbours_bytes is None else decode_neighbours(self.neighbours_bytes)

    def learned(self, content_vectors: bytes | None) -> Learned:
        """All of it decoded, as a bundle has it."""
        neighbours = {name: decode_neighbours(data) for name, data in self.sets.neighbours.items()}
        vectors = {name: decode_vectors(data) for name, data in self.sets.vectors.items()}
        if self.neighbours is not None:
            neighbours[UNNAMED] = self.neighbours
        if content_vectors is not None:
            vectors[UNNAMED] = decode_vectors(content_vectors)
        sessions = None if self.sessions_bytes is None else decode_sessions(self.sessions_bytes)
        return Learned(neighbours=neighbours, vectors=vectors, sessions=sessions)


def fit_items(
    history: History, recipe: RankerRecipe | ItemsRecipe, through: int, contents: SiteContents | None = None
) -> FittedItems:
    """Fit on the first `through` deeds. `contents`: the site, for what looks at items themselves; None: of no items.

    Raises InputError when nobody has touched anything by then, or too few did for what the recipe asks.
    """
    touches = history.touches.between(0, int(np.searchsorted(history.touches.deed, through)))
    if not len(touches.deed):
        raise InputError(f"nobody touched an item in the first {through:,} of {len(history):,} records")
    catalogue = Catalogue([]) if contents is None else contents.catalogue
    content: Vectors | None = None
    if contents is not None and _asks_for_content(recipe):
        content = decode_vectors(content_vectors(catalogue, contents.vectors))

    def made(wanted: NeighbourRecipe | ContentRecipe | ComplementRecipe) -> bytes:
        match wanted:
            case ComplementRecipe():
                return complements(history, through, wanted, catalogue)
            case ContentRecipe():
                return by_content(decode_vectors(encode_vectors([], _NO_ROWS)) if content is None else content, wanted)
            case _:
                return by_use(touches, wanted, content)

    return FittedItems(
        through=through,
        neighbours_bytes=None if recipe.neighbours is None else made(recipe.neighbours),
        statistics={name: _statistic(touches, wanted) for name, wanted in recipe.statistics.items()},
        sets=NamedSets(
            {name: made(wanted) for name, wanted in recipe.sets.items()},
            {name: factors_of(touches, wanted) for name, wanted in recipe.vectors.items()},
        ),
        sessions_bytes=None if recipe.sessions is None else visits(touches, recipe.sessions),
    )


def items_known_by(artefacts: Artefacts) -> FittedItems:
    """What a registered model knows about items, whatever history it was fitted on."""
    return FittedItems(
        through=0,
        neighbours_bytes=artefacts.neighbours,
        statistics=dict(artefacts.statistics),
        sets=artefacts.sets,
        sessions_bytes=artefacts.sessions,
    )


NO_ITEMS: Final = FittedItems(0, None, {})
"""Of a model that brings none."""


def _asks_for_content(recipe: RankerRecipe | ItemsRecipe) -> bool:
    sets = [*recipe.sets.values(), *([] if recipe.neighbours is None else [recipe.neighbours])]
    return any(
        isinstance(wanted, ContentRecipe) or (isinstance(wanted, NeighbourRecipe) and wanted.content_below > 0)
        for wanted in sets
    )


def _statistic(touches: Touches, wanted: Statistic) -> ItemStatistic:
    match wanted:
        case Popularity(days=days):
            if days is not None:
                since_ms = touches.moment_ms[-1] - days * DAY_MS
                first = int(np.searchsorted(touches.moment_ms, since_ms, side="right"))
                touches = touches.between(first, len(touches.deed))
            visitors = visitors_by_item(touches)
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
