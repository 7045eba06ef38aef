"""Collections that ask: by tags, by a query, in an order; the same as a person would pick by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.ids import ItemId
from hub.site.collecting import members
from hub.site.files import CollectionFile, ItemFile

Items = dict[ItemId, ItemFile]

SHELF = [
    ("sencha", {"category": ["tea"], "topic": ["green", "grassy"], "price": 8.5, "origin": "Japan"}),
    ("matcha", {"category": ["tea"], "topic": ["green", "sweet"], "price": 24.0, "origin": "Japan"}),
    ("assam", {"category": ["tea"], "topic": ["black", "malty"], "price": 6.0, "origin": "India"}),
    ("mocha", {"category": ["coffee"], "topic": ["sweet"], "price": 9.0}),
    ("grinder", {"category": ["tool"], "note": "by hand"}),
]


def shelf(entries: list[tuple[str, Any]] = SHELF) -> Items:
    return {ItemId(name): ItemFile(ItemId(name), {}, attributes) for name, attributes in entries}


def asked(**said: Any) -> list[ItemId]:
    return members(shelf(), msgspec.convert(said, CollectionFile))


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"any": ["tea"]}, ["sencha", "matcha", "assam"]),
        ({"any": ["tea", "tool"], "none": ["green"]}, ["assam", "grinder"]),
        ({"all": ["tea", "sweet"]}, ["matcha"]),
        ({"any": ["Japan"]}, ["sencha", "matcha"]),
        ({"any": ["sweet"], "of": ["topic"]}, ["matcha", "mocha"]),
        ({"none": ["tea"]}, ["mocha", "grinder"]),
    ],
)
def test_tags_are_values_of_text_attributes(tags: Any, expected: list[str]) -> None:
    assert asked(tags=tags) == expected


def test_tags_and_a_query_must_both_hold() -> None:
    cheap = {"match": "compare", "of": "item.price", "op": "lt", "to": 9}
    assert asked(where=cheap) == ["sencha", "assam"]
    assert asked(where=cheap, tags={"any": ["green"]}) == ["sencha"]


def test_an_order_puts_what_lacks_the_attribute_last_either_way() -> None:
    assert asked(all=True, order_by=["price"]) == ["assam", "sencha", "mocha", "matcha", "grinder"]
    assert asked(all=True, order_by=["-price"], limit=3) == ["matcha", "mocha", "sencha"]
    assert asked(all=True, order_by=["origin", "-price"]) == ["assam", "matcha", "sencha", "mocha", "grinder"]


attributes = st.fixed_dictionaries(
    {},
    optional={
        "category": st.lists(st.sampled_from("abc"), max_size=3),
        "brand": st.sampled_from("abc"),
        "price": st.integers(0, 3).map(float),
    },
)
words = st.lists(st.sampled_from("abc"), max_size=2)


asked_for = st.fixed_dictionaries({"any": words, "all": words, "none": words})


@given(st.lists(attributes, max_size=8), asked_for, st.sampled_from(["price", "-price"]), st.integers(1, 9))
def test_the_members_are_those_that_a_person_would_pick(
    catalogue: list[Any], tags: dict[str, list[str]], order: str, limit: int
) -> None:
    items = shelf([(str(number), entry) for number, entry in enumerate(catalogue)])
    collection = msgspec.convert({"tags": tags, "order_by": [order], "limit": limit}, CollectionFile)
    picked = []
    for number, entry in enumerate(catalogue):
        own = {*entry.get("category", []), entry.get("brand")}
        wanted = all(tag in own for tag in tags["all"]) and not any(tag in own for tag in tags["none"])
        if wanted and (not tags["any"] or any(tag in own for tag in tags["any"])):
            price = entry.get("price")
            sign = -1 if order == "-price" else 1
            picked.append((price is None, 0 if price is None else sign * price, number))
    assert members(items, collection) == [str(number) for *_, number in sorted(picked)][:limit]
