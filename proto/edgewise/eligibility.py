"""Who may be shown: approval, schedule, the visitor's own will, caps, and the placement's rules.

Approval, and the rules that look at items alone, have one answer for all visitors: they are applied once, when a
bundle is loaded. What a visitor has muted, seen or was shown too often is a mask over the catalogue, made once a
request. The dial and consent decide before all this what may be read of a profile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgewise.attributes import texts_of
from edgewise.bundle.items import ItemTable
from edgewise.bundle.policy import Cap, Compare, Every, Not, Placement, Rule, Some
from edgewise.consent import Grants
from edgewise.dial import DIAL_EVERYTHING, DIAL_NOTHING, DIAL_SESSION
from edgewise.features.view import View
from edgewise.ids import ItemId
from edgewise.profile.preferences import Mutes
from edgewise.profile.read import impressions_since, session_view
from edgewise.profile.state import Profile
from edgewise.request import Candidate, Context
from edgewise.rules import Attributes, CompiledRule, Facts, compile_rule, conjuncts, derived_in, reference

Mask = NDArray[np.bool_]

MUTED_DIMENSIONS: Final = {"categories": "category", "topics": "topic", "brands": "brand"}
"""Kind of mute -> the attribute whose values it names; `items` names ids."""
MUTED_ITEMS: Final = "items"
_NOBODY: Final = Facts(View(Profile(), Context(), 0, None))
"""For rules that look at items alone: they never ask it anything."""


def may_personalise(grants: Grants, dial: int) -> bool:
    """Whether this visitor may get more than what the page itself says. Dial 0 and a missing grant both deny."""
    return grants.personalisation and dial > DIAL_NOTHING


def readable(profile: Profile, dial: int, now_ms: int) -> Profile:
    """What the dial lets be read of a profile: all (3), this session (2), nothing (1 and 0)."""
    if dial >= DIAL_EVERYTHING:
        return profile
    return session_view(profile, now_ms) if dial == DIAL_SESSION else Profile()


class PlacementRules:
    """A placement's rules, sorted by what they look at, so that each is asked as rarely as possible."""

    def __init__(self, rules: list[Rule]) -> None:
        compiled = [compile_rule(rule) for rule in conjuncts(rules)]
        self._of_item = [rule for rule in compiled if not rule.reads_visitor]
        self._of_visitor = [rule for rule in compiled if rule.reads_visitor and not rule.reads_item]
        self._of_both = [rule for rule in compiled if rule.reads_visitor and rule.reads_item]
        self.derived = [(path, compile_rule(rule)) for path, rule in _derived(rules)]
        """Comparisons that let an item in because of what is derived from recent browsing, each with the path of it."""

    @property
    def item_attributes(self) -> frozenset[str]:
        """Attributes of an item that rules of the item alone ask for: their answer changes with these."""
        return frozenset[str]().union(*(rule.attributes for rule in self._of_item))

    def allow_item(self, item: ItemId, attributes: Attributes) -> bool:
        """Whether an item passes all rules that look at items alone."""
        return _all(self._of_item, item, attributes, _NOBODY)

    def allow_visitor(self, facts: Facts) -> bool:
        """Whether a request passes all rules that look at no item."""
        return _all(self._of_visitor, ItemId(""), {}, facts)

    @property
    def look_at_items(self) -> bool:
        """Whether some rule asks anything of an item."""
        return bool(self._of_item or self._of_both)

    @property
    def look_at_both(self) -> bool:
        """Whether some rule must be asked for every candidate of every request."""
        return bool(self._of_both)

    def allow_pair(self, item: ItemId, attributes: Attributes, facts: Facts) -> bool:
        """Whether an item passes, for this request, the rules that look at both."""
        return _all(self._of_both, item, attributes, facts)


class Blocks:
    """What one visitor must not be shown, in this request. Masks are over catalogue codes, True is blocked."""

    def __init__(self, items: ItemTable, mute: Mutes, profile: Profile, now_ms: int) -> None:
        """`profile` is what may be read: nothing of it for opted-out visitors. Mutes always hold."""
        self._items = items
        self._mute = {kind: frozenset(values) for kind, values in mute.items() if values}
        self._profile = profile
        self._now_ms = now_ms
        self._muted_mask: Mask | None = None
        self._capped: dict[tuple[int, int], frozenset[ItemId]] = {}
        if self._mute:
            self._muted_mask = self._mask_of_mutes()

    @property
    def mute_something(self) -> bool:
        """Whether the visitor has muted anything."""
        return bool(self._mute)

    def is_muted(self, item: ItemId, attributes: Attributes) -> bool:
        """Whether the visitor has muted an item or one of its categories, topics or brands."""
        for kind, values in self._mute.items():
            if kind == MUTED_ITEMS:
                if item in values:
                    return True
            elif kind in MUTED_DIMENSIONS and not values.isdisjoint(texts_of(attributes.get(MUTED_DIMENSIONS[kind]))):
                return True
        return False

    def mask(self, named: Sequence[ItemId]) -> Mask | None:
        """What is muted, and the items that are named; shape (items + 1,). None where nothing is."""
        if not named:
            return self._muted_mask
        code_of = self._items.code_of
        codes = [code_of[item] for item in named if item in code_of]
        mask = np.zeros(len(self._items) + 1, np.bool_) if self._muted_mask is None else self._muted_mask.copy()
        mask[codes] = True
        return mask

    def unwanted(self, placement: Placement) -> Collection[ItemId]:
        """Items that a placement leaves out because of this visitor's past: seen, or shown too often."""
        seen: Collection[ItemId] = self._profile.items if placement.exclude_seen else ()
        if placement.cap is None:
            return seen
        capped = self._over(placement.cap)
        return capped.union(seen) if capped and seen else capped or seen

    def _over(self, cap: Cap) -> frozenset[ItemId]:
        key = (cap.impressions, cap.days)
        if key not in self._capped:
            shown = impressions_since(self._profile, self._now_ms, cap.days) if self._profile.impressions else {}
            self._capped[key] = frozenset(item for item, count in shown.items() if count >= cap.impressions)
        return self._capped[key]

    def _mask_of_mutes(self) -> Mask:
        items = self._items
        mask = np.zeros(len(items) + 1, np.bool_)
        for kind, values in self._mute.items():
            if kind == MUTED_ITEMS:
                mask[[items.code_of[ItemId(value)] for value in values if value in items.code_of]] = True
            elif kind in MUTED_DIMENSIONS:
                dimension = items.dimension(MUTED_DIMENSIONS[kind])
                for value in values:
                    code = dimension.value_code.get(value)
                    if code is not None:
                        mask[dimension.items_of[code]] = True
        return mask


def attributes_of(items: ItemTable, candidate: Candidate) -> Attributes:
    """What a candidate states of itself, before what the catalogue says of the item."""
    code = items.code_of.get(candidate.id)
    if code is None:
        return candidate.attributes
    known = items.attributes(code)
    return {**known, **candidate.attributes} if candidate.attributes else known


def in_schedule(items: ItemTable, codes: NDArray[np.intp], now_ms: int) -> Mask:
    """Which items may be shown at this moment: from their start (included) to their end (excluded), by their hours."""
    return items.open_at(codes, now_ms)


def _derived(rules: list[Rule]) -> Iterator[tuple[str, Compare]]:
    for rule in rules:
        match rule:
            case Every(rules=parts) | Some(rules=parts):
                yield from _derived(parts)
            case Compare():
                for path in (rule.of, reference(rule.to) or ""):
                    if derived_in(path) is not None:
                        yield path, rule
            case Not():
                pass  # what keeps an item out is no reason to show another


def _all(rules: list[CompiledRule], item: ItemId, attributes: Attributes, facts: Facts) -> bool:
    return all(rule.test(item, attributes, facts) for rule in rules)
