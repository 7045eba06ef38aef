"""Which items compete: the placement's collection or what the caller brought, narrowed down by retrieval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgewise.attributes import number_of
from edgewise.bundle.policy import ByAttribute, ByNeighbours, Everything, Placement, Ranking, Retrieval
from edgewise.eligibility import Blocks, PlacementRules, attributes_of, in_schedule
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
            if items.approved[code] and self.rules.allow_item(items.ids[code], items.items[code].attributes)
        ]
        self.pool = Pool(features, Rows(np.array(codes, np.intp)))
        self._items = items
        self._is_scheduled = bool(items.scheduled[self.pool.rows.codes].any())
        self._warm()

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
        blocked = blocks.mask(self.placement, exclude)
        if blocked is not None:
            places = (~blocked[codes]).nonzero()[0]
        if self._is_scheduled:
            places = places[in_schedule(self._items, codes[places], now_ms)]
        if self.rules.look_at_both:
            ids, items = self._items.ids, self._items.items
            places = np.array(
                [
                    place
                    for place, code in zip(places.tolist(), codes[places].tolist(), strict=True)
                    if self.rules.allow_pair(ids[code], items[code].attributes, facts)
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
    exclusions, caps and rules do.
    """
    rules = catalogued.rules
    if not rules.allow_visitor(facts):
        return Pool(features, features.rows(list[Candidate]()))
    unwanted = blocks.unwanted(catalogued.placement)
    allowed = [entry for entry in candidates if entry.id not in exclude and entry.id not in unwanted]
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
