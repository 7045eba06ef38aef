"""Which items compete: the placement's collection or what the caller brought, narrowed down by retrieval."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edgewise.attributes import number_of
from edgewise.bundle.items import ItemTable
from edgewise.bundle.policy import ByAttribute, ByNeighbours, Everything, Placement, Ranking, Retrieval
from edgewise.eligibility import Blocks, Mask, PlacementRules, attributes_of, in_schedule
from edgewise.features.compile import CompiledFeatures, Rows
from edgewise.features.view import View
from edgewise.ids import ItemId
from edgewise.policy import Scores, best_first
from edgewise.request import Candidate
from edgewise.rules import Facts

Places = NDArray[np.intp]
"""Positions in a pool, in the order of the pool."""


class Pool:
    """Items that may compete in a placement, in the order of the collection, or of the caller's list.

    `places` arrays point into it. Columns of attributes are made when first asked for, and kept.
    """

    def __init__(self, features: CompiledFeatures, rows: Rows) -> None:
        self.rows = rows
        self.neighbour_codes = features.neighbour_codes(rows)
        self.everything: Places = np.arange(len(rows))
        self._items = features.items
        self._numbers: dict[str, Scores] = {}
        self._orders: dict[str, Places] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def under(self, items: ItemTable, live: Collection[str]) -> Self:
        """The same pool where the attributes `live` have the numbers of `items`."""
        made = copy(self)
        made._items = items  # noqa: SLF001  # of its own class, here and below
        # `dict` copies at one go, while a request may be making a column.
        kept, ordered = dict(self._numbers), dict(self._orders)
        made._numbers = {name: column for name, column in kept.items() if name not in live}  # noqa: SLF001
        made._orders = {name: places for name, places in ordered.items() if name not in live}  # noqa: SLF001
        return made

    def numbers(self, attribute: str) -> Scores:
        """A numeric attribute of all items of the pool, NaN where it is missing."""
        made = self._numbers.get(attribute)
        if made is None:
            made = self._items.numbers(attribute)[self.rows.codes]
            for place, candidate in enumerate(self.rows.brought or ()):
                if attribute in candidate.attributes:
                    made[place] = number_of(candidate.attributes[attribute])
            self._numbers[attribute] = made
        return made

    def order(self, attribute: str) -> Places:
        """All places by an attribute, largest first, missing last, earlier places first among equals."""
        made = self._orders.get(attribute)
        if made is None:
            made = self._orders[attribute] = np.argsort(-self.numbers(attribute), kind="stable")
        return made


class Catalogued:
    """A placement's own pool: the approved items of its collection that pass the rules which look at items alone."""

    def __init__(self, placement: Placement, collection: Sequence[ItemId], features: CompiledFeatures) -> None:
        items = features.items
        self.placement = placement
        self.rules = PlacementRules(placement.eligibility)
        codes = [
            code
            for code in dict.fromkeys(items.code_of[item] for item in collection if item in items.code_of)
            if items.approved[code] and self.rules.allow_item(items.ids[code], items.attributes(code))
        ]
        self.pool = Pool(features, Rows(np.array(codes, np.intp)))
        self._items = items
        self._collection = collection
        self.sold_out: frozenset[ItemId] = frozenset()
        """Items, known or not, that live facts say are sold out."""
        self.gone: Mask | None = None
        """The same over catalogue codes, shape (items + 1,); None where nothing is."""
        self._is_scheduled = bool(items.scheduled[self.pool.rows.codes].any())
        self._warm()

    def under(
        self, features: CompiledFeatures, live: Collection[str], sold_out: frozenset[ItemId], gone: Mask | None
    ) -> Catalogued:
        """The same placement with live numbers of the attributes `live`, and without what is sold out (`gone`).

        Only rules of the item alone that ask for a live attribute cost a new look at the whole collection.
        """
        if self.rules.item_attributes.isdisjoint(live):
            made = copy(self)
            made._items = features.items  # noqa: SLF001
            made.pool = self.pool.under(features.items, live)
        else:
            made = Catalogued(self.placement, self._collection, features)
        made.sold_out, made.gone = sold_out, gone
        made._warm()
        return made

    def _warm(self) -> None:
        """Make the columns that the arms will ask for, so that no request pays for them."""
        for arm in self.placement.arms.values():
            if isinstance(arm.ranking, ByAttribute):
                self.pool.numbers(arm.ranking.attribute)
            if isinstance(arm.retrieval, ByNeighbours):
                self.pool.order(arm.retrieval.fill_attribute)

    def eligible(self, blocks: Blocks, exclude: frozenset[ItemId], facts: Facts, now_ms: int) -> Places:
        """Places that may be shown to this visitor now."""
        if not self.rules.allow_visitor(facts):
            return self.pool.everything[:0]
        codes, places = self.pool.rows.codes, self.pool.everything
        if self.gone is not None:
            places = (~self.gone[codes]).nonzero()[0]
        blocked = blocks.mask(self.placement, exclude)
        if blocked is not None:
            places = places[~blocked[codes[places]]]
        if self._is_scheduled:
            places = places[in_schedule(self._items, codes[places], now_ms)]
        if self.rules.look_at_both:
            ids, attributes = self._items.ids, self._items.attributes
            places = np.array(
                [
                    place
                    for place, code in zip(places.tolist(), codes[places].tolist(), strict=True)
                    if self.rules.allow_pair(ids[code], attributes(code), facts)
                ],
                np.intp,
            )
        return places


def brought_pool(
    candidates: Sequence[Candidate],
    catalogued: Catalogued,
    features: CompiledFeatures,
    *,
    blocks: Blocks,
    exclude: frozenset[ItemId],
    facts: Facts,
) -> Pool:
    """What a caller brought and may be shown. `candidates` have different ids.

    The page shows its own content, so the catalogue's approvals and schedules have no say; the visitor's will, the
    exclusions, caps and rules do. What live facts call sold out is not offered either, whatever the page says of it.
    """
    rules = catalogued.rules
    if not rules.allow_visitor(facts):
        return Pool(features, features.rows(list[Candidate]()))
    unwanted, sold_out = blocks.unwanted(catalogued.placement), catalogued.sold_out
    allowed = [
        entry
        for entry in candidates
        if entry.id not in exclude and entry.id not in unwanted and entry.id not in sold_out
    ]
    if rules.look_at_items or blocks.mute_something:
        known = [attributes_of(features.items, candidate) for candidate in allowed]
        allowed = [
            candidate
            for candidate, attributes in zip(allowed, known, strict=True)
            if not blocks.is_muted(candidate.id, attributes)
            and rules.allow_item(candidate.id, attributes)
            and rules.allow_pair(candidate.id, attributes, facts)
        ]
    return Pool(features, features.rows(allowed))


def retrieve(pool: Pool, places: Places, retrieval: Retrieval, view: View) -> Places:
    """At most `limit` of the eligible places.

    `Everything` keeps the pool's order. `ByNeighbours` takes the best by neighbour score, as far as it is above 0,
    and then fills up by an attribute; the result has that order.
    """
    if isinstance(retrieval, Everything):
        return places[: retrieval.limit]
    limit = retrieval.limit
    # As float32, which halves the time to find the best; what then is equal keeps the order of the pool.
    scores = view.neighbour_sum(0).astype(np.float32)[pool.neighbour_codes[places]]
    best = best_first(scores, limit)
    found = places[best[scores[best] > 0]]
    if len(found) >= min(limit, len(places)):
        return found
    is_open = np.zeros(len(pool), np.bool_)
    is_open[places] = True
    is_open[found] = False
    order = pool.order(retrieval.fill_attribute)
    return np.concatenate([found, order[is_open[order]][: limit - len(found)]])


def rule_scores(pool: Pool, places: Places, ranking: Ranking) -> Scores:
    """Finite scores by rule, higher is better.

    By priority: minus the place, so that the first has 0. By attribute: its value, or minus its value where the
    smallest is best; what has no value stands below everything that has one.
    """
    if not isinstance(ranking, ByAttribute):
        return 0.0 - places.astype(np.float64)
    values = pool.numbers(ranking.attribute)[places]
    scores: Scores = (values if ranking.descending else -values).astype(np.float64, copy=False)
    is_missing = np.isnan(scores)
    if is_missing.any():
        known = scores[~is_missing]
        scores[is_missing] = known.min() - 1 if len(known) else 0.0
    return scores
