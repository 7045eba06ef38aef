"""A difference, applied to what was before, gives what is after."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hub.site.difference import Change, differences

KEYS = st.sampled_from(["a", "b", "c"])
LEAVES = (
    st.none() | st.booleans() | st.integers(0, 3) | st.text("xy", max_size=2) | st.lists(st.integers(0, 2), max_size=2)
)
TREES = st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=12)
DOCUMENTS = st.dictionaries(KEYS, TREES, max_size=3)


def applied(before: dict[str, Any], changes: list[Change]) -> dict[str, Any]:
    """The naive twin: walk to each path and set or remove."""
    after: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(before))
    for change in changes:
        *way, last = change.path.split(".")
        place = after
        for step in way:
            place = place[step]
        if change.after is msgspec.UNSET:
            del place[last]
        else:
            place[last] = change.after
    return after


@given(DOCUMENTS, DOCUMENTS)
def test_changes_lead_from_before_to_after(before: dict[str, Any], after: dict[str, Any]) -> None:
    changes = list(differences(before, after))
    assert msgspec.json.encode(applied(before, changes), order="sorted") == msgspec.json.encode(after, order="sorted")


@given(DOCUMENTS)
def test_equal_documents_do_not_differ(document: dict[str, Any]) -> None:
    assert list(differences(document, document)) == []


def test_words_for_people() -> None:
    before, after = {"a": {"b": 1}, "c": True, "d": []}, {"a": {"b": 2, "new": "x"}, "c": 1}
    assert [str(change) for change in differences(before, after)] == [
        "~ a.b: 1 -> 2",
        '+ a.new: "x"',
        "~ c: true -> 1",
        "- d: []",
    ]
    (long,) = differences({}, {"text": "x" * 500})
    assert len(str(long)) == len("+ text: ") + 120
