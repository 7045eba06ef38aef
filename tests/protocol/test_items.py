"""Attribute values as numbers and texts, the context by name, and the catalogue as arrays."""

import math
from typing import Any

import numpy as np
import pytest
import strategies_features as some
import world
from hypothesis import given
from hypothesis import strategies as st

from edgewise.attributes import (
    CONTEXT_FIELDS,
    context_field,
    is_context_field,
    is_or_contains,
    number_of,
    texts_of,
)
from edgewise.bundle.catalogue import Catalogue, Item
from edgewise.bundle.items import UNKNOWN, ItemTable
from edgewise.ids import ItemId
from edgewise.request import Context, Device, Geo, Network, Page

anything: st.SearchStrategy[Any] = st.one_of(
    some.scalars,
    st.none(),
    st.integers(),
    st.floats(),
    st.text(),
    st.lists(some.texts),
    st.just(10**400),
    st.just([1, None]),
)


@given(anything)
def test_a_number_is_a_finite_float32_or_missing(value: Any) -> None:
    number = number_of(value)
    assert math.isnan(number) or abs(np.float32(number)) < np.inf
    if isinstance(value, (str, list)) or value is None:
        assert math.isnan(number)


def test_numbers() -> None:
    assert number_of(True) == 1
    assert number_of(False) == 0
    assert number_of(3) == 3
    assert math.isnan(number_of(1e39))
    assert math.isnan(number_of(math.inf))
    assert number_of(3.4028234663852886e38) == 3.4028234663852886e38


@given(anything)
def test_texts_are_different_and_never_blank(value: Any) -> None:
    texts = texts_of(value)
    assert len(set(texts)) == len(texts)
    assert all(text for text in texts)


def test_texts() -> None:
    assert texts_of("drama") == ("drama",)
    assert texts_of(["b", "a", "", "b"]) == ("b", "a")
    assert texts_of(3) == texts_of(None) == texts_of("") == ()


@given(anything, some.texts)
def test_is_or_contains_answers_for_everything(value: Any, text: str) -> None:
    assert is_or_contains(value, text) in {True, False}


def test_is_or_contains() -> None:
    assert is_or_contains("a", "a")
    assert is_or_contains(["b", "a"], "a")
    assert not is_or_contains("abc", "a"), "a text is not a list of letters"
    assert is_or_contains(True, "true")
    assert not is_or_contains(True, "1")
    assert is_or_contains(3, "3.0")
    assert not is_or_contains(None, "")


def test_context_fields() -> None:
    context = Context(
        Page("/p", "r", "u", "t"),
        Device("mobile"),
        "en-GB",
        "Europe/Berlin",
        Geo("DE"),
        {"weather": "sunny"},
        Network("home"),
    )
    expected = ["/p", "r", "u", "t", "mobile", "en-GB", "Europe/Berlin", "DE", "home"]
    assert [context_field(context, field) for field in CONTEXT_FIELDS] == expected
    assert context_field(context, "attributes.weather") == "sunny"
    assert context_field(context, "attributes.wind") is None
    assert context_field(context, "ip") is None
    assert [context_field(Context(), field) for field in CONTEXT_FIELDS] == [None] * len(CONTEXT_FIELDS)
    assert is_context_field("attributes.wind")
    assert not is_context_field("attributes.")
    assert not is_context_field("ip")


@given(some.catalogues(), some.names)
def test_columns_equal_the_items_one_by_one(catalogue: Catalogue, name: str) -> None:
    items = ItemTable(catalogue)
    expected = [*(number_of(item.attributes.get(name)) for item in catalogue.items), math.nan]
    np.testing.assert_array_equal(items.numbers(name), expected)
    dimension = items.dimension(name)
    values = {code: value for value, code in dimension.value_code.items()}
    for code, item in enumerate(catalogue.items):
        held = [values[value] for value in dimension.codes[:, code].tolist() if value != dimension.pad]
        assert tuple(held) == texts_of(item.attributes.get(name))
        assert len(held) == np.nan_to_num(dimension.count[code])
        for value in held:
            assert code in dimension.items_of[dimension.value_code[value]]
    assert np.isnan(dimension.count[UNKNOWN])
    assert (dimension.codes[:, UNKNOWN] == dimension.pad).all()


def test_codes_are_places_in_the_catalogue() -> None:
    items = ItemTable(world.catalogue())
    assert len(items) == 24
    assert items.codes([world.FILMS[3], ItemId("gone")]).tolist() == [3, UNKNOWN]
    assert items.item(world.FILMS[3]) == world.item(3)
    assert items.item(ItemId("gone")) is None
    assert items.numbers("popularity") is items.numbers("popularity"), "a column is made once"


@pytest.mark.parametrize("moment", [10**30, -(10**30), 0, None])
def test_any_moment_of_a_schedule_can_be_held(moment: int | None) -> None:
    items = ItemTable(Catalogue([Item(ItemId("x"), {}, starts_ms=moment), Item(ItemId("y"), {}, ends_ms=moment)]))
    assert items.scheduled.tolist() == [moment is not None, moment is not None, False]
    assert bool(items.starts_ms[0] > world.NOW_MS) is (moment == 10**30)
