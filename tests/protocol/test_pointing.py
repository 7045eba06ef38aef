"""Places of refused values, held against what msgspec really says."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import Problem, problem_of
from edgewise.pointing import pointed, problem_in

Scalar = str | int | float | bool | None


class Inner(msgspec.Struct):
    attributes: dict[str, Scalar] = {}


class Outer(msgspec.Struct):
    attributes: dict[str, Scalar] = {}
    inner: list[Inner] = []
    named: dict[str, Inner] = {}
    force: dict[str, str] = {}


def told(value: Any) -> Problem:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(msgspec.json.encode(value), type=Outer)
    return pointed(problem_of(str(refused.value)), value)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"attributes": {"sunny": True, "weather": {}, "later": {}}}, "$.attributes.weather"),
        ({"attributes": {"a b.c": []}}, "$.attributes.a b.c"),
        ({"force": {"hero": "champion", "list": 7}}, "$.force.list"),
        ({"inner": [{}, {"attributes": {"x": 1, "y": [1]}}]}, "$.inner[1].attributes.y"),
        ({"named": {"one": {}, "two": {"attributes": {"x": {}}}}}, "$.named.two.attributes.x"),
        ({"named": {"one": {}, "two": None}}, "$.named.two"),
        ({"named": {"one": {}, "two": {"attributes": None}}}, "$.named.two.attributes"),
        ({"attributes": 7}, "$.attributes"),
    ],
)
def test_the_key_of_what_was_refused_is_named(value: Any, path: str) -> None:
    assert told(value).path == path


@pytest.mark.parametrize(
    ("problem", "value"),
    [
        (Problem("$.attributes[...]", "Expected `str` of length <= 9"), {"attributes": {"a": "b"}}),
        (Problem("$.attributes[...]", "Expected `str`, got `object`"), {"attributes": {"a": 1}}),
        (Problem("$.attributes[...]", "Expected `str`, got `object`"), []),
        (Problem("$[3][...]", "Expected `str`, got `object`"), [1]),
    ],
)
def test_what_cannot_be_told_stays_as_it_is(problem: Problem, value: Any) -> None:
    assert pointed(problem, value) == problem


def test_what_is_damaged_behind_the_fault_keeps_the_decoders_word() -> None:
    body = b'{"attributes": {"a": {}}, '
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(body, type=Outer)
    assert problem_in(refused.value, lambda: msgspec.json.decode(body)).path == "$.attributes[...]"


JSON = st.recursive(st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=3), st.lists)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=6))
def test_the_first_value_that_does_not_fit_is_meant(attributes: dict[str, Any]) -> None:
    wrong = [name for name, value in attributes.items() if isinstance(value, list)]
    if wrong:
        assert told({"attributes": attributes}).path == f"$.attributes.{wrong[0]}"
    else:
        msgspec.json.decode(msgspec.json.encode({"attributes": attributes}), type=Outer)
