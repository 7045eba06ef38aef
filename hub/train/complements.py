"""Complements: what is bought with an item, or soon after it, more often than its popularity explains.

For items i and j, with n_i orders that hold i, n_ij of them in which j is bought as well (in the same order, or by the
same visitor within `days`), and p_j the share of all orders of which that holds, the weight of i for j is

    (n_ij - n_i p_j) / (n_i + shrink)

That is the conditional probability of j given i, drawn towards p_j as if by `shrink` more orders, less p_j: what buying
i tells of j beyond j's popularity. (Leverage of a rule over its antecedent; Piatetsky-Shapiro 1991, with shrinkage.) A
lift, n_ij / (n_i p_j), would put chance meetings of rare items first. Views say nothing here: what is looked at beside
an item goes instead of it, what is bought with it goes together with it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.attributes import texts_of
from edgewise.bundle.catalogue import Catalogue
from edgewise.errors import InputError
from edgewise.events import Kind
from edgewise.ids import ItemId
from edgewise.profile.state import DAY_MS
from edgewise.records import EventRecord
from hub.site.recipes import ComplementRecipe
from hub.train.history import History, kind_of_event
from hub.train.neighbour_sets import Pairs, encoded, strongest_of

MOST_PIECES: Final = 200
"""A basket of more different items is a reseller's stock and says little of each pair."""


class Baskets(NamedTuple):
    """Orders in the order in which they became known; one entry for each different item of each of them."""

    visitor: NDArray[np.int64]
    """Of each order."""
    moment_ms: NDArray[np.int64]
    """Of each order."""
    order: NDArray[np.int64]
    """Of each entry."""
    item: NDArray[np.int64]
    """Of each entry: position in `items`."""
    items: list[ItemId]
    """Sorted; bought at least once."""


def complements(history: History, through: int, recipe: ComplementRecipe, catalogue: Catalogue) -> bytes:
    """The set of neighbours that the first `through` deeds tell.

    Raises InputError when nobody has ordered by then.
    """
    baskets = baskets_of(history, through)
    if not baskets.items:
        raise InputError(f"nobody ordered anything in the first {through:,} records; complements come from orders")
    return encoded(baskets.items, pairs_of(baskets, recipe, catalogue))


def baskets_of(history: History, through: int) -> Baskets:
    """All orders of the first `through` deeds with at most MOST_PIECES different items."""
    visitor: list[int] = []
    moment_ms: list[int] = []
    order: list[int] = []
    bought: list[ItemId] = []
    for deed in history.deeds[:through]:
        record = deed.record
        if isinstance(record, EventRecord) and kind_of_event(record) is Kind.ORDER:
            pieces = sorted({touch.item for touch in record.touches})
            if 0 < len(pieces) <= MOST_PIECES:
                order += [len(visitor)] * len(pieces)
                bought += pieces
                visitor.append(deed.visitor)
                moment_ms.append(deed.moment_ms)
    items = sorted(set(bought))
    code = {item: place for place, item in enumerate(items)}
    return Baskets(
        np.array(visitor, np.int64),
        np.array(moment_ms, np.int64),
        np.array(order, np.int64),
        np.array([code[item] for item in bought], np.int64),
        items,
    )


def pairs_of(baskets: Baskets, recipe: ComplementRecipe, catalogue: Catalogue) -> Pairs:
    """The strongest complements of each item."""
    from scipy.sparse import csr_array

    orders, size = len(baskets.visitor), len(baskets.items)
    holds = csr_array((np.ones(len(baskets.item)), (baskets.order, baskets.item)), shape=(orders, size))
    within = _with_later(baskets, recipe.days) @ holds if recipe.days else holds
    within.data[:] = 1.0
    together = (holds.T @ within).tocoo()
    speaker, other = together.row.astype(np.int64), together.col.astype(np.int64)
    count = np.asarray(holds.sum(axis=0), np.float64).ravel()
    share = np.asarray(within.sum(axis=0), np.float64).ravel() / orders
    weight = (together.data - count[speaker] * share[other]) / (count[speaker] + recipe.shrink)
    kept = (speaker != other) & (together.data >= recipe.fewest_together) & (weight > 0)
    if recipe.apart is not None:
        kept[kept] = _are_apart(speaker[kept], other[kept], baskets.items, catalogue, recipe.apart)
    return strongest_of(Pairs(speaker[kept], other[kept], weight[kept]), recipe.per_item)


def _with_later(baskets: Baskets, days: int) -> object:
    """Orders x orders: 1 where the column is the row itself, or a later order of its visitor within `days`."""
    from scipy.sparse import csr_array

    rows: list[int] = []
    columns: list[int] = []
    by_visitor = np.lexsort((baskets.moment_ms, baskets.visitor)).tolist()
    visitor, moment_ms = baskets.visitor.tolist(), baskets.moment_ms.tolist()
    for place, order in enumerate(by_visitor):
        for later in by_visitor[place:]:
            if visitor[later] != visitor[order] or moment_ms[later] - moment_ms[order] > days * DAY_MS:
                break
            rows.append(order)
            columns.append(later)
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(visitor), len(visitor)))


def _are_apart(
    speaker: NDArray[np.int64], other: NDArray[np.int64], items: list[ItemId], catalogue: Catalogue, attribute: str
) -> NDArray[np.bool_]:
    """Whether two items share no value of an attribute; an item without any shares none."""
    values = {item.id: frozenset(texts_of(item.attributes.get(attribute))) for item in catalogue.items}
    held = [values.get(item, frozenset()) for item in items]
    pairs = zip(speaker.tolist(), other.tolist(), strict=True)
    return np.array([held[one].isdisjoint(two) for one, there in pairs for two in [held[there]]], np.bool_)
