"""Which items may compete: the placement's collection, or what the caller brought, behind a gate.

A gate is asked of few places at a time, because a collection may hold a hundred thousand: retrieval looks for items
first, and asks the gate of those that it found.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import Final, Self

import numpy as np

from edgewise.attributes import number_of, texts_of
from edgewise.bundle.clocks import CompiledSchedule
from edgewise.bundle.items import UNKNOWN, ItemTable
from edgewise.bundle.learned import UNNAMED
from edgewise.bundle.policy import (
    ByAttribute,
    ByFormula,
    ByNeighbours,
    ByRetrieval,
    BySessions,
    ByVectors,
    Everything,
    OfItem,
    Placement,
    Ranking,
)
from edgewise.bundle.vectors import Vectors
from edgewise.deadline import NEVER_LATE, IsLate, TimeIsUp
from edgewise.eligibility import Blocks, Mask, PlacementRules, attributes_of, in_schedule
from edgewise.features.compile import Codes, CompiledFeatures, Rows
from edgewise.features.view import NO_SCORES
from edgewise.formula import Known, evaluate, parts_of
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

    def __init__(
        self,
        features: CompiledFeatures,
        rows: Rows,
        vectors: Vectors | None = None,
        named: Mapping[str, Vectors] | None = None,
    ) -> None:
        """`vectors` are those of content, `named` other sets."""
        self.rows = rows
        self.everything: Places = np.arange(len(rows))
        self.vectors = vectors
        self.named = named or {}
        self._features = features
        self._items = features.items
        self._speaking: dict[str, Codes] = {}
        self._near: dict[str, Nearness] = {}
        self._numbers: dict[str, Scores] = {}
        self._orders: dict[str, Places] = {}
        self._kinds: dict[str, list[tuple[int, ...]]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def neighbour_codes(self, source: str = UNNAMED) -> Codes:
        """The codes of all items of the pool in the neighbours `source`."""
        made = self._speaking.get(source)
        if made is None:
            made = self._speaking[source] = self._features.neighbour_codes(self.rows, source)
        return made

    @cached_property
    def place_of_session(self) -> Places:
        """The place in the pool of every code of the sessions, shape (codes,); -1 where it is not in the pool."""
        sessions = self._features.sessions
        codes = self._features.session_codes(self.rows)
        places = np.full(0 if sessions is None else sessions.size, -1, np.intp)
        is_known = codes < len(places)
        places[codes[is_known]] = self.everything[is_known]
        return places

    def vectors_of(self, source: str = UNNAMED) -> Vectors | None:
        """The set of vectors `source`; None where the bundle has none."""
        return self.named.get(source) if source else self.vectors

    def nearness(self, source: str = UNNAMED) -> Nearness:
        """The vectors `source` of all items of the pool; raises ValueError in a bundle without them."""
        made = self._near.get(source)
        if made is None:
            vectors = self.vectors_of(source)
            if vectors is None:
                raise ValueError(f"this bundle has no vectors {source!r}" if source else "this bundle has no vectors")
            made = self._near[source] = Nearness(vectors, self._features.ids(self.rows))
        return made

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

    def kinds(self, attribute: str) -> list[tuple[int, ...]]:
        """Of all items of the pool, codes of the texts that an attribute has; none where it has none.

        Live facts are numbers, so that these stay as they are under them.
        """
        made = self._kinds.get(attribute)
        if made is None:
            code_of: dict[str, int] = {}
            brought = self.rows.brought
            made = self._kinds[attribute] = [
                tuple(code_of.setdefault(text, len(code_of)) for text in texts_of(attributes.get(attribute)))
                for attributes in (
                    map(self._items.attributes, self.rows.codes.tolist())
                    if brought is None
                    else (attributes_of(self._items, candidate) for candidate in brought)
                )
            ]
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
        named: Mapping[str, Vectors] | None = None,
    ) -> None:
        items = features.items
        self.placement = placement
        self.rules = PlacementRules(placement.eligibility)
        approved = items.approved_in(placement.format)
        codes = [
            code
            for code in dict.fromkeys(items.code_of[item] for item in collection if item in items.code_of)
            if approved[code] and self.rules.allow_item(items.ids[code], items.attributes(code))
        ]
        self.pool = Pool(features, Rows(np.array(codes, np.intp)), vectors, named)
        self._items = items
        schedule = placement.schedule
        self._hours = None if schedule is None else CompiledSchedule(schedule, items.zones[schedule.timezone])
        self._collection = collection
        self.sold_out: frozenset[ItemId] = frozenset()
        """Items, known or not, that live facts say are sold out."""
        self.gone: Mask | None = items.sold_out
        """What is not there over catalogue codes, shape (items + 1,), by live facts or else by the released stock; None
        where nothing is."""
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
            made = Catalogued(self.placement, self._collection, features, self.pool.vectors, self.pool.named)
        made.sold_out, made.gone = sold_out, gone
        made._warm()
        return made

    def is_open(self, now_ms: int) -> bool:
        """Whether anything is chosen for the placement at this moment, or its fallback is shown."""
        return self._hours is None or self._hours.is_open(now_ms)

    def may_show(self, item: ItemId, blocks: Blocks, now_ms: int) -> bool:
        """Whether an item of the catalogue may be shown without being ranked: approved, open, there and not muted.

        The placement's collection and its rules have no say.
        """
        items = self._items
        code = items.code_of.get(item, UNKNOWN)
        if item in self.sold_out or (self.gone is not None and self.gone[code]):
            return False
        is_open = items.open_at(np.array([code]), now_ms)[0]
        return bool(items.approved_in(self.placement.format)[code] and is_open) and not blocks.is_muted(
            item, items.attributes(code)
        )

    def _warm(self) -> None:
        """Make the columns that the arms will ask for, so that no request pays for them."""
        for arm in self.placement.arms.values():
            if isinstance(arm.ranking, ByAttribute):
                self.pool.numbers(arm.ranking.attribute)
            elif isinstance(arm.ranking, ByFormula):
                for part in parts_of(arm.ranking.formula):
                    if isinstance(part, OfItem):
                        self.pool.numbers(part.attribute)
            if self.placement.diversity is not None:
                self.pool.kinds(self.placement.diversity.attribute)
            if isinstance(arm.retrieval, Everything):
                continue
            self.pool.order(arm.retrieval.fill_attribute)
            self._warm_retrieval(arm.retrieval)

    def _warm_retrieval(self, retrieval: ByNeighbours | BySessions | ByVectors) -> None:
        # Touched once, they stay.
        match retrieval:
            case ByVectors(source=source):
                if self.pool.vectors_of(source) is not None:  # training begins before there are any
                    self.pool.nearness(source)
            case ByNeighbours(source=source):
                self.pool.neighbour_codes(source)
            case BySessions():
                _ = self.pool.place_of_session

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
        gone = self.gone
        if gone is not None:
            tests.append(lambda places: ~gone[codes[places]])
        named = [*exclude, *blocks.unwanted(self.placement)]
        blocked = blocks.mask(named)
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
                    passes[number] = rules.allow_pair(items.ids[code], items.attributes(code), facts)
                return passes

            tests.append(by_rules)
        return Gate(tests, named=len(named))


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
    rules, vectors, named = catalogued.rules, catalogued.pool.vectors, catalogued.pool.named
    if not rules.allow_visitor(facts):
        return Pool(features, features.rows(list[Candidate]()), vectors, named)
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
    return Pool(features, features.rows(allowed), vectors, named)


def rule_scores(
    pool: Pool,
    places: Places,
    ranking: Ranking,
    known: Known | None = None,
) -> Scores:
    """Finite scores by rule, higher is better.

    By priority: minus the place, so that the first has 0. By attribute: its value, or minus its value where the
    smallest is best. By retrieval: as `places` come. By formula: its value over what is `known` (None: of the items
    alone). What has no value stands below everything that has one. Raises what the scores of `known` raise.
    """
    match ranking:
        case ByFormula(formula=formula):
            value = evaluate(formula, known or Known(lambda name: pool.numbers(name)[places], NO_SCORES))
            scores = np.empty(len(places))
            scores[:] = value
            is_missing = ~np.isfinite(scores)
        case ByAttribute(attribute=attribute, descending=descending):
            values = pool.numbers(attribute)[places]
            scores = (values if descending else -values).astype(np.float64, copy=False)
            is_missing = np.isnan(scores)
        case ByRetrieval():
            return 0.0 - np.arange(len(places), dtype=np.float64)
        case _:
            return 0.0 - places.astype(np.float64)
    if is_missing.any():
        valued = scores[~is_missing]
        scores[is_missing] = _below(float(valued.min())) if len(valued) else 0.0
    return scores


def _below(lowest: float) -> float:
    """Less than the lowest value, and finite: by 1, or by the smallest step where 1 is lost in so large a number."""
    return max(min(lowest - 1, math.nextafter(lowest, -math.inf)), -sys.float_info.max)
