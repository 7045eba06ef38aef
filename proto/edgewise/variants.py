"""Copies of an item, each for whom its rule says so: which one a visitor reads is decided when the item stands already.

Only approved copies take part, and an item without an approval of its own is shown in none of them. The rules see what
eligibility sees, visitor scores too; a score that is missing leaves the item's own content.
"""

from __future__ import annotations

from typing import NamedTuple

from edgewise.bundle.catalogue import Variant
from edgewise.bundle.items import ItemTable, encoded_content, is_approved
from edgewise.decision import Why
from edgewise.ids import ItemId
from edgewise.rules import Facts, Test, compile_rule

VARIANT: str = "variant"


class _Copy(NamedTuple):
    variant: Variant
    test: Test
    content_json: bytes


class Variants:
    """All approved copies of a catalogue. Immutable once made."""

    def __init__(self, items: ItemTable) -> None:
        """Rules must have been checked."""
        self._copies: dict[ItemId, dict[str, _Copy]] = {}
        for item, may_show in zip(items.items, items.approved.tolist(), strict=False):
            if item.variants and may_show:
                self._copies[item.id] = {
                    variant.name: _Copy(variant, compile_rule(variant.when).test, encoded_content(variant))
                    for variant in item.variants
                    if is_approved(variant)
                }

    def __bool__(self) -> bool:
        return bool(self._copies)

    def choose(self, item: ItemId, items: ItemTable, facts: Facts) -> Variant | None:
        """The copy of an item for this visitor, None for its own content. `items`: the catalogue as it stands now.

        Raises what the visitor's scores raise.
        """
        copies = self._copies.get(item)
        if copies is None:
            return None
        attributes = items.attributes(items.code_of[item])
        return next((copy.variant for copy in copies.values() if copy.test(item, attributes, facts)), None)

    def content_json(self, item: ItemId, name: str) -> bytes | None:
        """The approved content of a copy as JSON; None where there is none."""
        copy = self._copies.get(item, {}).get(name)
        return None if copy is None else copy.content_json

    def why(self, item: ItemId, name: str) -> tuple[Why, ...]:
        """The cause of a copy, in its own sentence where it has one."""
        copy = self._copies.get(item, {}).get(name)
        sentence = "" if copy is None else copy.variant.sentence
        return (Why(VARIANT, sentence or f"Worded in the variant {name}", 0.0),)
