"""A plan as people read it: kind by kind, thing by thing, and what follows from something else is not said twice."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.release.plan_words import told
from hub.site.difference import differences

TEA = {"content": {"title": "Tea"}, "attributes": {"price": 5.0}, "approved_sha256": "a", "approved_by": "Ann"}


def words(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return told(list(differences(before, after)))


def tea(**changes: Any) -> dict[str, Any]:
    return {"items": {"green.tea": {**TEA, **changes}}}


def test_things_come_and_go_by_kind() -> None:
    before = {"items": {"a": TEA, "b": {}}, "collections": {"all": ["a", "b"]}, "features": {}}
    after = {"items": {"c": TEA, "b": {}}, "collections": {"all": ["b", "c"]}, "features": {"f": {"type": "score"}}}
    assert words(before, after) == [
        "collections: 1 changed",
        "  ~ all: + c; - a",
        "items: 1 new, 1 gone",
        '  - a: "Tea"',
        '  + c: "Tea"',
        "features: 1 new",
        "  + f",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"attributes": {"price": 6.0}}, ["  ~ green.tea.attributes.price: 5.0 -> 6.0"]),
        ({"attributes": {}}, ["  ~ green.tea.attributes.price: 5.0 (gone)"]),
        (
            {"content": {"title": "Tee"}, "approved_sha256": "b", "approved_by": "Bob"},
            ["  ~ green.tea", '      content.title: "Tea" -> "Tee"', "      approved by Bob"],
        ),
        ({"content": {"title": "Tee"}, "approved_sha256": "b"}, ['  ~ green.tea.content.title: "Tea" -> "Tee"']),
        ({"approved_sha256": "b"}, ["  ~ green.tea: approved anew"]),
        ({"starts_ms": 1_764_579_600_000}, ["  ~ green.tea.starts_ms: 2025-12-01T09:00Z (new)"]),
        ({"starts_ms": 1e300}, ["  ~ green.tea.starts_ms: 1e300 (new)"]),
    ],
)
def test_what_became_of_an_item(changes: dict[str, Any], expected: list[str]) -> None:
    assert words(tea(), tea(**changes))[1:] == expected


def test_an_approval_that_is_taken_back() -> None:
    after = {key: value for key, value in TEA.items() if not key.startswith("approved")}
    assert words(tea(), {"items": {"green.tea": after}})[1:] == ["  ~ green.tea: nobody approves it any more"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (["a", "b"], ["b", "a"], "in another order"),
        (["a", "b", "c"], ["c", "a", "d"], "+ d; - b; in another order"),
        ([], list("abcdefgh"), "+ a, b, c, d, e, f and 2 more"),
        (["a", "a"], ["a"], "some are repeated otherwise"),
        ([1], [2], "[1] -> [2]"),
    ],
)
def test_lists_of_names_are_compared_by_their_members(before: list[Any], after: list[Any], said: str) -> None:
    assert words({"collections": {"all": before}}, {"collections": {"all": after}})[1].removeprefix("  ~ all: ") == said


def test_resources_are_not_spelt_out() -> None:
    before, after = ({"resources": {"vectors.msgpack": f"sha256:{digit * 64}"}} for digit in "01")
    assert words(before, after) == ["resources: 1 changed", "  ~ vectors.msgpack: other contents"]


keys = st.sampled_from(["content", "approved_by", "approved_sha256", "starts_ms", "a.b"])
leaves = st.none() | st.integers(0, 2) | st.text("xy", max_size=2) | st.lists(st.sampled_from("ab"), max_size=2)
things = st.recursive(leaves, lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=6)
trees = st.dictionaries(st.sampled_from(["items", "site", "odd"]), st.dictionaries(keys, things, max_size=3))


@given(trees, trees)
def test_every_thing_that_changes_is_named(before: dict[str, Any], after: dict[str, Any]) -> None:
    changes = list(differences(before, after))
    said = "\n".join(told(changes))
    for change in changes:
        assert str(change.steps[0]) in said
        assert len(change.steps) == 1 or str(change.steps[1]) in said
    assert bool(said) is bool(changes)
    assert msgspec.json.encode(changes)
