"""Sets of neighbours out of a history: what goes instead of an item, by use or by content; see also `complements`.

Whoever is new has no history that could speak for it. Items below `content_below` visitors are therefore kept out of
what is learned from use, and get neighbours by content: with the weight that content neighbours turn out to have among
the items whose use is known (`worth_of_content`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.neighbours import encode_neighbours
from edgewise.bundle.vectors import Vectors
from edgewise.errors import InputError
from edgewise.ids import ItemId
from hub.recommend import ease, proximity
from hub.recommend.blend import tastes_beside
from hub.recommend.interactions import Interactions, matrix
from hub.recommend.neighbours import strongest
from hub.site.recipes import ContentRecipe, NeighbourRecipe
from hub.train.history import Touches

CONTENT_NEIGHBOURS: Final = 20
"""A new item speaks for, and is spoken for by, so many others."""
_ROWS_AT_ONCE: Final = 1_024

Weights = NDArray[np.float64]


class Pairs(NamedTuple):
    """Items that go with others; columns of equal length."""

    speaker: NDArray[np.int64]
    other: NDArray[np.int64]
    weight: Weights


def by_use(touches: Touches, recipe: NeighbourRecipe, content: Vectors | None = None) -> bytes:
    """EASE's weights plus tastes plus `closeness` times proximity, the strongest of each row; new items by `content`.

    Raises InputError when all items are new.
    """
    chosen = most_touched(touches, recipe.most_items)
    chosen = chosen[visitors_by_item(touches)[chosen] >= recipe.content_below]
    if not len(chosen):
        raise InputError(
            f"no item was touched by {recipe.content_below} visitors; expected some, or a smaller `content_below`"
        )
    interactions = interactions_of(touches, chosen)
    items = [ItemId(item) for item in interactions.items]
    rows = np.arange(len(interactions))
    used = matrix(interactions, rows)
    weights = ease.fit(
        used, l2=recipe.l2, dropout=recipe.dropout, user_power=recipe.user_power, item_power=recipe.item_power
    )
    if recipe.tastes > 0:
        weights += tastes_beside(used, weights, rank=recipe.rank, share=recipe.tastes)
    if recipe.closeness > 0:
        weights += recipe.closeness * proximity.fit(interactions, rows, window=recipe.window, shrink=recipe.shrink)
    kept = strongest(weights, per_item=recipe.per_item)
    speaker = np.arange(len(items)).repeat(np.diff(kept.indptr))
    learned = Pairs(speaker, kept.indices.astype(np.int64), kept.weights.astype(np.float64))
    if recipe.content_below == 0 or content is None:
        return encoded(items, learned)
    known = set(items)
    new = [item for item in content.items if item not in known][: recipe.most_items]
    return encoded([*items, *new], _joined(learned, _of_new_items(items, new, weights, content)))


def by_content(content: Vectors, recipe: ContentRecipe) -> bytes:
    """The most alike of each item; a weight is a cosine, in (0, 1]."""
    rows = _directions(content, content.items)
    return encoded(content.items, _most_alike(rows, rows, recipe.per_item, is_same=True))


def worth_of_content(weights: Weights, rows: Weights, cosines: Weights) -> Weights:
    """The weights that content neighbours of these cosines get, float64 (n,).

    `weights` (items, items) were learned from use, `rows` (items, width) are unit directions of the same items. Those
    items that are content neighbours of one another have some mean weight and some mean cosine: that weight is what a
    cosine as large or larger gets, a smaller one less in proportion. No line through all pairs, which would make a new
    twin of an item louder than anything that is known to go with it. 0 where content neighbours are used together no
    more than others.
    """
    pairs = _most_alike(rows, rows, CONTENT_NEIGHBOURS, is_same=True)
    if not len(pairs.weight):
        return np.zeros(len(cosines))
    mean = max(float(weights[pairs.speaker, pairs.other].mean()), 0.0)
    worth: Weights = mean * np.minimum(1.0, cosines / float(pairs.weight.mean()))
    return worth


def encoded(items: list[ItemId], pairs: Pairs) -> bytes:
    """The resource; of each speaker the entries by code."""
    order = np.lexsort((pairs.other, pairs.speaker))
    counts = np.bincount(pairs.speaker, minlength=len(items))
    indptr = np.concatenate([[0], counts.cumsum()]).astype(np.int32)
    return encode_neighbours(items, indptr, pairs.other[order].astype(np.int32), pairs.weight[order].astype(np.float32))


def strongest_of(pairs: Pairs, per_item: int) -> Pairs:
    """The `per_item` largest weights of each speaker; ties go to the lower code."""
    order = np.lexsort((pairs.other, -pairs.weight, pairs.speaker))
    speaker = pairs.speaker[order]
    place = np.arange(len(order)) - speaker.searchsorted(speaker)
    kept = order[place < per_item]
    return Pairs(pairs.speaker[kept], pairs.other[kept], pairs.weight[kept])


def most_touched(touches: Touches, most: int) -> NDArray[np.int64]:
    """Items by how many visitors touched them, ties by id; the result is sorted by id."""
    visitors = visitors_by_item(touches)
    touched = np.flatnonzero(visitors)
    return np.sort(touched[np.argsort(-visitors[touched], kind="stable")][:most])


def interactions_of(touches: Touches, chosen: NDArray[np.int64]) -> Interactions:
    """The touches of the `chosen` items (sorted positions), in their order."""
    code = np.full(len(touches.items), -1, np.int32)
    code[chosen] = np.arange(len(chosen), dtype=np.int32)
    taking_part = np.flatnonzero(code[touches.item] >= 0)
    visitors, visitor = np.unique(touches.visitor[taking_part], return_inverse=True)
    return Interactions(
        users=tuple(map(str, visitors)),
        items=tuple(touches.items[item] for item in chosen),
        user=visitor.astype(np.int32),
        item=code[touches.item[taking_part]],
    )


def visitors_by_item(touches: Touches) -> NDArray[np.int64]:
    """How many different visitors touched each item."""
    pairs = np.unique(touches.visitor.astype(np.int64) * len(touches.items) + touches.item)
    return np.bincount(pairs % len(touches.items), minlength=len(touches.items))


def _of_new_items(items: list[ItemId], new: list[ItemId], weights: Weights, content: Vectors) -> Pairs:
    """What new items say of known ones, and known ones of them; codes follow `[*items, *new]`."""
    known_rows, new_rows = _directions(content, items), _directions(content, new)
    found = _most_alike(new_rows, known_rows, CONTENT_NEIGHBOURS, is_same=False)
    speaker, weight = found.speaker + len(items), worth_of_content(weights, known_rows, found.weight)
    both = Pairs(
        np.concatenate([speaker, found.other]), np.concatenate([found.other, speaker]), np.concatenate([weight, weight])
    )
    is_said = both.weight > 0
    return Pairs(both.speaker[is_said], both.other[is_said], both.weight[is_said])


def _directions(content: Vectors, items: list[ItemId]) -> Weights:
    """Unit directions (items, width); zeros for items without one."""
    codes = np.array([content.code_of.get(item, -1) for item in items], np.intp)
    rows = np.where((codes >= 0)[:, None], content.rows[codes], 0).astype(np.float64)
    length = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
    unit: Weights = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    return unit


def _most_alike(rows: Weights, others: Weights, most: int, *, is_same: bool) -> Pairs:
    """For each row the others of the largest cosine, as far as it is above 0; `is_same`: not with itself."""
    found: list[Pairs] = [Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        # Rounded, so that equal directions are equal whatever adds them up, and ties go to the lower code.
        cosines = np.round(rows[start : start + _ROWS_AT_ONCE] @ others.T, 6)
        if is_same:
            cosines[np.arange(len(cosines)), start + np.arange(len(cosines))] = 0.0
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :most]
        weight = np.take_along_axis(cosines, best, axis=1).ravel()
        speaker = start + np.arange(len(cosines)).repeat(best.shape[1])
        is_alike = weight > 0
        found.append(Pairs(speaker[is_alike], best.ravel()[is_alike].astype(np.int64), weight[is_alike]))
    return _joined(*found)


def _joined(*parts: Pairs) -> Pairs:
    return Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True)))
