"""Columns and paths reach what they name, and nothing breaks where nothing stands."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.sources.paths import first_column, getter, steps_of

ROW = {
    "a.b": "whole",
    "Amount [GBP]": 3,
    "customer": {"email": "ann@x.org", "tags": ["vip", None, "new"]},
    "lines": [{"sku": "tea", "n": 1}, {"sku": "cup"}],
    "params": [{"key": "page", "value": {"string": "/home"}}, {"key": "id", "value": {"int": 7}}],
    "unstructured": '{"data": {"list": [10, 20]}}',
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b", "whole"),
        ("Amount [GBP]", 3),
        ("customer.email", "ann@x.org"),
        ("customer.phone", None),
        ("customer.email.domain", None),
        ("lines[1].sku", "cup"),
        ("lines[9].sku", None),
        ("lines[*].sku", ["tea", "cup"]),
        ("lines[*].n", [1]),
        ("customer.tags[*]", ["vip", "new"]),
        ("params[key=id].value.int", 7),
        ("params[key=none].value.int", None),
        ("unstructured.data.list[1]", 20),
        ("nothing[0][*].x", None),
    ],
)
def test_a_path_reaches_what_it_names(path: str, found: Any) -> None:
    assert getter(path)(ROW) == found


@pytest.mark.parametrize("path", ["a[", ".a", "a[x]", "a]", "", ".".join("abcdefghijklmnopqrstuvwxyz")])
def test_what_is_no_path_is_said(path: str) -> None:
    with pytest.raises(ValueError, match=r"expected|is no column"):
        steps_of(path)


def test_a_path_begins_in_a_column() -> None:
    assert first_column("params[key=page].value") == "params"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "k"]), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["a", "b"]), _json), st.sampled_from(["a", "a.b", "a[0].b", "a[*].k", "a[k=1].b"])
)
def test_no_row_breaks_a_path(row: dict[str, Any], path: str) -> None:
    getter(path)(row)
