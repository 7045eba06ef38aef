"""Values of a content: as they were declared, or refused with their place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.bundle.templates import (
    ChoiceVariable,
    FlagVariable,
    ImageVariable,
    ListVariable,
    NumberVariable,
    TextVariable,
    UrlVariable,
    Variable,
)
from edgewise.templates.flaws import Unrenderable
from edgewise.templates.variables import read_value, read_values, written_number

TAKEN: list[tuple[Variable, Any, Any]] = [
    (TextVariable(), "Tea", "Tea"),
    (TextVariable(), 12, "12"),
    (TextVariable(), 3.0, "3"),
    (TextVariable(), "a\x00\u202eb\tc\n", "ab\tc\n"),
    (TextVariable(), None, None),
    (NumberVariable(), 0, 0),
    (FlagVariable(), None, False),
    (ChoiceVariable(["warm"]), "warm", "warm"),
    (UrlVariable(), "/tea", "/tea"),
    (ImageVariable(), "/a.png", {"src": "/a.png", "alt": "", "width": None, "height": None}),
    (ImageVariable(), {"src": "/a.png", "alt": "A"}, {"src": "/a.png", "alt": "A", "width": None, "height": None}),
    (ListVariable(), None, []),
    (ListVariable(), ["a", 1], ["a", "1"]),
    (ListVariable(of={"title": TextVariable()}), [{"title": "a", "x": 1}], [{"title": "a"}]),
]


@pytest.mark.parametrize(("variable", "value", "expected"), TAKEN)
def test_taken(variable: Variable, value: Any, expected: Any) -> None:
    """What is as declared is taken, and what nobody can see is taken out of it."""
    assert read_value(variable, value, "x") == expected


REFUSED: list[tuple[Variable, Any, str]] = [
    (TextVariable(required=True), None, "x is missing"),
    (TextVariable(required=True), "\x00\u202e", "x is missing"),
    (TextVariable(most_characters=3), "four", "4 characters, at most 3"),
    (TextVariable(), ["a"], "expected text"),
    (TextVariable(), True, "expected text"),
    (NumberVariable(), "3", "expected a number"),
    (NumberVariable(), True, "expected a number"),
    (NumberVariable(), float("inf"), "expected a number"),
    (NumberVariable(), 10**400, "expected a number"),
    (TextVariable(), -(10**400), "expected a number"),
    (FlagVariable(), "yes", "expected true or false"),
    (ChoiceVariable(["warm", "cold"]), "hot", "expected one of warm, cold"),
    (ChoiceVariable(["warm"]), ["warm"], "expected one of warm"),
    (UrlVariable(), "javascript:x", "no address"),
    (UrlVariable(), 7, "expected an address"),
    (ImageVariable(), 7, "expected an address, or"),
    (ImageVariable(), {"alt": "A"}, "x.src is None"),
    (ImageVariable(), "data:image/png;base64,AA", "no address"),
    (ImageVariable(alt_required=True), "/a.png", "x.alt is missing"),
    (ImageVariable(size_required=True), "/a.png", "x.width is missing"),
    (ImageVariable(most_width=100), {"src": "/a.png", "width": 200}, "x.width is 200 pixels; expected 1 to 100"),
    (ImageVariable(), {"src": "/a.png", "height": 0}, "x.height is 0 pixels"),
    (ListVariable(required=True), [], "x is missing"),
    (ListVariable(), "abc", "expected a list"),
    (ListVariable(most=2), ["a", "b", "c"], "3 entries, at most 2"),
    (ListVariable(most_characters=2), ["abc"], "x[0] has 3 characters"),
    (ListVariable(of={"title": TextVariable(required=True)}), [{"title": "a"}, {}], "x[1].title is missing"),
    (ListVariable(of={"title": TextVariable()}), ["a"], "expected an entry with title"),
]


@pytest.mark.parametrize(("variable", "value", "says"), REFUSED)
def test_refused(variable: Variable, value: Any, says: str) -> None:
    """What is not is refused, with its path and what was expected."""
    with pytest.raises(Unrenderable) as refused:
        read_value(variable, value, "x")
    assert says in refused.value.message
    assert refused.value.variable.startswith("x")


def test_only_declared_values() -> None:
    """Nothing else of a content reaches a template."""
    assert read_values({"a": TextVariable()}, {"a": "1", "b": "2", "secret": object()}) == {"a": "1"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([variable for variable, _, _ in [*TAKEN, *REFUSED]]), JSON)
def test_any_content_is_taken_or_refused(variable: Variable, value: Any) -> None:
    """No value of any content raises anything else, and what was taken once is taken again, unchanged."""
    try:
        taken = read_value(variable, value, "x")
    except Unrenderable:
        return
    assert read_value(variable, taken, "x") == taken


@pytest.mark.parametrize(("number", "text"), [(3.0, "3"), (3.5, "3.5"), (-0.0, "0"), (1e300, "1e+300"), (7, "7")])
def test_numbers_as_people_write_them(number: float, text: str) -> None:
    """Whole numbers have no point."""
    assert written_number(number) == text
