"""Segment calls into records: what is kept, corrected, hashed, and what each bad call is told."""

import contextlib
import datetime as dt
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.bundle.catalogue import AttributeValue
from edgewise.consent import Consent, ConsentState, Grants
from edgewise.errors import InputError
from edgewise.ids import ItemId, MessageId, Producer
from edgewise.intake import CallType, decode_call, event_time_ms, record_of
from edgewise.records import ANONYMOUS, EventRecord, decode_record, encode_record
from edgewise.subjects import subject_of

KEY = b"k" * 32
RECEIVED_MS = 1_780_000_000_000
ALL = Grants(personalisation=True, analytics=True, marketing=True)


def nothing_known(_: ItemId) -> dict[str, AttributeValue] | None:
    return None


def record(
    call: dict[str, Any],
    grants: Grants = ALL,
    known: dict[str, AttributeValue] | None = None,
    *,
    vouched: bool = False,
) -> EventRecord:
    decoded = decode_call(msgspec.json.encode({"anonymousId": "a-1", **call}), type=None)
    return record_of(
        decoded,
        producer=Producer("n/1/0"),
        seq=3,
        message_id=MessageId("m-1"),
        subject_key=KEY,
        grants=grants,
        received_ms=RECEIVED_MS,
        attributes_of=lambda _: known,
        vouched=vouched,
    )


def viewed(**properties: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Product Viewed", "properties": properties}


def test_a_product_is_touched_with_what_the_catalogue_knew_of_it() -> None:
    known: dict[str, AttributeValue] = {"category": ["laptops", "work"], "brand": "Acme", "price": 9.0}
    (touch,) = record(viewed(product_id="p-1", price="12.34", quantity=2, category="ignored"), known=known).touches
    assert (touch.item, touch.value_minor, touch.quantity) == ("p-1", 1234, 2)
    assert touch.dimensions == {"category": ("laptops", "work"), "brand": ("Acme",)}


def test_an_item_that_no_catalogue_knows_keeps_what_the_page_says() -> None:
    (touch,) = record(viewed(product_id="p-1", category="laptops")).touches
    assert touch.dimensions == {"category": ("laptops",)}


def test_sixty_four_bit_ids_survive_digit_for_digit() -> None:
    (touch,) = record(viewed(product_id=9223372036854775807)).touches
    assert touch.item == "9223372036854775807"


def test_an_order_touches_each_of_its_products() -> None:
    products = [{"product_id": "a", "price": 1, "quantity": 3}, {"sku": "b"}, {"name": "nameless"}]
    call = {"type": "track", "event": "Order Completed", "properties": {"products": products}}
    assert [touch.item for touch in record(call).touches] == ["a", "b"]


def test_no_raw_identifier_is_left_in_a_record() -> None:
    call = {
        "type": "identify",
        "userId": "user-secret-7",
        "traits": {"email": "Ann@Example.org ", "phone": "+44 20", "name": "Ann Other", "plan": "gold"},
        "context": {"ip": "203.0.113.9", "locale": "en-GB"},
    }
    kept = record({"anonymousId": "anon-secret-1", **call})
    written = encode_record(kept)
    for raw in (b"secret", b"Ann", b"ann@", b"+44", b"203.0.113.9"):
        assert raw not in written
    assert kept.traits == {"plan": "gold"}
    assert kept.identifiers["email"] == subject_of(KEY, "email", "ann@example.org")
    assert kept.identifiers["userId"] == subject_of(KEY, "userId", "user-secret-7")
    assert decode_record(written) == kept


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**29])
def test_a_trait_that_no_record_can_hold_is_refused_with_its_path(number: int) -> None:
    with pytest.raises(InputError) as refused:
        record({"type": "identify", "anonymousId": "a", "traits": {"n": number}})
    assert [problem.path for problem in refused.value.problems] == ["$.traits.n"]


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63)])
def test_a_trait_of_64_bits_is_kept(number: int) -> None:
    kept = record({"type": "identify", "anonymousId": "a", "traits": {"n": number}})
    assert kept.traits == {"n": number}
    assert decode_record(encode_record(kept)) == kept


def test_without_any_grant_a_record_names_nobody() -> None:
    kept = record({"type": "identify", "userId": "u", "traits": {"plan": "gold"}}, grants=Grants(marketing=True))
    assert kept.subject == ANONYMOUS
    assert not kept.traits
    assert not kept.identifiers


def test_a_record_of_nobody_keeps_no_body_and_of_the_message_id_only_that_it_is_the_same() -> None:
    call = {
        **viewed(product_id="p-1", email="ann@example.org", note="call me"),
        "context": {"page": {"url": "https://shop.example/?email=ann@example.org"}},
    }
    kept, again = record(call, grants=Grants()), record(call, grants=Grants(marketing=True))
    assert kept.body == b""
    assert [touch.item for touch in kept.touches] == ["p-1"]
    assert kept.message_id == again.message_id == MessageId(subject_of(KEY, "messageId", "m-1"))
    assert b"ann" not in encode_record(kept)
    assert record(call).message_id == "m-1"


def test_what_names_a_person_is_taken_out_of_properties_wherever_it_stands() -> None:
    named = {"email": "secret", "phone": "secret", "userId": "secret", "user_id": "secret", "Email": "secret"}
    kept = record(viewed(product_id="p-1", plan="gold", **named, products=[named], order={"buyer": [named]}))
    body = msgspec.json.decode(kept.body)
    expected = {"product_id": "p-1", "plan": "gold", "products": [{}], "order": {"buyer": [{}]}}
    assert body == {"properties": expected, "context": {}}


def test_properties_that_are_nested_beyond_all_reason_are_refused() -> None:
    deep: Any = []
    for _ in range(500):
        deep = [deep]
    with pytest.raises(InputError, match=r"\$\.properties: nested more than 64 deep"):
        record(viewed(deep=deep))


@pytest.mark.parametrize(
    ("timestamp", "sent_at", "expected_ms"),
    [
        (None, None, RECEIVED_MS),
        ("2020-01-01T00:00:00Z", None, 1_577_836_800_000),
        ("2020-01-01T00:00:00", None, 1_577_836_800_000),
        # a phone whose clock is years off: the event is as old as the phone says, no older
        ("2031-05-05T10:00:00Z", "2031-05-05T10:00:07Z", RECEIVED_MS - 7_000),
        ("2038-01-19T03:14:07Z", None, RECEIVED_MS),
        ("2020-01-01T00:00:10Z", "2020-01-01T00:00:00Z", RECEIVED_MS),
        ("0001-01-01T00:00:00Z", None, 1),
    ],
)
def test_the_clock_of_the_sender_is_corrected(timestamp: str | None, sent_at: str | None, expected_ms: int) -> None:
    call = {"type": "page", "anonymousId": "a", "timestamp": timestamp, "sentAt": sent_at}
    assert event_time_ms(decode_call(msgspec.json.encode(call), type=None), RECEIVED_MS) == expected_ms


@given(st.datetimes(timezones=st.just(dt.UTC)), st.none() | st.datetimes(timezones=st.just(dt.UTC)))
def test_no_event_lies_after_its_receipt_or_before_the_epoch(stated: dt.datetime, sent: dt.datetime | None) -> None:
    call = {"type": "page", "anonymousId": "a", "timestamp": stated, "sentAt": sent}
    assert 1 <= event_time_ms(decode_call(msgspec.json.encode(call), type=None), RECEIVED_MS) <= RECEIVED_MS


def test_consent_travels_in_segments_own_field_in_both_spellings() -> None:
    preferences = {"personalization": True, "Analytics": False, "unheard-of": True}
    call = {"type": "page", "anonymousId": "a", "context": {"consent": {"categoryPreferences": preferences}}}
    assert decode_call(msgspec.json.encode(call), type=None).consent == Consent(
        personalisation=ConsentState.GRANTED, analytics=ConsentState.DENIED
    )


@pytest.mark.parametrize(
    "preferences",
    [
        {"personalisation": False, "Personalization": True},
        {"Personalization": True, "personalisation": False},
        {"personalization": False, "personalisation": True},
    ],
)
def test_of_two_words_for_one_purpose_a_denial_holds(preferences: dict[str, bool]) -> None:
    call = {"type": "page", "anonymousId": "a", "context": {"consent": {"categoryPreferences": preferences}}}
    assert decode_call(msgspec.json.encode(call), type=None).consent.personalisation is ConsentState.DENIED


@pytest.mark.parametrize(
    ("raw", "kind", "path", "says"),
    [
        (b"{", "track", "$", "not JSON"),
        (b"\xff\xfe{}", "track", "$", "not JSON"),
        (b"[]", "track", "$", "Expected `object`"),
        (b'{"event": "Product Viewed"}', "track", "$.anonymousId", "neither"),
        (b'{"anonymousId": "a"}', "track", "$.event", "name of what was done"),
        (b'{"anonymousId": "a", "event": ""}', "track", "$.event", "length >= 1"),
        (b'{"anonymousId": "a"}', None, "$.type", "track, identify"),
        (b'{"anonymousId": "a", "type": "teleport"}', None, "$.type", "Invalid enum value"),
        (b'{"anonymousId": {}, "type": "page"}', None, "$.anonymousId", "Expected"),
        (b'{"anonymousId": "a", "type": "page", "timestamp": "yesterday"}', None, "$.timestamp", "Invalid RFC3339"),
        (b'{"anonymousId": "a", "event": "x", "properties": {"price": NaN}}', "track", "$", "not JSON"),
        (b'{"anonymousId": "a", "event": "x", "properties": 7}', "track", "$.properties", "Expected"),
        (b'{"anonymousId":"a","type":"page","x":"' + b"y" * 40_000 + b'"}', None, "$", "at most 32768 bytes"),
        (b'{"anonymousId": "a", "type": "page", "x": ' + b"[" * 20_000 + b"]" * 12, None, "$", "not JSON"),
    ],
)
def test_a_bad_call_is_told_where_and_what(raw: bytes, kind: CallType | None, path: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        decode_call(raw, type=kind)
    (problem,) = refused.value.problems
    assert problem.path == path
    assert says in problem.message


@pytest.mark.parametrize(
    ("properties", "path"),
    [
        ({"product_id": ["p"]}, "$.properties.product_id"),
        ({"product_id": True}, "$.properties.product_id"),
        ({"product_id": "p" * 201}, "$.properties.product_id"),
        ({"product_id": "p", "price": "a lot"}, "$.properties.price"),
        ({"product_id": "p", "price": 1e300}, "$.properties.price"),
        ({"product_id": "p", "price": 1e9, "quantity": 1_000}, "$.properties.price"),
        ({"product_id": "p", "rating": True}, "$.properties.rating"),
        ({"products": "p"}, "$.properties.products"),
        ({"products": [1]}, "$.properties.products[0]"),
        (
            {"products": [{"product_id": "p"}, {"product_id": "q", "quantity": "x"}]},
            "$.properties.products[1].quantity",
        ),
        ({"decisionId": 5}, "$.properties.decisionId"),
        ({"placement": ""}, "$.properties.placement"),
    ],
)
def test_a_bad_property_is_told_where(properties: dict[str, Any], path: str) -> None:
    with pytest.raises(InputError) as refused:
        record({"type": "track", "event": "Product Viewed", "properties": properties})
    assert refused.value.problems[0].path == path


@given(st.binary(max_size=400))
def test_no_bytes_at_all_raise_anything_else(raw: bytes) -> None:
    # an InputError is the only exception that may come out: hypothesis fails on any other
    with contextlib.suppress(InputError):
        decode_call(raw, type="track")


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
        max_leaves=20,
    )
)
def test_no_properties_at_all_raise_anything_else(anything: Any) -> None:
    for name in ("product_id", "price", "quantity", "rating", "products", "category"):
        with contextlib.suppress(InputError):
            record(viewed(**{"product_id": "p", name: anything}))


def test_scores_are_for_sources_and_servers_to_state() -> None:
    call = {"type": "identify", "userId": "42", "traits": {"score.acme.churn": 0}}
    with pytest.raises(InputError) as refused:
        record(call)
    assert [problem.path for problem in refused.value.problems] == ["$.traits.score.acme.churn"]
    assert record(call, vouched=True).traits == {"score.acme.churn": 0}


def test_what_names_a_person_is_no_trait_however_it_is_spelled() -> None:
    named = {"Email": "x@y.z", "firstname": "Ann", "Full Name": "Ann O.", "mobile": "+44", "Mobile-Phone": "+44"}
    hidden = {"STREET": "Elm 1", "contact": "Ann <ann@example.org>", "user_id": "42"}
    kept = record(
        {"type": "identify", "traits": {**named, **hidden, "plan": "gold", "handle": "@ann", "city": "Leeds"}}
    )
    assert kept.traits == {"plan": "gold", "handle": "@ann", "city": "Leeds"}


@pytest.mark.parametrize("field", ["messageId", "anonymousId", "userId", "previousId", "groupId", "event", "name"])
def test_no_name_holds_a_nul(field: str) -> None:
    said = {"type": "track", "event": "Product Viewed", "anonymousId": "a", field: "x\0y"}
    with pytest.raises(InputError, match="without the character NUL") as refused:
        decode_call(msgspec.json.encode(said), type=None)
    assert [problem.path for problem in refused.value.problems] == [f"$.{field}"]
