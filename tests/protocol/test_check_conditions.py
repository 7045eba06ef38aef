"""What is refused of a condition where it is written."""

import json
import re
from typing import Any

import pytest
from growthbook import cases_of
from hypothesis import given
from hypothesis import strategies as st

from edgewise.admission.check_conditions import MOST_DEPTH, MOST_PATTERN, wrong_with_condition, wrong_with_pattern
from edgewise.conditions import MOST_MATCHED, holds
from edgewise.profile.state import Profile
from edgewise.request import Context, Device, Geo
from edgewise.targeting import attributes_of


def nested(depth: int) -> dict[str, Any]:
    condition: dict[str, Any] = {"plan": "free"}
    for _ in range(depth):
        condition = {"$not": condition}
    return condition


@pytest.mark.parametrize(
    ("condition", "path", "says"),
    [
        ([], (), "expected a condition, got []"),
        ({"$xor": []}, ("$xor",), "no operator '$xor' between attributes"),
        ({"$or": {"a": 1}}, ("$or",), "expected a list of conditions"),
        ({"$and": [{"a": 1}, 7]}, ("$and", 1), "expected a condition, got 7"),
        ({"geo.city": "Bonn"}, ("geo.city",), "no attribute 'geo.city'"),
        ({"traits": {}}, ("traits",), "no attribute 'traits'"),
        ({"n": {"$regx": "a"}}, ("n", "$regx"), "no operator '$regx'"),
        ({"n": {"$in": 1}}, ("n", "$in"), "takes a list"),
        ({"n": {"$inGroup": "vips"}}, ("n", "$inGroup"), "no saved groups"),
        ({"n": {"$not": {"$type": "text"}}}, ("n", "$not", "$type"), "one of string"),
        ({"n": {"$exists": "yes"}}, ("n", "$exists"), "true or false"),
        ({"n": {"$vgt": 1.2}}, ("n", "$vgt"), "put it in quotes"),
        ({"n": {"$gt": 1, "than": 2}}, ("n",), "operators and names in one object"),
        ({"n": {"$elemMatch": {"m": {"$size": {"$is": 1}}}}}, ("n", "$elemMatch", "m", "$size", "$is"), "no operator"),
        (nested(MOST_DEPTH), ("$not",) * MOST_DEPTH, "nest deeper"),
    ],
)
def test_what_no_edge_can_evaluate_is_refused_where_it_stands(condition: Any, path: tuple[Any, ...], says: str) -> None:
    (wrong,) = wrong_with_condition(condition)
    assert wrong.path == path
    assert says in wrong.message


def test_growthbooks_own_conditions_pass_but_for_what_a_release_cannot_hold() -> None:
    """The published ones with an operator or a pattern that is none, with saved groups, and three of types."""
    refused = {case[0] for case in cases_of("evalCondition") if list(wrong_with_condition(case[1]))}
    of_groups = {
        case[0] for case in cases_of("evalCondition") if "InGroup" in json.dumps(case[1]).replace("$in", "$In")
    }
    assert refused - of_groups == {
        "unknown operator - pass",
        "$regex invalid - pass",
        "$regex invalid - fail",
        "$in - not array",
        "$nin - not array",
        "$ini - not array",
        "$nini - not array",
        "$groups - match",
        "$groups - no match",
    }
    assert of_groups <= refused


@pytest.mark.parametrize(
    "pattern",
    [
        *("(a+)+", "(a|aa)*", "((a*)b?)*", "(?:x{2,})+", ".*.*.*", "(", "a" * (MOST_PATTERN + 1), "(a{0,40})*"),
        # several ways to match the same, multiplied without any open-ended repeat
        *("a?" * 30 + "b", "(?:a|a){16}(?:a|a){16}b", "(?:a?){16}(?:a?){16}b", "a{0,16}" * 8 + "b", "(a+){9}b"),
        *("(aa?)*b", "(?x)(a+) +b", "(?x:(a+) +b)", "(?P<n>a|a){16}(?:a|a)", "a?" * 5 + ".*.*"),
    ],
)
def test_patterns_that_may_never_end_are_refused(pattern: str) -> None:
    assert wrong_with_pattern(pattern) is not None


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"^/shop/[^/]+/\d{1,4}$", "(de|at)-", r"\(a+\)+", "[(*+]+x*", r"(ab){2}", "a+?b*"),
        *(r"^\d{1,3}(\.\d{1,3}){3}$", "(?i:x)(?P<n>a)(?P=n)(?=b)(?#x)", r"^(en|de|fr|it)(-[A-Z]{2})?$"),
        *("(?i)^https?://(www\\.)?a", "(?<!a)b(?-i:c)"),
    ],
)
def test_patterns_of_pages_are_taken(pattern: str) -> None:
    assert wrong_with_pattern(pattern) is None


@given(st.text("ab()|*+?.[]{}\\1,", max_size=12))
def test_what_is_taken_ends_soon(pattern: str) -> None:
    """What does not would run into the time limit of all tests."""
    text = "ab" * (MOST_MATCHED // 2)
    if wrong_with_pattern(pattern) is None:
        assert holds({"a": {"$regex": pattern}}, {"a": text}) is bool(re.search(pattern, text))


def test_conditions_ask_pages_and_traits_and_no_attribute_takes_an_own_name() -> None:
    context = Context(
        device=Device("mobile"), geo=Geo("DE"), attributes={"country": "AT", "geo": "spoofed", "traits": ["x"]}
    )
    found = attributes_of(context, Profile())
    assert found == {"country": "AT", "device": {"type": "mobile"}, "geo": {"country": "DE"}}
    assert holds({"geo.country": "DE", "country": "AT", "page.path": None}, found)
