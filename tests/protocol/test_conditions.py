"""GrowthBook's targeting language, where its published cases (test_growthbook.py) leave something open."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.conditions import MOST_MATCHED, OPERATORS, holds, padded_version

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=4)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b.c", "$and", *OPERATORS]), inner)
    ),
    max_leaves=12,
)
attributes = st.dictionaries(st.sampled_from(["a", "b"]), values, max_size=2)


@given(condition=st.dictionaries(st.sampled_from(["a", "$or", "$not", "a.b"]), values), attributes=attributes)
def test_nothing_raises_and_the_opposite_is_the_opposite(condition: Any, attributes: dict[str, Any]) -> None:
    assert holds({"$not": condition}, attributes) is not holds(condition, attributes)


@given(values, attributes)
def test_an_operator_that_wants_anything_raises_nothing(wanted: Any, attributes: dict[str, Any]) -> None:
    for name in OPERATORS:
        assert holds({"a": {name: wanted}}, attributes) in {True, False}


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b"]), scalars, max_size=2), max_size=4), attributes)
def test_what_joins_keeps_the_laws_of_de_morgan(parts: list[dict[str, Any]], attributes: dict[str, Any]) -> None:
    assert holds({"$nor": parts}, attributes) is not holds({"$or": parts}, attributes)
    opposites = [{"$not": part} for part in parts]
    if parts:
        assert holds({"$and": opposites}, attributes) is holds({"$nor": parts}, attributes)


@pytest.mark.parametrize("wanted", [0, False, "null", "", "undefined"])
def test_what_is_missing_equals_only_null(wanted: Any) -> None:
    assert not holds({"a": wanted}, {})
    assert not holds({"a": {"$eq": wanted}}, {})
    assert holds({"a": None}, {})


def test_true_is_not_one_in_a_list_and_text_is_no_number() -> None:
    assert not holds({"a": {"$in": [1, "1"]}}, {"a": True})
    assert not holds({"a": {"$in": [1]}}, {"a": "1"})
    assert holds({"a": "1"}, {"a": 1.0}), "JavaScript writes it without the point"


def test_a_pattern_looks_at_the_first_characters_only() -> None:
    text = "x" * MOST_MATCHED + "needle"
    assert not holds({"a": {"$regex": "needle"}}, {"a": text})
    assert holds({"a": {"$regex": "needle"}}, {"a": text[6:]})


@given(st.tuples(*[st.integers(0, 99_999)] * 3), st.tuples(*[st.integers(0, 99_999)] * 3))
def test_versions_sort_as_their_numbers_do(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    texts = [".".join(map(str, version)) for version in (one, other)]
    assert (padded_version(texts[0]) < padded_version(texts[1])) is (one < other)
    assert padded_version(f"v{texts[0]}+build.7") == padded_version(texts[0])
    assert padded_version(f"{texts[0]}-rc.1") < padded_version(texts[0])
