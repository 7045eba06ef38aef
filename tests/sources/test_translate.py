"""Rows into calls: grouped, named, identified, consented, scored; the same row gives the same call."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sources_world import CONTACTS, RECEIPTS, document

from edgewise.intake import decode_call
from hub.sources.document import SourceDocument, merged
from hub.sources.fault import Fault
from hub.sources.translate import Translator, rows_of

LINE = {
    "receipt": "r1",
    "when": "2025-07-01 09:00",
    "customer": 17850.0,
    "article": "tea",
    "pieces": "2",
    "price": "2.5",
}
ORDER = {
    "id": 9223372036854775807,
    "created_at": "2025-07-01T09:00:00Z",
    "currency": "JPY",
    "customer": {"id": 7, "email": "Ann@X.org"},
    "line_items": [{"sku": "tea", "quantity": 2, "price": "250"}, {"sku": "", "quantity": 1}, {"title": "gift"}, "?"],
    "tags": ["vip"],
}
SHOP: dict[str, Any] = {
    "kind": "shop",
    "key": ["id"],
    "time": "created_at",
    "currency": {"column": "currency"},
    "identifiers": {"userId": "customer.id", "email": "customer.email", "loyalty": "card"},
    "records": [
        {
            "event": "Order Completed",
            "properties": {"order_id": {"column": "id", "type": "id"}, "tags": {"column": "tags", "type": "list"}},
            "context": {"page.url": "landing", "locale": {"value": "ja-JP"}},
            "products": {
                "each": "line_items",
                "fields": {
                    "product_id": "sku",
                    "quantity": {"column": "quantity", "type": "integer"},
                    "price": {"column": "price", "type": "money"},
                    "order": {"column": "^.id", "type": "id"},
                },
            },
        }
    ],
}


def test_a_nested_order_becomes_one_call() -> None:
    (call,) = Translator(document(SHOP), "shop").calls({**ORDER, "landing": "/home", "card": "L-1"}, 1)
    message_id = call.pop("messageId")
    order = "9223372036854775807"
    assert call == {
        "type": "track",
        "event": "Order Completed",
        "userId": "7",
        "timestamp": "2025-07-01T09:00:00.000Z",
        "context": {
            "page": {"url": "/home"},
            "locale": "ja-JP",
            "traits": {"email": "Ann@X.org"},
            "externalIds": [{"id": "L-1", "type": "loyalty", "collection": "users", "encoding": "none"}],
        },
        "properties": {
            "order_id": order,
            "tags": ["vip"],
            "currency": "JPY",
            "products": [
                {"product_id": "tea", "quantity": 2, "price": 250, "order": order},
                {"quantity": 1, "order": order},
                {"order": order},
            ],
        },
    }
    assert message_id.startswith("shop:")
    decode_call(json.dumps({**call, "messageId": message_id}).encode(), type=None)


def test_the_key_is_in_no_message_id() -> None:
    (call,) = Translator(document(CONTACTS), "crm").calls(
        {"id": "ann@x.org", "mail": "ann@x.org", "changed": "2025-01-01"}, 1
    )
    assert "ann" not in call["messageId"]


def test_the_lines_of_a_receipt_are_one_call_and_equal_lines_are_kept() -> None:
    translator = Translator(document(RECEIPTS), "till")
    lines = [LINE, LINE, {**LINE, "article": "cup", "when": "2025-07-01 08:59", "price": "£1,000.00"}]
    pieces = [piece for number, line in enumerate(lines, 1) for piece in translator.pieces(line, number)]
    call = translator.join(pieces)
    assert [product["product_id"] for product in call["properties"]["products"]] == ["tea", "tea", "cup"]
    assert call["timestamp"] == "2025-07-01T07:59:00.000Z", "that of the earliest line, in London's summer"
    assert call["userId"] == "17850"


@given(st.permutations(range(5)))
def test_the_order_of_lines_does_not_matter(order: list[int]) -> None:
    translator = Translator(document(RECEIPTS), "till")
    lines = [{**LINE, "article": f"a{number}", "when": f"2025-07-01 09:0{number % 3}"} for number in range(5)]
    pieces = [piece for number in order for piece in translator.pieces(lines[number], number + 1)]
    assert translator.join(pieces) == translator.join(sorted(pieces, key=lambda piece: piece.number))


def test_a_receipt_of_two_customers_is_refused() -> None:
    translator = Translator(document(RECEIPTS, nobody="count"), "till")
    pieces = [*translator.pieces(LINE, 1), *translator.pieces({**LINE, "customer": 2}, 2)]
    with pytest.raises(Fault, match="different people"):
        translator.join(pieces)
    half = [*translator.pieces({**LINE, "customer": None, "when": "2025-07-01 08:00"}, 1), pieces[0]]
    assert translator.join(half)["userId"] == "17850", "one line may leave him out"


def test_cancellations_are_refunds_of_negative_value() -> None:
    (call,) = Translator(document(RECEIPTS), "till").calls({**LINE, "pieces": -80995}, 1)
    assert call["event"] == "Order Refunded"
    assert call["properties"]["products"] == [{"product_id": "tea", "quantity": -80995, "price": 2.5}]


@pytest.mark.parametrize(
    ("changes", "column", "reason"),
    [
        ({"when": "soon"}, "when", "no date"),
        ({"when": ""}, "when", "empty"),
        ({"price": "2,5"}, "price", "no number"),
        ({"pieces": "2.5"}, "pieces", "not whole"),
        ({"customer": None}, "customer", "names nobody"),
        ({"customer": "null"}, "customer", "names nobody"),
        ({"receipt": ""}, "receipt", "empty"),
        ({"article": "x\0"}, "article", "unprintable"),
    ],
    ids=repr,
)
def test_a_row_is_refused_with_its_column(changes: dict[str, Any], column: str, reason: str) -> None:
    with pytest.raises(Fault) as refused:
        Translator(document(RECEIPTS)).calls({**LINE, **changes}, 1)
    assert (refused.value.column, refused.value.reason) == (column, reason)


def test_rows_without_a_person_are_treated_as_declared() -> None:
    row = {**LINE, "customer": None}
    assert Translator(document(RECEIPTS, nobody="skip")).calls(row, 1) == []
    (call,) = Translator(document(RECEIPTS, nobody="count")).calls(row, 1)
    assert "userId" not in call


def test_a_contact_is_new_when_what_it_says_is_new() -> None:
    translator = Translator(document(CONTACTS), "crm")
    row = {"id": "1", "mail": "ann@x.org", "changed": "2025-01-01", "city": "Leeds", "plan": "p", "first": "Ann"}
    (first,), (again,), (moved,) = (
        translator.calls(row, 1),
        translator.calls({**row, "first": "Anne"}, 9),
        translator.calls({**row, "city": "York"}, 1),
    )
    assert first["traits"] == {"city": "Leeds", "plan": "pro"}
    assert first["messageId"] == again["messageId"] != moved["messageId"]
    (piece,) = translator.pieces(row, 1)
    assert piece.contact == {"first_name": "Ann", "email": "ann@x.org"}
    assert translator.contact_key(piece) == translator.contact_key(translator.pieces({**row, "city": "York"}, 2)[0])


def test_phone_numbers_are_of_the_declared_country() -> None:
    (call,) = Translator(document(CONTACTS)).calls({"id": "1", "tel": "020 7946 0018", "changed": "01/02/2025"}, 1)
    assert call["context"]["traits"]["phone"] == "+442079460018"


def test_consent_is_read_from_its_columns() -> None:
    said = {
        "marketing": {"column": "opt_in", "values": {"subscribed": True, "cleaned": False}},
        "analytics": {"value": True},
    }
    translator = Translator(document(CONTACTS, consent=said))
    row = {"id": "1", "changed": "2025-01-01"}
    for opt_in, preferences in (
        ("subscribed", {"marketing": True, "analytics": True}),
        ("no", {"marketing": False, "analytics": True}),
        ("", {"analytics": True}),
    ):
        (call,) = translator.calls({**row, "opt_in": opt_in}, 1)
        assert call["context"]["consent"] == {"categoryPreferences": preferences}


def test_vendor_scores_are_traits_with_their_origin() -> None:
    said = {
        "kind": "scores",
        "time": "as_of",
        "identifiers": {"userId": "id"},
        "records": [
            {
                "type": "identify",
                "scores": {
                    "vendor": "acme",
                    "model": "model",
                    "fields": {"churn": {"column": "p", "at_least": 0, "at_most": 1}, "value": "v"},
                },
            }
        ],
    }
    translator = Translator(document(said), "acme")
    (call,) = translator.calls({"id": "1", "as_of": "2025-01-01", "model": "churn 3.1", "p": "0.83", "v": ""}, 1)
    assert call["traits"] == {"score.acme.churn": 0.83, "score.acme.churn.model": "churn 3.1"}
    assert call["timestamp"] == "2025-01-01T00:00:00.000Z"
    for row, column in (
        ({"model": "", "p": "0.83"}, "model"),
        ({"model": "churn 3.1", "p": "83"}, "p"),
        ({"model": "churn 3.1", "p": "high"}, "p"),
    ):
        with pytest.raises(Fault) as refused:
            translator.calls({"id": "1", "as_of": "2025-01-01", **row}, 1)
        assert refused.value.column == column


def test_one_row_may_make_a_call_an_entry() -> None:
    said: dict[str, Any] = {
        "kind": "email",
        "key": ["id"],
        "identifiers": {"email": "to"},
        "records": [
            {
                "event": {"column": "@.kind", "values": {"open": "Email Opened", "send": None}, "others": "empty"},
                "each": "activity",
                "time": "@.at",
                "properties": {"campaign": "id"},
            }
        ],
    }
    row = {
        "id": "c1",
        "to": "ann@x.org",
        "activity": [
            {"kind": "open", "at": "2025-01-01"},
            {"kind": "send", "at": "2025-01-01"},
            {"kind": "open", "at": "2025-01-02"},
        ],
    }
    calls = Translator(document(said)).calls(row, 1)
    assert [call["timestamp"][:10] for call in calls] == ["2025-01-01", "2025-01-02"]
    assert len({call["messageId"] for call in calls}) == 2
    with pytest.raises(Fault, match="no list"):
        Translator(document(said)).calls({**row, "activity": "open"}, 1)
    said["records"][0]["where"] = [{"column": "@.at", "starts": "2025-01-02"}, {"column": "id", "filled": True}]
    (late,) = Translator(document(said)).calls(row, 1)
    assert late["messageId"] == calls[1]["messageId"], "an entry keeps its place where others are left out"


def test_equal_rows_without_a_key_are_one() -> None:
    said = {key: value for key, value in SHOP.items() if key != "key"}
    translator = Translator(document(said))
    (first,), (again,), (other,) = (
        translator.calls(row, 1) for row in (ORDER, dict(reversed(ORDER.items())), {**ORDER, "tags": []})
    )
    assert first["messageId"] == again["messageId"] != other["messageId"]


def test_robots_are_known_by_the_declared_column() -> None:
    translator = Translator(document(SHOP, user_agent="browser.agent"))
    assert translator.is_robot({"browser": {"agent": "Googlebot/2.1"}})
    assert not translator.is_robot(ORDER)


def test_a_document_overrides_its_preset_key_by_key() -> None:
    below = {"kind": "crm", "identifiers": {"userId": "id", "email": "mail"}, "dates": ["iso"]}
    assert merged(below, {"identifiers": {"email": "E-Mail"}, "dates": ["epoch"]}) == {
        "kind": "crm",
        "identifiers": {"userId": "id", "email": "E-Mail"},
        "dates": ["epoch"],
    }


def test_rows_lie_where_the_document_says() -> None:
    said = document(SHOP, rows="data.orders")
    assert rows_of({"data": {"orders": [1, 2]}}, said) == [1, 2]
    assert rows_of([1], said) == [1]
    assert rows_of({"id": 1}, document(SHOP)) == [{"id": 1}]
    with pytest.raises(Fault, match="absent"):
        rows_of({"data": {}}, said)


_cells = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)
_entries = st.dictionaries(st.sampled_from(["sku", "quantity", "price"]), _cells, max_size=3)
_columns = st.sampled_from([*LINE, *ORDER, "mail", "tel", "changed", "city", "first"])
_DOCUMENTS: list[SourceDocument] = [document(SHOP), document(RECEIPTS), document(CONTACTS)]


@given(st.sampled_from(_DOCUMENTS), st.dictionaries(_columns, _cells | st.lists(_entries, max_size=2)))
def test_any_row_is_refused_or_makes_calls_that_are_json(said: SourceDocument, row: dict[str, Any]) -> None:
    calls = []
    with contextlib.suppress(Fault):
        calls = Translator(said).calls(row, 1)
    for call in calls:
        assert decode_call(json.dumps(call).encode(), type=None).message_id == call["messageId"]
