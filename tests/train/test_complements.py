"""`hub.train.complements`: what is bought with an item more often than its popularity explains."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hub_records import event
from hypothesis import given
from hypothesis import strategies as st

from edgewise.bundle.catalogue import Catalogue, Item
from edgewise.bundle.neighbours import Neighbours, decode_neighbours
from edgewise.errors import InputError
from edgewise.ids import ItemId, Producer, SubjectId
from edgewise.profile.state import DAY_MS
from edgewise.records import EventRecord, Touch
from hub.site.recipes import ComplementRecipe
from hub.train.complements import MOST_PIECES, complements
from hub.train.history import History

NOTHING = Catalogue([])
Order = tuple[str, int, Sequence[str]]
"""Visitor, day, items."""


def bought(orders: Sequence[Order], *, name: str = "Order Completed") -> History:
    records: list[EventRecord] = [
        event(
            seq,
            producer=Producer("import/past"),
            subject=SubjectId(visitor),
            name=name,
            time_ms=(day + 1) * DAY_MS,
            touches=tuple(Touch(ItemId(item)) for item in items),
        )
        for seq, (visitor, day, items) in enumerate(orders)
    ]
    return History(records)


def learned(orders: Sequence[Order], catalogue: Catalogue = NOTHING, **recipe: object) -> Neighbours:
    history = bought(orders)
    wanted = ComplementRecipe(**{"fewest_together": 1, "shrink": 1.0, **recipe})  # type: ignore[arg-type]
    return decode_neighbours(complements(history, len(history), wanted, catalogue))


def table(neighbours: Neighbours) -> dict[tuple[str, str], float]:
    rows: dict[tuple[str, str], float] = {}
    for code, speaker in enumerate(neighbours.items):
        for entry in range(neighbours.indptr[code], neighbours.indptr[code + 1]):
            rows[speaker, neighbours.items[neighbours.indices[entry]]] = float(neighbours.weights[entry])
    return rows


def loudest(neighbours: Neighbours, speaker: str) -> list[str]:
    """Whom an item speaks for, loudest first."""
    said = {other: weight for (one, other), weight in table(neighbours).items() if one == speaker}
    return sorted(said, key=lambda other: -said[other])


SHOP: list[Order] = [
    *((f"a{number}", number, ["laptop", "mouse", "bread"]) for number in range(6)),
    *((f"b{number}", number, ["laptop", "other laptop"]) for number in range(6)),
    *((f"c{number}", number, ["bread"]) for number in range(30)),
    *((f"d{number}", number, ["milk", "bread"]) for number in range(6)),
]


def test_what_goes_with_an_item_is_told_from_what_is_popular() -> None:
    found = learned(SHOP)
    assert "bread" not in loudest(found, "laptop"), "bread is bought with laptops less often than with anything"
    assert set(loudest(found, "laptop")) == {"mouse", "other laptop"}
    assert loudest(found, "mouse")[0] == "laptop"


def test_a_site_may_keep_a_category_apart() -> None:
    catalogue = Catalogue(
        [
            Item(ItemId("laptop"), {}, {"category": "computers"}),
            Item(ItemId("other laptop"), {}, {"category": ["computers", "gifts"]}),
            Item(ItemId("mouse"), {}, {"category": "accessories"}),
        ]
    )
    found = learned(SHOP, catalogue, apart="category")
    assert loudest(found, "laptop") == ["mouse"]
    assert loudest(found, "other laptop") == []
    assert loudest(learned(SHOP, catalogue), "other laptop") == ["laptop"]


def test_what_is_bought_soon_after_counts_one_way_only() -> None:
    later: list[Order] = [
        *((f"v{number}", 0, ["laptop"]) for number in range(5)),
        *((f"v{number}", 10, ["bag"]) for number in range(5)),
        *((f"w{number}", 0, ["milk"]) for number in range(20)),
    ]
    assert table(learned(later)) == {}
    assert loudest(learned(later, days=14), "laptop") == ["bag"]
    assert loudest(learned(later, days=14), "bag") == []
    assert table(learned(later, days=9)) == {}


def test_only_orders_count_and_no_reseller() -> None:
    viewed = bought([("a", 0, ["laptop", "mouse"])] * 3, name="Product Viewed")
    with pytest.raises(InputError, match="nobody ordered anything in the first 3 records"):
        complements(viewed, len(viewed), ComplementRecipe(), NOTHING)
    stock = [f"piece-{number}" for number in range(MOST_PIECES + 1)]
    found = learned([("a", 0, ["laptop", "mouse"]), ("b", 0, stock), ("c", 0, ["milk"])])
    assert set(found.items) == {"laptop", "mouse", "milk"}


def test_what_came_later_is_not_known() -> None:
    history = bought(SHOP)
    early = complements(history, 6, ComplementRecipe(fewest_together=1), NOTHING)
    assert set(decode_neighbours(early).items) == {"laptop", "mouse", "bread", "other laptop", "milk"}
    assert table(decode_neighbours(early)) != table(learned(SHOP, shrink=20.0))
    first = complements(history, 1, ComplementRecipe(fewest_together=1), NOTHING)
    assert set(decode_neighbours(first).items) == set(SHOP[0][2])


@given(
    orders=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 4), st.sets(st.sampled_from("uvwxyz"), min_size=1)),
        min_size=1,
        max_size=14,
    ),
    days=st.integers(0, 2),
    shrink=st.sampled_from([0.5, 20.0]),
    fewest=st.integers(1, 3),
)
def test_weights_equal_the_formula_read_literally(
    orders: list[tuple[str, int, set[str]]], days: int, shrink: float, fewest: int
) -> None:
    told = [(visitor, day, sorted(items)) for visitor, day, items in sorted(orders, key=lambda one: one[1])]
    within = [
        {
            item
            for place, (visitor, day, items) in enumerate(told)
            if place == number or (days and place > number and visitor == who and day - since <= days)
            for item in items
        }
        for number, (who, since, _) in enumerate(told)
    ]
    names = sorted({item for _, _, items in told for item in items})
    share = {item: sum(item in bag for bag in within) / len(told) for item in names}
    expected = {}
    for one in names:
        count = sum(one in items for _, _, items in told)
        for two in names:
            together = sum(one in items and two in bag for (_, _, items), bag in zip(told, within, strict=True))
            weight = (together - count * share[two]) / (count + shrink)
            if one != two and together >= fewest and weight > 1e-12:
                expected[one, two] = weight
    found = table(learned(told, days=days, shrink=shrink, fewest_together=fewest))
    assert {pair: weight for pair, weight in found.items() if weight > 1e-12} == pytest.approx(expected, rel=1e-5)
