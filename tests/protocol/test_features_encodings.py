"""Codes, hashes, crosses and traits: what they may be made of, and what comes of values that nobody declared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import world
from hypothesis import given
from hypothesis import strategies as st

from edgewise.admission.check_features import check_features
from edgewise.attributes import CONTEXT_FIELDS
from edgewise.bundle.catalogue import Catalogue, Item
from edgewise.bundle.items import ItemTable
from edgewise.consent import Grants
from edgewise.errors import BundleRefused
from edgewise.features import table as declared
from edgewise.features.coding import coder_of, written
from edgewise.features.compile import CompiledFeatures
from edgewise.features.encodings import codes_of, is_categorical, is_source, wrong_cross
from edgewise.features.table import Feature, FeatureTable, decode_features, encode_features
from edgewise.ids import ItemId, ModelName
from edgewise.profile.state import Profile
from edgewise.request import Candidate, Context, Device

DEVICE = declared.Code(name="device", of="context.device.type", values=("mobile", "desktop"))
BRAND = declared.Hash(name="brand", of="item.brand", buckets=8)
PRICE = declared.ItemAttribute(name="price", attribute="price")
PAIR = declared.Cross(name="pair", of=("device", "brand"), how="pair")
PRODUCT = declared.Cross(name="product", of=("price", "price"))
KNOWN = {feature.name: feature for feature in (DEVICE, BRAND, PRICE, PAIR)}


def row(table: list[Feature], attributes: dict[str, Any], context: Context | None = None) -> list[float]:
    """Of one item that the caller brings; of the same one in the catalogue the row must be the same."""
    item = ItemId("tea")
    rows = []
    for known, stated in ((attributes, {}), ({}, attributes)):
        features = CompiledFeatures(FeatureTable(table), ItemTable(Catalogue([Item(item, {}, known)])))
        made = features.compute(
            Profile(), context or Context(), world.EVERYTHING_GRANTED, world.NOW_MS, [Candidate(item, stated)]
        )
        rows.append(made[0])
    np.testing.assert_array_equal(*rows)
    values: list[float] = rows[0].tolist()
    return values


def test_a_table_is_the_same_after_a_journey() -> None:
    table = FeatureTable([DEVICE, BRAND, PRICE, PAIR, PRODUCT, declared.Position(name="slot", serve_as=2.0)])
    assert decode_features(encode_features(table)) == table


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (None, ()),
        ("", ()),
        ("tea", ("tea",)),
        (True, ("true",)),
        (3, ("3",)),
        (3.0, ("3",)),  # JSON and MessagePack may disagree about the point
        (0.5, ("0.5",)),
        (-0.0, ("0",)),
        (float("nan"), ("nan",)),
        (float("inf"), ("inf",)),
        (10**30, (str(10**30),)),
        (["tea", "", "mate"], ("tea", "mate")),
        ([], ()),
    ],
)
def test_a_value_is_coded_as_it_is_written(value: Any, texts: tuple[str, ...]) -> None:
    assert written(value) == texts


def test_the_first_declared_value_counts_and_one_of_tomorrow_is_missing() -> None:
    code = declared.Code(name="kind", of="item.kind", values=("black", "green", "1"))
    assert row([code], {"kind": ["oolong", "green", "black"]}) == [1.0]
    assert np.isnan(row([code], {"kind": True})).all()
    assert row([code], {"kind": 1.0}) == [2.0]
    unknowns: list[dict[str, Any]] = [{"kind": "oolong"}, {"kind": []}, {}]
    for unknown in unknowns:
        assert np.isnan(row([code], unknown)).all()


@given(st.text(min_size=1), st.integers(2, 65_536))
def test_a_hash_is_a_bucket_and_always_the_same_one(text: str, buckets: int) -> None:
    feature = declared.Hash(name="h", of="item.brand", buckets=buckets)
    first, again = (coder_of(feature)(text) for _ in range(2))
    assert first == again
    assert first in range(buckets)


def test_hashes_are_those_of_the_specification() -> None:
    """FNV-1a, 32 bits, of `foobar` is bf9cf968 (draft-eastlake-fnv, appendix C)."""
    assert coder_of(declared.Hash(name="h", of="item.brand", buckets=65_536))("foobar") == 0xBF9CF968 % 65_536


def test_a_text_is_hashed_no_further_than_any_field_of_a_page_is_long() -> None:
    """Attributes of a page may be as long as the request: hashed whole, each would take its time and stay in memory."""
    code = coder_of(declared.Hash(name="h", of="context.attributes.shelf", buckets=65_536))
    longest = "x" * 1_999
    assert code(longest + "yz" * 300_000) == code(longest + "y")
    assert code(longest + "y") != code(longest + "z")


def test_every_pair_has_a_code_of_its_own() -> None:
    first = declared.Code(name="a", of="item.a", values=("x", "y", "z"))
    second = declared.Code(name="b", of="item.b", values=("p", "q"))
    table: list[Feature] = [declared.Cross(name="c", of=("a", "b"), how="pair"), first, second]
    codes = [row(table, {"a": a, "b": b})[0] for a in "xyz" for b in "pq"]
    assert codes == [0, 1, 2, 3, 4, 5]
    assert np.isnan(row(table, {"a": "x"})[0])


def test_a_product_that_no_float_holds_is_missing() -> None:
    assert row([PRICE, PRODUCT], {"price": 1.5}) == [1.5, 2.25]
    assert np.isnan(row([PRICE, PRODUCT], {"price": 1e30})[1])


def test_a_cross_of_what_is_not_granted_is_missing() -> None:
    open_cross = declared.Cross(name="c", of=("device", "device"), purpose=None)
    features = CompiledFeatures(FeatureTable([open_cross, DEVICE]), ItemTable(Catalogue([])))
    context = Context(device=Device("desktop"))
    granted = features.compute(Profile(), context, world.EVERYTHING_GRANTED, world.NOW_MS, [ItemId("x")])
    denied = features.compute(Profile(), context, Grants(), world.NOW_MS, [ItemId("x")])
    assert granted.tolist() == [[1.0, 1.0]]
    assert np.isnan(denied).all()


@pytest.mark.parametrize(
    ("cross", "says"),
    [
        (PAIR, None),
        (PRODUCT, None),
        (declared.Cross(name="c", of=("device", "tea")), "no feature 'tea'"),
        (declared.Cross(name="c", of=("pair", "price")), "is a cross itself"),
        (declared.Cross(name="c", of=("device", "price"), how="pair"), "neither a code nor a hash"),
    ],
)
def test_what_cannot_be_crossed_is_said(cross: declared.Cross, says: str | None) -> None:
    wrong = wrong_cross(cross, KNOWN)
    assert wrong is None if says is None else wrong is not None and says in wrong
    if says is not None:
        with pytest.raises(ValueError, match="feature 'c'"):
            CompiledFeatures(FeatureTable([*KNOWN.values(), cross]), ItemTable(Catalogue([])))


def test_pairs_beyond_float32_are_refused() -> None:
    large = {name: declared.Hash(name=name, of="item.x", buckets=65_536) for name in "ab"}
    wrong = wrong_cross(declared.Cross(name="c", of=("a", "b"), how="pair"), large)
    assert wrong is not None
    assert "4,294,967,296 pairs" in wrong


@pytest.mark.parametrize(
    ("feature", "code", "path"),
    [
        (declared.ContentCosine(name="f"), "missing_resource", "$.features[0]"),
        (declared.Code(name="f", of="device.type", values=("x",)), "dangling", "$.features[0].of"),
        (declared.Hash(name="f", of="item.", buckets=4), "dangling", "$.features[0].of"),
        (declared.Cross(name="f", of=("f", "g")), "dangling", "$.features[0].of"),
        (declared.TraitValue(name="f", trait=""), "blank", "$.features[0].trait"),
        (declared.LastMatch(name="f", dimension="colour"), "dangling", "$.features[0].dimension"),
        (declared.DecayedCount(name="f", kind="telepathy", half_life_days=1), "dangling", "$.features[0].kind"),
    ],
)
def test_what_an_edge_cannot_compute_is_refused(feature: Feature, code: str, path: str) -> None:
    with pytest.raises(BundleRefused) as refused:
        check_features(FeatureTable([feature]), optional=())
    assert refused.value.code == code
    assert path in str(refused.value)


def test_only_names_are_categories() -> None:
    assert [name for name, feature in KNOWN.items() if is_categorical(feature)] == ["device", "brand", "pair"]
    assert [codes_of(feature) for feature in KNOWN.values()] == [2, 8, None, None]


def test_paths_are_items_pages_and_traits() -> None:
    assert all(is_source(f"context.{field}") for field in CONTEXT_FIELDS)
    assert all(map(is_source, ("item.brand", "profile.traits.plan", "context.attributes.rain")))
    assert not any(map(is_source, ("item.", "context.geo", "profile.traits.", "profile.items", "brand", "")))


class Told:
    """A score that says one number, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def value(self, _model: ModelName, _of_class: str) -> float:
        self.asked += 1
        return 0.5

    def likeliest(self, _model: ModelName) -> str | None:
        return None

    def by_class(self, _model: ModelName) -> dict[str, float]:
        self.asked += 1
        return {"buying": 0.5, "leaving": 0.25}


def test_a_score_is_asked_where_only_its_cross_is_wanted_and_never_else() -> None:
    score = declared.Score(name="will_buy", model=ModelName("buying"))
    cross = declared.Cross(name="c", of=("will_buy", "price"))
    items = ItemTable(Catalogue([Item(ItemId("tea"), {}, {"price": 3.0})]))
    features = CompiledFeatures(FeatureTable([PRICE, score, cross]), items)
    for wanted, row_of, asked in (
        ({2}, [3.0, 0.5, 1.5], 1),
        ({0}, [3.0, np.nan, np.nan], 0),
        (None, [3.0, 0.5, 1.5], 1),
    ):
        view = features.view(Profile(), Context(), world.NOW_MS)
        view.scores = told = Told()
        matrix = features.matrix(view, features.rows([ItemId("tea")]), world.EVERYTHING_GRANTED, wanted)
        np.testing.assert_array_equal(matrix, np.array([row_of], np.float32))
        assert told.asked == asked
