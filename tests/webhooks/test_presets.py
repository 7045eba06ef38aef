"""Every shipped document, on payloads as its vendor documents them: what Segment would call the same."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import vendor_samples as samples

from edgewise.ids import SubjectId
from edgewise.intake import decode_call
from hub.site.checking_sources import check_sources
from hub.site.documents import Document
from hub.site.reading import Place
from hub.sources.document import SourceDocument, SourceName, merged
from hub.sources.shipped import preset, preset_names
from hub.sources.stating import stated_with
from hub.sources.translate import Translator
from hub.webhooks.bodies import rows_in

Call = dict[str, Any]


def document(name: str, over: dict[str, Any] | None = None) -> SourceDocument:
    return msgspec.convert(merged(preset(name), over or {}), SourceDocument)


def calls(name: str, *rows: Any, over: dict[str, Any] | None = None) -> list[Call]:
    translator = Translator(document(name, over), name)
    return [call for number, row in enumerate(rows, 1) for call in translator.calls(row, number)]


def names(found: list[Call]) -> list[str]:
    return [call.get("event") or call["type"] for call in found]


def denied(name: str, *rows: Any) -> list[bool | None]:
    """What each call says of marketing."""
    consents = [call.get("context", {}).get("consent", {}) for call in calls(name, *rows)]
    return [consent.get("categoryPreferences", {}).get("marketing") for consent in consents]


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_a_document_in_which_nothing_is_wrong(name: str) -> None:
    place = Place(Document(f"sources/{name}.yaml", preset(name)))
    files: Any = SimpleNamespace(sources={SourceName(name): (document(name), place)})  # nothing else is looked at
    assert list(check_sources(files)) == []


@pytest.mark.parametrize(
    ("name", "rows"),
    {
        "ga4": samples.GA4,
        "hubspot": [samples.HUBSPOT_CSV_ROW, samples.HUBSPOT_API_ROW],
        "mailchimp": [*samples.MANDRILL, samples.MAILCHIMP_ACTIVITY],
        "receipts": samples.RECEIPTS[:1],
        "salesforce": [samples.SALESFORCE_CONTACT, samples.SALESFORCE_LEAD],
        "sendgrid": samples.SENDGRID,
        "shopify": [
            samples.SHOPIFY_ORDER,
            samples.SHOPIFY_REFUND,
            samples.SHOPIFY_CART,
            samples.SHOPIFY_CHECKOUT,
        ],
        "snowplow": samples.SNOWPLOW,
        "woocommerce": [samples.WOO_ORDER],
        "zendesk": [samples.ZENDESK_TICKET, samples.ZENDESK_CREATED, samples.ZENDESK_SOLVED],
    }.items(),
)
def test_what_a_preset_makes_is_what_intake_takes_and_the_same_again(name: str, rows: list[Any]) -> None:
    made = calls(name, *rows)
    assert made
    for call in made:
        decode_call(json.dumps(call).encode(), type=None)
    assert made == calls(name, *rows)
    assert len({call["messageId"] for call in made}) == len(made)


def test_an_order_is_counted_once_however_many_webhooks_tell_of_it() -> None:
    created = calls("shopify", {**samples.SHOPIFY_ORDER, "financial_status": "pending"})
    paid = calls("shopify", samples.SHOPIFY_ORDER)
    assert created == paid
    [order] = paid
    assert (order["event"], order["timestamp"]) == ("Order Completed", "2026-03-01T14:05:06.000Z")
    assert order["properties"]["order_id"] == "5470113529897"
    assert order["properties"]["currency"] == "EUR"
    assert [product["product_id"] for product in order["properties"]["products"]] == ["632910392", "921728736"]
    assert [product["quantity"] for product in order["properties"]["products"]] == [1, 2]
    assert order["context"]["traits"] == {"email": "Mia.Berg@post.example", "phone": "+4915112345678"}


def test_a_cancelled_order_was_completed_before() -> None:
    cancelled = {**samples.SHOPIFY_ORDER, "cancelled_at": "2026-03-02T00:00:00-05:00", "cancel_reason": "customer"}
    completed, gone = calls("shopify", cancelled)
    assert [completed] == calls("shopify", samples.SHOPIFY_ORDER)
    assert (gone["event"], gone["properties"]["reason"]) == ("Order Cancelled", "customer")
    assert gone["timestamp"] == "2026-03-02T05:00:00.000Z"


def test_a_refund_names_its_order_and_cart_checkout_and_order_name_one_cart() -> None:
    refund, cart, checkout, order = calls(
        "shopify", samples.SHOPIFY_REFUND, samples.SHOPIFY_CART, samples.SHOPIFY_CHECKOUT, samples.SHOPIFY_ORDER
    )
    assert names([refund, cart, checkout]) == ["Order Refunded", "Cart Viewed", "Checkout Started"]

    def order_ids(call: Call) -> list[str]:
        return [one["id"] for one in call["context"]["externalIds"] if one["type"] == "orderId"]

    assert order_ids(refund) == order_ids(order) == ["5470113529897"]
    assert {call["anonymousId"] for call in (cart, checkout, order)} == {samples.SHOPIFY_CART["token"]}


def test_products_and_test_orders_make_no_calls() -> None:
    assert calls("shopify", samples.SHOPIFY_PRODUCT, {**samples.SHOPIFY_ORDER, "test": True}) == []
    assert calls("woocommerce", samples.WOO_PRODUCT) == []


def test_a_woocommerce_order_counts_once_it_is_paid() -> None:
    assert calls("woocommerce", {**samples.WOO_ORDER, "status": "pending"}) == []
    [order] = calls("woocommerce", samples.WOO_ORDER)
    assert order["timestamp"] == "2026-03-22T15:28:08.000Z"
    assert order["properties"]["total"] == 29.35
    refunded = calls("woocommerce", {**samples.WOO_ORDER, "status": "refunded"})
    assert names(refunded) == ["Order Completed", "Order Refunded"]
    guest = calls("woocommerce", {**samples.WOO_ORDER, "customer_id": 0})
    assert "externalIds" not in guest[0]["context"]


def test_sendgrid_events_have_segments_names_and_machines_open_nothing() -> None:
    assert names(calls("sendgrid", *samples.SENDGRID)) == [
        "Email Delivered",
        "Email Opened",
        "Email Link Clicked",
        "Email Bounced",
        "Email Marked as Spam",
        "Unsubscribed",
    ]
    assert denied("sendgrid", *samples.SENDGRID) == [None, None, None, None, False, False]


def test_mandrill_events_have_segments_names_and_an_unsubscribe_denies_marketing() -> None:
    found = calls("mailchimp", *samples.MANDRILL)
    assert names(found) == ["Email Delivered", "Email Opened", "Email Link Clicked", "Email Bounced", "Unsubscribed"]
    assert denied("mailchimp", *samples.MANDRILL) == [None, None, None, None, False]
    assert found[3]["properties"]["bounce_type"] == "hard"
    assert {call["userId"] for call in found} == {"111"}


def test_mailchimps_forms_are_read_and_the_later_word_is_kept() -> None:
    said = document("mailchimp")
    assert said.webhook is not None
    rows = [
        rows_in(said.webhook, said, samples.form(fields))[0]
        for fields in (samples.MAILCHIMP_UNSUBSCRIBE, samples.MAILCHIMP_SUBSCRIBE)
    ]
    left, back = calls("mailchimp", *rows)
    assert (left["event"], left["timestamp"]) == ("Unsubscribed", "2026-03-26T21:40:57.000Z")
    assert (back["type"], back["traits"]["newsletter"]) == ("identify", True)
    assert denied("mailchimp", *rows) == [False, True]


def test_a_campaigns_activity_is_an_event_an_entry() -> None:
    opened, clicked = calls("mailchimp", samples.MAILCHIMP_ACTIVITY)
    assert (opened["event"], clicked["event"]) == ("Email Opened", "Email Link Clicked")
    assert clicked["properties"]["link_url"] == "https://shop.example/tea"


def test_a_solved_ticket_was_opened_and_says_how_it_went() -> None:
    opened, closed = calls("zendesk", samples.ZENDESK_TICKET)
    assert (opened["event"], opened["properties"]["ticket_id"]) == ("Ticket Opened", "35436")
    assert (closed["event"], closed["properties"]["mood"]) == ("Ticket Closed", -1)
    assert closed["timestamp"] == "2026-03-03T09:30:00.000Z"
    assert opened["userId"] == "u-7"


def test_zendesks_own_events_open_and_close_a_ticket() -> None:
    opened, closed = calls("zendesk", samples.ZENDESK_CREATED, samples.ZENDESK_SOLVED)
    assert names([opened, closed]) == ["Ticket Opened", "Ticket Closed"]
    assert opened["properties"]["ticket_id"] == closed["properties"]["ticket_id"] == "35437"
    assert opened["properties"]["priority"] == "normal"


def test_a_ticket_that_is_opened_again_is_open_until_it_is_closed_again() -> None:
    def changed(previous: str, current: str, time: str) -> Call:
        return {**samples.ZENDESK_SOLVED, "time": time, "event": {"current": current, "previous": previous}}

    told = [
        samples.ZENDESK_CREATED,
        changed("NEW", "OPEN", "2026-03-03T08:00:00Z"),
        changed("OPEN", "SOLVED", "2026-03-04T08:00:00Z"),
        changed("SOLVED", "OPEN", "2026-03-05T08:00:00Z"),
        changed("OPEN", "SOLVED", "2026-03-06T08:00:00Z"),
        changed("SOLVED", "CLOSED", "2026-03-10T08:00:00Z"),
    ]
    found = calls("zendesk", *told)
    assert names(found) == ["Ticket Opened", "Ticket Closed", "Ticket Opened", "Ticket Closed"]
    assert len({call["messageId"] for call in found}) == 4
    assert {call["properties"]["ticket_id"] for call in found} == {"35437"}
    rated = {**samples.ZENDESK_TICKET, "updated_at": "2026-03-09T09:30:00Z"}
    assert calls("zendesk", samples.ZENDESK_TICKET, rated)[1::2] != calls("zendesk", rated, rated)[1::2]


def test_who_complains_of_spam_denies_marketing_and_whose_address_is_dead_does_not() -> None:
    cleaned = {"type": "cleaned", "fired_at": "2026-03-26 22:01:00"}
    of = {"list_id": "a6b5da1054", "email": "mia.berg@post.example"}
    rows = [{**cleaned, "data": {**of, "reason": reason}} for reason in ("abuse", "hard")]
    assert names(calls("mailchimp", *rows)) == ["Email Marked as Spam", "Email Bounced"]
    assert denied("mailchimp", *rows) == [False, None]


def test_nothing_raw_lies_in_properties() -> None:
    bounce = {**samples.SENDGRID[5], "event": "bounce", "reason": "550 <mia.berg@post.example>: no such user"}
    told = [*calls("sendgrid", bounce), *calls("shopify", samples.SHOPIFY_CART)]
    assert names(told) == ["Email Bounced", "Cart Viewed"]
    written = json.dumps([call.get("properties", {}) for call in told])
    assert "mia.berg" not in written
    assert samples.SHOPIFY_CART["token"] not in written


@pytest.mark.parametrize("agent", ["okhttp/4.12.0", "axios/1.7.2", "python-requests/2.32"])
def test_an_order_is_no_robots_whatever_sent_it(agent: str) -> None:
    translator = Translator(document("woocommerce"), "woo")
    assert not translator.is_robot({**samples.WOO_ORDER, "customer_user_agent": agent})


def test_a_contact_reads_alike_from_csv_and_from_json() -> None:
    csv, api = calls("hubspot", samples.HUBSPOT_CSV_ROW, samples.HUBSPOT_API_ROW, over={"timezone": "Europe/Berlin"})
    assert csv["timestamp"] == "2026-02-01T13:05:00.000Z"
    assert csv["traits"]["customer_since"] == api["traits"]["customer_since"] == "2025-11-02T09:00:00.000Z"
    assert csv["context"]["externalIds"] == api["context"]["externalIds"]
    assert csv["context"]["traits"]["email"] == api["context"]["traits"]["email"]
    assert denied("hubspot", samples.HUBSPOT_CSV_ROW, samples.HUBSPOT_API_ROW) == [False, None]


def test_a_converted_lead_names_the_contact_that_it_became() -> None:
    contact, lead = calls("salesforce", samples.SALESFORCE_CONTACT, samples.SALESFORCE_LEAD)
    [became] = [one["id"] for one in lead["context"]["externalIds"] if one["type"] == "salesforceContact"]
    assert became == samples.SALESFORCE_CONTACT["Id"] == contact["context"]["externalIds"][0]["id"]
    assert calls("salesforce", {**samples.SALESFORCE_CONTACT, "IsDeleted": True}) == []
    assert denied("salesforce", samples.SALESFORCE_CONTACT) == [False]


def test_google_analytics_recommended_events_become_segments() -> None:
    page, added, own = calls("ga4", *samples.GA4)
    assert (page["type"], page["name"], page["timestamp"]) == ("page", "Kettles", "2026-03-01T13:00:00.123Z")
    assert (added["event"], added["userId"], added["properties"]["currency"]) == ("Product Added", "u-7", "EUR")
    [product] = added["properties"]["products"]
    assert product == {
        "product_id": "632910392",
        "name": "Red kettle",
        "brand": "Hearth",
        "price": 49.9,
        "quantity": 1,
    }
    assert own["event"] == "newsletter_popup"


def test_snowplows_json_is_read_and_its_header_has_131_names() -> None:
    page, played, viewed = calls("snowplow", *samples.SNOWPLOW)
    assert (page["type"], page["timestamp"]) == ("page", "2026-03-01T13:59:59.900Z")
    assert (played["event"], played["properties"]["value"]) == ("play", 3.5)
    assert (viewed["event"], viewed["properties"]["products"][0]["product_id"]) == ("Product Viewed", "921728736")
    header = document("snowplow").header
    assert header is not None
    assert (len(header), len(set(header)), header[5], header[130]) == (131, 131, "event", "true_tstamp")


def test_lines_of_a_receipt_are_one_purchase_and_a_long_card_number_keeps_its_digits() -> None:
    translator = Translator(document("receipts"), "receipts")
    pieces = [piece for number, row in enumerate(samples.RECEIPTS, 1) for piece in translator.pieces(row, number)]
    bought = translator.join(pieces)
    assert bought["event"] == "Offline Purchase"
    assert [product["product_id"] for product in bought["properties"]["products"]] == ["TEA-A", "MUG"]
    assert bought["context"]["externalIds"][0]["id"] == "9007199254740993"


def test_a_consent_without_a_time_of_its_own_only_ever_denies() -> None:
    def call(marketing: str, **more: Any) -> Any:
        context = {"consent": {"categoryPreferences": {"marketing": marketing == "granted"}}}
        said = {"type": "identify", "userId": "u", "context": context, **more}
        return decode_call(json.dumps(said).encode(), type=None)

    subject = SubjectId("s" * 32)
    assert stated_with(call("granted"), subject, 1_000) is None
    of_the_row = call("granted", timestamp="1970-01-01T00:00:00.500Z")
    assert stated_with(of_the_row, subject, 1_000) is None, "a row's own time says when anybody edited it"
    assert stated_with(of_the_row, subject, 1_000, -1) is None
    granted = stated_with(of_the_row, subject, 1_000, 400)
    assert granted is not None
    assert granted.time_ms == 400
    later = stated_with(of_the_row, subject, 1_000, 2_000)
    assert later is not None
    assert later.time_ms == 1_000, "nobody stated anything later than now"
    denied_now = stated_with(call("denied"), subject, 1_000)
    assert denied_now is not None
    assert stated_with(call("denied"), SubjectId(""), 1_000) is None
