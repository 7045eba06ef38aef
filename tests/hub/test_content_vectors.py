"""Content vectors of a site: alike items point the same way, and the same catalogue gives the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from release_world import Shop

from edgewise.admission.load import load_bundle
from edgewise.bundle.catalogue import Catalogue, Item
from edgewise.bundle.manifest import VECTORS
from edgewise.bundle.vectors import Vectors, decode_vectors
from edgewise.errors import SiteError
from edgewise.ids import BundleVersion, ItemId, PlacementName
from hub.content_vectors import content_vectors, terms_of
from hub.release.bundle import build_bundle, check_bundle
from hub.site.recipes import VectorRecipe

SUBJECTS = {
    "sailing": "boat harbour wind mast anchor knots tide",
    "baking": "flour oven yeast dough crust butter sugar",
    "chess": "opening gambit endgame bishop rook tempo",
}


def books(each: int) -> Catalogue:
    """Books about three subjects; a title holds three words of its subject, and one of its own."""
    generator = np.random.default_rng(2)
    items = []
    for subject, words in SUBJECTS.items():
        for number in range(each):
            chosen = generator.choice(words.split(), 3, replace=False)
            title = f"{' '.join(chosen)} {subject}{number}"
            items.append(Item(ItemId(f"{subject}-{number}"), {"title": title}, {"brand": ["press"]}))
    return Catalogue(items)


def cosine(vectors: Vectors, one: str, other: str) -> float:
    a, b = (vectors.rows[vectors.code_of[ItemId(name)]].astype(np.float64) for name in (one, other))
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_items_about_the_same_subject_are_alike() -> None:
    vectors = decode_vectors(content_vectors(books(30), VectorRecipe(labels=(), width=4)))
    generator = np.random.default_rng(3)
    within, between = [], []
    for _ in range(60):
        one, other = generator.choice(list(SUBJECTS), 2, replace=False)
        first, second = generator.choice(30, 2, replace=False)
        within.append(cosine(vectors, f"{one}-{first}", f"{one}-{second}"))
        between.append(cosine(vectors, f"{one}-{first}", f"{other}-{second}"))
    assert np.median(within) > 0.6
    assert np.median(between) < 0.2


def test_the_same_catalogue_gives_the_same_bytes_in_lists_as_well() -> None:
    recipe = VectorRecipe(width=8)
    whole = content_vectors(books(20), recipe)
    in_lists = content_vectors(books(20), recipe, exact_items=10)
    assert content_vectors(books(20), recipe) == whole
    assert content_vectors(books(20), recipe, exact_items=10) == in_lists
    assert not len(decode_vectors(whole).centroids)
    assert len(decode_vectors(in_lists).centroids)
    assert rows_of(decode_vectors(in_lists)) == rows_of(decode_vectors(whole))


def rows_of(vectors: Vectors) -> dict[ItemId, list[int]]:
    return {item: vectors.rows[code].tolist() for item, code in vectors.code_of.items()}


@pytest.mark.parametrize(
    "items",
    [
        [],
        [Item(ItemId("alone"), {"title": "nothing in common"})],
        [Item(ItemId("one"), {}), Item(ItemId("two"), {"title": ["odd"]}, {"brand": 5.0})],
        [Item(ItemId("one"), {}, {"brand": "x"}), Item(ItemId("two"), {}, {"brand": "x"})],
    ],
)
def test_a_catalogue_that_says_little_has_vectors_too(items: list[Item]) -> None:
    vectors = decode_vectors(content_vectors(Catalogue(items), VectorRecipe()))
    assert vectors.items == [item.id for item in items]


def test_words_and_labels() -> None:
    content: dict[str, Any] = {"title": "The Wind & the SEA: a 2nd try", "price": 5, "body": "unread"}
    item = Item(ItemId("x"), content, {"title": "More wind", "category": ["sea tales", "wind"], "brand": "B"})
    assert sorted(terms_of(item, VectorRecipe())) == sorted(
        ["the", "wind", "the", "sea", "2nd", "try", "more", "wind", "category=sea tales", "category=wind", "brand=B"]
    )


# --- in a site -----------------------------------------------------------------------------------------------------
@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.edit(
        "placements/home_list.yaml",
        "\narm: champion",
        "\n  alike:\n    ranking: {method: priority}\n"
        "    retrieval: {method: vectors, fill_attribute: popularity, limit: 6, half_life_days: 7}\narm: alike",
    )
    return made


def test_a_site_that_retrieves_by_content_ships_vectors_and_no_word(shop: Shop) -> None:
    contents = shop.contents()
    built = build_bundle(contents, {}, version=BundleVersion(1), parent=None, created_ms=shop.clock.now_ms())
    check_bundle(built, now_ms=shop.clock.now_ms())
    bundle = load_bundle(built.manifest, built.digest, built.resources)
    assert bundle.vectors is not None
    assert bundle.vectors.items == [item.id for item in contents.catalogue.items]
    assert cosine(bundle.vectors, "sencha", "breakfast-tea") > cosine(bundle.vectors, "sencha", "filter-papers")
    assert bundle.placements[PlacementName("home_list")].pool.nearness() is not None
    # Words must not leak: nothing but ids and numbers is in the resource.
    rows = msgspec.msgpack.decode(built.resources[VECTORS])
    assert sorted(rows) == ["bounds", "centroids", "items", "rows", "width"]


def test_the_recipe_is_in_the_site(shop: Shop) -> None:
    def vectors() -> bytes:
        built = build_bundle(shop.contents(), {}, version=BundleVersion(1), parent=None, created_ms=1)
        return built.resources[VECTORS]

    before = vectors()
    shop.edit("site.yaml", "holdout: 0", "holdout: 0\nvectors: {width: 3}")
    assert decode_vectors(vectors()).width == 3
    assert vectors() != before


def test_a_site_without_such_an_arm_ships_none(tmp_path: Path) -> None:
    contents = Shop(tmp_path).contents()
    built = build_bundle(contents, {}, version=BundleVersion(1), parent=None, created_ms=1)
    assert VECTORS not in built.resources


def test_what_visitors_who_opted_out_get_does_not_ask_what_they_like(shop: Shop) -> None:
    shop.edit("placements/home_list.yaml", "opted_out_arm: champion", "opted_out_arm: alike")
    with pytest.raises(SiteError, match="1 problem") as refused:
        shop.contents()
    assert "asks the visitor's history" in refused.value.problems[0].message


def test_the_filling_is_a_number_that_some_item_has(shop: Shop) -> None:
    shop.edit("placements/home_list.yaml", "fill_attribute: popularity", "fill_attribute: popularty")
    with pytest.raises(SiteError, match="1 problem") as refused:
        shop.contents()
    assert "did you mean 'popularity'" in refused.value.problems[0].message
