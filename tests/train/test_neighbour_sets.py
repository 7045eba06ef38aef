"""`hub.train.neighbour_sets` and `hub.train.factors`: neighbours by content, new items, vectors of use."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgewise.bundle.neighbours import Neighbours, decode_neighbours
from edgewise.bundle.vectors import Vectors, decode_vectors, encode_vectors, quantised
from edgewise.errors import InputError
from edgewise.ids import ItemId
from hub.recommend.blend import DEFAULTS, Blend
from hub.recommend.interactions import encode
from hub.recommend.lessons import Lessons
from hub.site.recipes import ContentRecipe, FactorRecipe, NeighbourRecipe
from hub.train.factors import factors_of
from hub.train.history import Touches
from hub.train.neighbour_sets import by_content, by_use, worth_of_content

ITEMS = tuple(ItemId(f"i{number}") for number in range(9))


def content(*angles: float, items: tuple[ItemId, ...] = ITEMS) -> Vectors:
    """Directions in the plane, in degrees."""
    radians = np.deg2rad(angles)
    rows = quantised(np.column_stack([np.cos(radians), np.sin(radians)]))
    return decode_vectors(encode_vectors(list(items[: len(angles)]), rows))


def touches(pairs: list[tuple[int, int]]) -> Touches:
    """(visitor, item), one minute after the other."""
    visitor, item = np.array(pairs, np.int64).T
    return Touches(
        deed=np.arange(len(pairs), dtype=np.int64),
        visitor=visitor.astype(np.int32),
        item=item.astype(np.int32),
        moment_ms=np.arange(len(pairs), dtype=np.int64) * 60_000,
        rating=np.full(len(pairs), np.nan),
        items=ITEMS,
    )


def taste_of_two(visitors: int = 40) -> list[tuple[int, int]]:
    """Half of the visitors like i0, i1, i2, the others i3, i4, i5; i6 was touched once."""
    pairs = [(visitor, 3 * (visitor % 2) + item) for visitor in range(visitors) for item in range(3)]
    return [*pairs, (0, 6)]


def said(neighbours: Neighbours, speaker: str) -> dict[str, float]:
    row = neighbours.code_of[ItemId(speaker)]
    entries = range(neighbours.indptr[row], neighbours.indptr[row + 1])
    return {neighbours.items[neighbours.indices[entry]]: float(neighbours.weights[entry]) for entry in entries}


def test_alike_items_are_neighbours_by_content() -> None:
    found = decode_neighbours(by_content(content(0, 10, 100, 110), ContentRecipe(per_item=1)))
    assert {speaker: list(said(found, speaker)) for speaker in found.items} == {
        "i0": ["i1"],
        "i1": ["i0"],
        "i2": ["i3"],
        "i3": ["i2"],
    }
    assert said(found, "i0")["i1"] == pytest.approx(np.cos(np.deg2rad(10)), abs=0.01)


def test_a_new_item_is_spoken_for_by_what_it_is_like() -> None:
    told = touches(taste_of_two())
    like_the_second = content(0, 5, 10, 90, 95, 100, 92, 3)  # i6 was touched once, i7 never, i8 says nothing
    found = decode_neighbours(by_use(told, NeighbourRecipe(l2=1, content_below=2), like_the_second))
    assert set(found.items) == set(ITEMS[:8])
    assert set(said(found, "i6")) == {"i3", "i4", "i5", "i0", "i1", "i2"} & set(said(found, "i6"))
    assert said(found, "i3")["i6"] == max(said(found, speaker).get("i6", 0.0) for speaker in ITEMS[:6])
    assert said(found, "i3")["i6"] > said(found, "i1").get("i6", 0.0)
    assert said(found, "i0")["i7"] > said(found, "i4").get("i7", 0.0)
    known = decode_neighbours(by_use(told, NeighbourRecipe(l2=1, content_below=2), None))
    assert "i6" not in known.items, "without content there is nothing to say of it"
    for speaker in ITEMS[:6]:
        learned = {other: weight for other, weight in said(found, speaker).items() if other in ITEMS[:6]}
        assert learned == said(known, speaker), "what use tells stays as it is"
    assert max(said(found, "i0").values()) >= said(found, "i0")["i7"], "new items are no louder than known ones"


def test_tastes_beside_ease_give_the_weights_of_a_blend_on_the_scale_of_ease() -> None:
    pairs = np.argwhere(np.random.default_rng(5).random((30, 7)) < 0.4)
    asked = {"user_power": 0.5, "item_power": 0.25, "dropout": 0.1, "tastes": 0.5}
    recipe = NeighbourRecipe(l2=5, rank=2, user_power=0.5, item_power=0.25, dropout=0.1, tastes=0.5)
    found = decode_neighbours(by_use(touches([(a, b) for a, b in pairs.tolist()]), recipe))
    history = encode([str(a) for a, _ in pairs], [f"i{b}" for _, b in pairs])
    blend = Blend(Lessons(history, np.arange(len(pairs))))
    expected = blend.weights({**DEFAULTS, **asked, "lambda": 5.0, "rank": 2.0, "liking": 0.0})
    got = np.array([[said(found, one).get(other, 0.0) for other in history.items] for one in history.items])
    assert list(found.items) == list(history.items)
    scale = np.abs(got).sum() / np.abs(expected).sum()
    np.testing.assert_allclose(got, expected * scale, rtol=1e-5, atol=1e-7)


def test_content_that_says_nothing_of_use_is_worth_nothing() -> None:
    told = touches(taste_of_two())
    against = content(0, 90, 180, 1, 91, 181, 92, 3)  # neighbours by content are never used together
    found = decode_neighbours(by_use(told, NeighbourRecipe(l2=1, content_below=2), against))
    assert said(found, "i7") == {}
    weights = np.array([[0.0, -0.2], [-0.2, 0.0]])
    assert worth_of_content(weights, np.array([[1.0, 0.0], [1.0, 0.0]]), np.ones(1)).tolist() == [0.0]


@given(
    rows=arrays.arrays(np.float64, (5, 3), elements=st.floats(-1, 1).map(lambda number: round(number, 2))),
    worth=st.sampled_from([0.25, 2.0]),
    cosine=st.floats(0.01, 1.0),
)
def test_new_neighbours_are_as_loud_as_known_ones(rows: np.ndarray, worth: float, cosine: float) -> None:
    length = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
    unit = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, 0.0)
    alike = np.round(cosines, 6)[np.round(cosines, 6) > 0]
    expected = worth * min(cosine, float(alike.mean())) if len(alike) else 0.0
    assert worth_of_content(worth * cosines, unit, np.array([cosine])) == pytest.approx([expected], abs=1e-4)


def test_when_all_items_are_new_that_is_said() -> None:
    with pytest.raises(InputError, match="no item was touched by 100 visitors"):
        by_use(touches(taste_of_two()), NeighbourRecipe(content_below=100), None)


def test_items_of_the_same_visitors_point_the_same_way() -> None:
    told = touches(taste_of_two())
    recipe = FactorRecipe(factors=4, iterations=20)
    data = factors_of(told, recipe)
    assert data == factors_of(told, recipe), "the same touches give the same bytes"
    found = decode_vectors(data)
    rows = found.rows.astype(np.float64)
    cosines = {
        (one, two): float(rows[found.code_of[ItemId(one)]] @ rows[found.code_of[ItemId(two)]]) / 127**2
        for one in ("i0", "i3")
        for two in ("i1", "i2", "i4", "i5")
    }
    assert min(cosines["i0", "i1"], cosines["i0", "i2"]) > 0.5 > max(cosines["i0", "i4"], cosines["i0", "i5"])
    assert min(cosines["i3", "i4"], cosines["i3", "i5"]) > 0.5 > max(cosines["i3", "i1"], cosines["i3", "i2"])
    assert len(decode_vectors(factors_of(told, recipe, exact_items=2)).bounds) > 2
