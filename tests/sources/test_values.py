"""Single cells: typed, mapped, bounded; identifiers keep every digit; hostile text is disarmed or refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sources_world import RECEIPTS, document

from hub.sources.document import Field
from hub.sources.fault import Fault, shown
from hub.sources.values import Readers


def read(value: Any, otherwise: Any = None, **said: Any) -> Any:
    return Readers(document(RECEIPTS)).reader(Field(column="x", **said), otherwise)({"x": value})


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (9223372036854775807, "9223372036854775807"),
        (-9223372036854775808, "-9223372036854775808"),
        ("-9223372036854775808", "-9223372036854775808"),
        (Decimal("9223372036854775807.0"), "9223372036854775807"),
        (17850.0, "17850"),
        ("17850.0", "17850"),
        (" 00123 ", "00123"),
        ("1.50", "1.50"),
        ("v1.0", "v1.0"),
        ("", None),
        (None, None),
        (float("nan"), None),
    ],
    ids=repr,
)
def test_identifiers_keep_every_digit(value: Any, found: str | None) -> None:
    assert read(value, "id") == found


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (9223372036854775807.0, "inexact"),
        (1.5, "inexact"),
        (True, "no identifier"),
        ([1], "no identifier"),
        ("a\0b", "unprintable"),
        ("\ud800", "unprintable"),
        ("ann\u202e", "unprintable"),
        ("\x1b[2Jann", "unprintable"),
        ("x" * 201, "201 characters"),
    ],
    ids=repr,
)
def test_what_is_no_identifier_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(Fault) as refused:
        read(value, "id")
    assert (refused.value.column, refused.value.reason) == ("x", reason)
    assert refused.value.value.isprintable()


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_64_bit_id_survives(number: int) -> None:
    assert read(number, "id") == read(str(number), "id") == read(f"{number}.0", "id") == str(number)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("plain", "plain"),
        (" kept \t inside ", "kept \t inside"),
        ("NUL\0 gone", "NUL gone"),
        ("\x1b[31mred", "[31mred"),
        ("lone \ud800 half", "lone \ufffd half"),
        ("شكرا \u202eabc", "شكرا \u202eabc"),
        ("\x00\x01", None),
        (12, "12"),
        (True, "true"),
    ],
    ids=repr,
)
def test_text_is_disarmed(value: Any, found: str | None) -> None:
    assert read(value, "text") == found


def test_a_huge_field_is_refused_and_shown_short() -> None:
    with pytest.raises(Fault) as refused:
        read("x" * 1_000_000, "text")
    assert refused.value.reason == "1,000,000 characters"
    assert len(refused.value.value) < 300


@given(st.text())
def test_what_is_shown_acts_on_no_terminal(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text).encode()) <= 200 * len(r"\U00018cd6") + 3


@pytest.mark.parametrize(
    ("value", "said", "found"),
    [
        ("6", {"type": "integer"}, 6),
        ("-80,995", {"type": "integer"}, -80995),
        ("6.0", {"type": "integer"}, 6),
        ("0.5", {"type": "decimal"}, 0.5),
        (Decimal("2.55"), {"type": "money"}, 2.55),
        ("Yes", {"type": "boolean"}, True),
        (0, {"type": "boolean"}, False),
        ("a, b,,c", {"type": "list"}, ["a", "b", "c"]),
        ("a|b", {"type": "list", "separator": "|"}, ["a", "b"]),
        ([1, "x"], {"type": "list"}, [1, "x"]),
        ("2025-07-01 09:00", {"type": "date"}, "2025-07-01T08:00:00.000Z"),
        ("OPEN", {"values": {"open": "Email Opened"}}, "Email Opened"),
        (1, {"values": {"1": "one"}}, "one"),
        ("spam", {"values": {"open": "Email Opened"}}, "spam"),
        ("spam", {"values": {"open": "Email Opened"}, "others": "empty"}, None),
        ("none", {"values": {"none": None}, "default": "free"}, "free"),
        ("", {"default": "free"}, "free"),
        (" ", {"type": "integer"}, None),
        ("\t", {"values": {"a": "b"}}, None),
        (float("inf"), {}, None),
        ({"a": [1, "\0"]}, {}, {"a": [1, None]}),
    ],
    ids=repr,
)
def test_cells_become_what_is_declared(value: Any, said: dict[str, Any], found: Any) -> None:
    assert read(value, **said) == found


@pytest.mark.parametrize(
    ("value", "said", "reason"),
    [
        ("6.5", {"type": "integer"}, "not whole"),
        ("six", {"type": "integer"}, "no number"),
        ("1.2", {"type": "decimal", "at_most": 1}, "too big"),
        ("-1", {"type": "decimal", "at_least": 0}, "too small"),
        ("maybe", {"type": "boolean"}, "neither"),
        ("", {"required": True}, "empty"),
        ("spam", {"values": {"open": "x"}, "others": "reject"}, "not listed"),
        ({"a": 1}, {"type": "text"}, "nested"),
        (",".join("x" * 201), {"type": "list"}, "too many"),
        (b"bytes", {}, "bytes"),
    ],
    ids=repr,
)
def test_cells_that_cannot_are_refused(value: Any, said: dict[str, Any], reason: str) -> None:
    with pytest.raises(Fault) as refused:
        read(value, **said)
    assert refused.value.reason == reason


def test_the_first_filled_column_speaks() -> None:
    reader = Readers(document(RECEIPTS)).reader(Field(column=["mobile", "phone"]))
    assert [reader({"mobile": "", "phone": "2"}), reader({"mobile": "1", "phone": "2"}), reader({})] == ["2", "1", None]


def test_money_is_converted_by_the_rates_of_the_document() -> None:
    said = document(
        RECEIPTS,
        currency={"column": "in"},
        convert={"to": "GBP", "rates": {"EUR": 0.86, "JPY": 0.005}},
    )
    reader = Readers(said).reader(Field(column="x", type="money"))
    assert reader({"x": "10.00", "in": "EUR"}) == 8.6
    assert reader({"x": "1,999", "in": "jpy"}) == 10
    assert reader({"x": "3.335", "in": "GBP"}) == 3.335
    for code, reason in (("USD", "no rate"), ("XXY", "no currency")):
        with pytest.raises(Fault) as refused:
            reader({"x": "1", "in": code})
        assert refused.value.reason == reason
