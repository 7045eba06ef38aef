"""Sheets of live facts as bytes: what is taken, what is refused, and that nothing else can happen."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.bundle import facts
from edgewise.bundle.facts import LARGEST, FactSheet, decode_facts, encode_facts
from edgewise.errors import BundleRefused
from edgewise.ids import ItemId

SHEET = FactSheet(3, 1_000, 2_000, columns={"stock": {ItemId("tea"): 0.0, ItemId("jam"): 4.0}})

names = st.from_regex(r"[a-z][a-z0-9_]{0,63}", fullmatch=True)
numbers = st.floats(-LARGEST, LARGEST)
items = st.text(min_size=1, max_size=200).map(ItemId)
columns = st.dictionaries(names, st.dictionaries(items, numbers, max_size=4), max_size=4)
sheets = st.builds(
    FactSheet,
    version=st.integers(1, 2**62),
    issued_ms=st.integers(0, 2**61),
    expires_ms=st.integers(2**61 + 1, 2**62),
    columns=columns,
)


@given(sheets)
def test_what_is_encoded_is_decoded(sheet: FactSheet) -> None:
    assert decode_facts(encode_facts(sheet)) == sheet


@given(st.binary() | sheets.map(encode_facts).flatmap(lambda data: st.integers(0, len(data)).map(lambda at: data[:at])))
def test_whatever_the_bytes_are_they_are_taken_or_refused(data: bytes) -> None:
    try:
        sheet = decode_facts(data)
    except BundleRefused as refused:
        assert refused.code in {"too_large", "malformed", "invalid"}  # noqa: PT017
        assert " - at `$" in refused.message  # noqa: PT017
    else:
        assert decode_facts(encode_facts(sheet)) == sheet


def plain(**changes: Any) -> bytes:
    return json.dumps({"version": 3, "issued_ms": 1_000, "expires_ms": 2_000, "columns": {}, **changes}).encode()


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        (plain(version=0), "malformed", r"`int` >= 1 - at `\$.version`"),
        (plain(expires_ms=1_000), "invalid", r"expires at 1000 ms"),
        (plain(halted=True, columns={"stock": {"tea": 1}}), "invalid", r"holds 1 numbers; expected none"),
        (plain(columns={"Stock": {"tea": 1}}), "malformed", r"matching regex"),
        (plain(columns={"stock": {"": 1}}), "malformed", r"length >= 1"),
        (plain(columns={"stock": {"x" * 201: 1}}), "malformed", r"length <= 200"),
        (plain(columns={"stock": {"tea": "none"}}), "malformed", r"`float`, got `str`"),
        (plain(columns={"stock": {"tea": True}}), "malformed", r"`float`, got `bool`"),
        (plain(columns={"stock": {"tea": 1e13}}), "malformed", r"<= 1"),
        (plain(columns={"stock": {"tea": float("nan")}}), "malformed", r"malformed|invalid"),
        (plain(columns={"stock": {"tea": float("inf")}}), "malformed", r"malformed|invalid"),
        (plain().replace(b"{}", b'{"stock": {"tea": 1e999}}'), "malformed", r"range|<= 1"),
        (plain(columns={f"n{number}": {} for number in range(33)}), "malformed", r"length <= 32"),
        (b'{"version":' * 100_000, "malformed", r"at `\$"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused_with_its_place(data: bytes, code: str, said: str) -> None:
    with pytest.raises(BundleRefused, match=said) as refused:
        decode_facts(data)
    assert refused.value.code == code


def test_a_sheet_is_bounded_in_bytes_and_in_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "MOST_NUMBERS", 1)
    with pytest.raises(BundleRefused, match="2 numbers, at most 1 are taken"):
        decode_facts(encode_facts(SHEET))
    monkeypatch.setattr(facts, "FACTS_MOST_BYTES", 40)
    with pytest.raises(BundleRefused, match="bytes, at most 40 are taken"):
        decode_facts(encode_facts(SHEET))


def test_what_has_no_stock_left_is_sold_out() -> None:
    sheet = FactSheet(1, 0, 1, columns={"stock": {ItemId("a"): 0.0, ItemId("b"): -2.0, ItemId("c"): 0.5}})
    assert sheet.sold_out() == {"a", "b"}
    assert FactSheet(1, 0, 1).sold_out() == frozenset()
