"""Which items may compete: the placement's collection, or what the caller brought, behind a gate.

A gate is asked of few places at a time, because a collection may hold a hundred thousand: retrieval looks for items
first, and asks the gate of those that it found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final

import numpy as np

from edgewise.attributes import number_of
from edgewise.bundle.policy import ByAttribute, ByVectors, Everything, Placement, Ranking
from edgewise.bundle.vectors import Vectors
from edgewise.deadline import NEVER_LATE, IsLate, TimeIsUp
from edgewise.eligibility import Blocks, Mask, PlacementRules, attributes_of, in_schedule
from edgewise.features.compile import Codes, CompiledFeatures, Rows
from edgewise.ids import ItemId
from edgewise.nearness import Nearness, Places
from edgewise.policy import Scores
from edgewise.request import Candidate
from edgewise.rules import Facts

Test = Callable[[Places], Mask]
"""Which of some places may be shown; a vectorised question."""


class Gate:
    """Who of a pool may be shown to one visitor now: whoever passes all tests, the cheap ones first."""

    __slots__ = ("_tests", "is_closed", "named")

    def __init__(self, tests: Sequence[Test] = (), *, named: int = 0, is_closed: bool = False) -> None:
        """`named`: how many items the visitor's own past and the page shut out. `is_closed`: nobody passes."""
        self._tests = tests
        self.named = named
        self.is_closed = is_closed

    def passing(self, places: Places) -> Places:
        """Those of `places` that may be shown, in their order."""
        if self.is_closed:
            return places[:0]
        for test in self._tests:
            if not len(places):
                break
            places = places[test(places)]
        return places


_RULED_AT_ONCE: Final = 256
"""Items that rules look at between two looks at the time."""
OPEN: Final = Gate()
"""For a pool that was looked through before."""


class Pool:
    """Items that may compete in a placement, in the order of the collection, or of the caller's list.

    `places` arrays point into it. Columns of attributes are made when first asked for, and kept.
    """

    def __init__(self, features: CompiledFeatures, rows: Rows, vectors: Vectors | None = None) -> None:
        self.rows = rows
        self.everything: Places = np.arange(len(rows))
        self.vectors = vectors
        self._features = features
        self._items = features.items
        self._numbers: dict[str, Scores] = {}
        self._orders: dict[str, Places] = {}

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def neighbour_codes(self) -> Codes:
        """The neighbours' codes of all items of the pool."""
        return self._features.neighbour_codes(self.rows)

    @cached_property
    def nearness(self) -> Nearness:
        """The content vectors of all items of the pool; raises ValueError in a bundle without vectors."""
        if self.vectors is None:
            raise ValueError("this bundle has no content vectors")
        return Nearness(self.vectors, self._features.ids(self.rows))

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

    def __init__(
        self,
        placement: Placement,
        collection: Sequence[ItemId],
        features: CompiledFeatures,
        vectors: Vectors | None = None,
    ) -> None:
        items = features.items
        self.placement = placement
        self.rules = PlacementRules(placement.eligibility)
        codes = [
            code
            for code in dict.fromkeys(items.code_of[item] for item in collection if item in items.code_of)
            if items.approved[code] and self.rules.allow_item(items.ids[code], items.items[code].attributes)
        ]
        self.pool = Pool(features, Rows(np.array(codes, np.intp)), vectors)
        self._items = items
        self._is_scheduled = bool(items.scheduled[self.pool.rows.codes].any())
        self._warm()

    def _warm(self) -> None:
        """Make the columns that the arms will ask for, so that no request pays for them."""
        for arm in self.placement.arms.values():
            if isinstance(arm.ranking, ByAttribute):
                self.pool.numbers(arm.ranking.attribute)
            if isinstance(arm.retrieval, Everything):
                continue
            self.pool.order(arm.retrieval.fill_attribute)
            # Touched once, they stay.
            _ = self.pool.nearness if isinstance(arm.retrieval, ByVectors) else self.pool.neighbour_codes

    def gate(
        self,
        blocks: Blocks,
        exclude: frozenset[ItemId],
        facts: Facts,
        now_ms: int,
        is_late: IsLate = NEVER_LATE,
    ) -> Gate:
        """Who may be shown to this visitor now. It raises TimeIsUp when that takes too long."""
        if not self.rules.allow_visitor(facts):
            return Gate(is_closed=True)
        codes, items, rules = self.pool.rows.codes, self._items, self.rules
        tests: list[Test] = []
        blocked = blocks.mask(self.placement, exclude)
        if blocked is not None:
            tests.append(lambda places: ~blocked[codes[places]])
        if self._is_scheduled:
            tests.append(lambda places: in_schedule(items, codes[places], now_ms))
        if rules.look_at_both:

            def by_rules(places: Places) -> Mask:
                passes = np.zeros(len(places), np.bool_)
                for number, code in enumerate(codes[places].tolist()):
                    # Python's speed: if hardly anything passes, a large collection takes longer than a visitor waits.
                    if number % _RULED_AT_ONCE == 0 and is_late():
                        raise TimeIsUp
                    item = items.items[code]
                    passes[number] = rules.allow_pair(item.id, item.attributes, facts)
                return passes

            tests.append(by_rules)
        return Gate(tests, named=len(exclude) + len(blocks.unwanted(self.placement)))

    def eligible(self, blocks: Blocks, exclude: frozenset[ItemId], facts: Facts, now_ms: int) -> Places:
        """All places that may be shown to this visitor now."""
        return self.gate(blocks, exclude, facts, now_ms).passing(self.pool.everything)


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
    rules, vectors = catalogued.rules, catalogued.pool.vectors
    if not rules.allow_visitor(facts):
        return Pool(features, features.rows(list[Candidate]()), vectors)
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
    return Pool(features, features.rows(allowed), vectors)


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
