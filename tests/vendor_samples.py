"""Payloads as vendors document them, about invented people and things."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

SHOPIFY_ORDER: dict[str, Any] = {
    "id": 5470113529897,
    "admin_graphql_api_id": "gid://shopify/Order/5470113529897",
    "order_number": 1042,
    "name": "#1042",
    "test": False,
    "email": "Mia.Berg@post.example",
    "phone": None,
    "cart_token": "c1-68778783ad298f1c80c3bafcddeea02f",
    "created_at": "2026-03-01T09:05:06-05:00",
    "updated_at": "2026-03-01T09:05:10-05:00",
    "cancelled_at": None,
    "cancel_reason": None,
    "currency": "EUR",
    "financial_status": "paid",
    "subtotal_price": "59.80",
    "total_price": "64.70",
    "total_discounts": "5.00",
    "discount_codes": [{"code": "SPRING5", "amount": "5.00", "type": "fixed_amount"}],
    "customer": {"id": 7012003455, "email": "mia.berg@post.example", "phone": "+4915112345678"},
    "line_items": [
        {"id": 1, "product_id": 632910392, "variant_id": 808950810, "sku": "KETTLE-R", "title": "Red kettle",
         "vendor": "Hearth", "price": "49.90", "quantity": 1},
        {"id": 2, "product_id": 921728736, "variant_id": 447654529, "sku": "TEA-A", "title": "Assam",
         "vendor": "Leaf & Co", "price": "4.95", "quantity": 2},
    ],
}  # fmt: skip
SHOPIFY_REFUND: dict[str, Any] = {
    "id": 890088186047892319,
    "order_id": 5470113529897,
    "created_at": "2026-03-04T10:00:00-05:00",
    "note": "leaks",
    "refund_line_items": [
        {"id": 9, "quantity": 1, "line_item_id": 1, "subtotal": "49.90",
         "line_item": {"id": 1, "product_id": 632910392, "price": "49.90", "title": "Red kettle"}}
    ],
    "transactions": [{"kind": "refund", "amount": "49.90", "currency": "EUR"}],
}  # fmt: skip
SHOPIFY_CART: dict[str, Any] = {
    "id": "c1-68778783ad298f1c80c3bafcddeea02f",
    "token": "c1-68778783ad298f1c80c3bafcddeea02f",
    "note": None,
    "created_at": "2026-03-01T13:58:00.000Z",
    "updated_at": "2026-03-01T14:01:02.120Z",
    "line_items": [
        {"id": 808950810, "product_id": 632910392, "variant_id": 808950810, "sku": "KETTLE-R", "title": "Red kettle",
         "vendor": "Hearth", "price": "49.90", "quantity": 1}
    ],
}  # fmt: skip
SHOPIFY_CHECKOUT: dict[str, Any] = {
    "id": 981820079255243537,
    "token": "123123123",
    "cart_token": "c1-68778783ad298f1c80c3bafcddeea02f",
    "email": "mia.berg@post.example",
    "created_at": "2026-03-01T09:03:00-05:00",
    "updated_at": "2026-03-01T09:04:00-05:00",
    "currency": "EUR",
    "total_price": "49.90",
    "abandoned_checkout_url": "https://shop.example/548380009/checkouts/123123123/recover?key=x",
    "customer": {"id": 7012003455},
    "line_items": SHOPIFY_CART["line_items"],
}
SHOPIFY_PRODUCT: dict[str, Any] = {
    "id": 632910392,
    "title": "Red kettle",
    "vendor": "Hearth",
    "product_type": "Kitchen",
    "updated_at": "2026-03-01T09:00:00-05:00",
    "variants": [
        {"id": 808950810, "price": "49.90", "sku": "KETTLE-R", "inventory_quantity": 10},
        {"id": 49148385, "price": "45.00", "sku": "KETTLE-B", "inventory_quantity": 2},
    ],
}
WOO_ORDER: dict[str, Any] = {
    "id": 727,
    "status": "processing",
    "currency": "GBP",
    "date_created": "2026-03-22T16:28:02",
    "date_created_gmt": "2026-03-22T15:28:02",
    "date_modified_gmt": "2026-03-22T15:30:00",
    "date_paid_gmt": "2026-03-22T15:28:08",
    "total": "29.35",
    "discount_total": "0.00",
    "customer_id": 26,
    "customer_user_agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0",
    "billing": {"first_name": "Ola", "last_name": "Nordin", "email": "ola@nordin.example", "phone": "(555) 555-5555"},
    "line_items": [{"id": 315, "name": "Mug", "product_id": 93, "quantity": 2, "price": 9.5, "sku": "MUG"}],
    "coupon_lines": [],
}
WOO_PRODUCT: dict[str, Any] = {
    "id": 93,
    "name": "Mug",
    "sku": "MUG",
    "price": "8.50",
    "regular_price": "9.50",
    "date_modified_gmt": "2026-03-01T14:00:00",
    "stock_quantity": 0,
    "status": "publish",
}
SENDGRID: list[dict[str, Any]] = [
    {"email": "mia.berg@post.example", "timestamp": 1772370000, "event": "processed", "sg_event_id": "e0",
     "sg_message_id": "m1.filter", "smtp-id": "<m1@mail>"},
    {"email": "mia.berg@post.example", "timestamp": 1772370001, "event": "delivered", "sg_event_id": "e1",
     "sg_message_id": "m1.filter", "response": "250 OK"},
    {"email": "mia.berg@post.example", "timestamp": 1772370100, "event": "open", "sg_event_id": "e2",
     "sg_message_id": "m1.filter", "sg_machine_open": True},
    {"email": "mia.berg@post.example", "timestamp": 1772370200, "event": "open", "sg_event_id": "e3",
     "sg_message_id": "m1.filter", "sg_machine_open": False},
    {"email": "mia.berg@post.example", "timestamp": 1772370210, "event": "click", "sg_event_id": "e4",
     "sg_message_id": "m1.filter", "url": "https://shop.example/kettles", "marketing_campaign_id": 12345},
    {"email": "gone@post.example", "timestamp": 1772370220, "event": "bounce", "sg_event_id": "e5",
     "sg_message_id": "m2", "type": "bounce", "reason": "550 no such user"},
    {"email": "ola@nordin.example", "timestamp": 1772370230, "event": "spamreport", "sg_event_id": "e6",
     "sg_message_id": "m3"},
    {"email": "mia.berg@post.example", "timestamp": 1772370240, "event": "group_unsubscribe", "sg_event_id": "e7",
     "sg_message_id": "m1.filter", "asm_group_id": 10},
]  # fmt: skip
MANDRILL: list[dict[str, Any]] = [
    {"event": kind, "_id": "8f", "ts": 1772370000 + second,
     "msg": {"_id": "8f", "email": "mia.berg@post.example", "subject": "Your kettle", "tags": ["welcome"],
             "metadata": {"user_id": 111}, "state": "sent"}, **more}
    for second, (kind, more) in enumerate(
        [("send", {}), ("delivered", {}), ("open", {"ip": "127.0.0.1"}), ("click", {"url": "https://shop.example"}),
         ("hard_bounce", {}), ("unsub", {})]
    )
]  # fmt: skip
MAILCHIMP_UNSUBSCRIBE = {
    "type": "unsubscribe",
    "fired_at": "2026-03-26 21:40:57",
    "data[action]": "unsub",
    "data[reason]": "manual",
    "data[id]": "8a25ff1d98",
    "data[list_id]": "a6b5da1054",
    "data[email]": "mia.berg@post.example",
    "data[merges][EMAIL]": "mia.berg@post.example",
    "data[merges][INTERESTS]": "Tea, Coffee",
}
MAILCHIMP_SUBSCRIBE = {
    **MAILCHIMP_UNSUBSCRIBE,
    "type": "subscribe",
    "fired_at": "2026-03-27 08:00:00",
    "data[reason]": "",
}
MAILCHIMP_ACTIVITY: dict[str, Any] = {
    "campaign_id": "42694e9e57",
    "list_id": "57afe96172",
    "email_id": "8a25ff1d98",
    "email_address": "mia.berg@post.example",
    "activity": [
        {"action": "open", "timestamp": "2026-03-01T14:05:06+00:00", "ip": "127.0.0.1"},
        {"action": "click", "timestamp": "2026-03-01T14:06:00+00:00", "url": "https://shop.example/tea"},
    ],
}
ZENDESK_TICKET: dict[str, Any] = {
    "id": 35436,
    "status": "solved",
    "subject": "Kettle leaks",
    "description": "The red kettle drips on the hob since yesterday.",
    "priority": "high",
    "created_at": "2026-03-02T08:00:00Z",
    "updated_at": "2026-03-03T09:30:00Z",
    "satisfaction_rating": {"score": "bad"},
    "via": {"channel": "email"},
    "requester": {"id": 20978392, "email": "mia.berg@post.example", "external_id": "u-7"},
    "tags": ["kettle"],
}
ZENDESK_CREATED: dict[str, Any] = {
    "type": "zen:event-type:ticket.created",
    "account_id": 22129848,
    "id": "2b24ef10-19d3-4740-93cf-8f98ec4776c0",
    "time": "2026-03-02T08:00:01Z",
    "zendesk_event_version": "2022-06-20",
    "subject": "zen:ticket:35437",
    "detail": {"id": "35437", "subject": "Where is my parcel", "description": "Not here yet", "status": "NEW",
               "priority": "NORMAL", "requester_id": "20978392", "created_at": "2026-03-02T08:00:00Z",
               "via": {"channel": "web_form"}},
    "event": {},
}  # fmt: skip
ZENDESK_SOLVED: dict[str, Any] = {
    **ZENDESK_CREATED,
    "type": "zen:event-type:ticket.status_changed",
    "id": "9a24ef10-19d3-4740-93cf-8f98ec4776c1",
    "time": "2026-03-05T08:00:01Z",
    "event": {"current": "SOLVED", "previous": "OPEN"},
}
HUBSPOT_CSV_ROW: dict[str, Any] = {
    "Record ID": "51",
    "First Name": "Mia",
    "Last Name": "Berg",
    "Email": "mia.berg@post.example",
    "Phone Number": "+49 151 12345678",
    "Lifecycle Stage": "Customer",
    "City": "Bremen",
    "Create Date": "2025-11-02 10:00",
    "Last Modified Date": "2026-02-01 14:05",
    "Unsubscribed from all email": "Yes",
}
HUBSPOT_API_ROW: dict[str, Any] = {
    "id": "51",
    "properties": {
        "createdate": "2025-11-02T09:00:00Z",
        "email": "mia.berg@post.example",
        "firstname": "Mia",
        "lastname": "Berg",
        "lastmodifieddate": "2026-02-01T13:05:00.123Z",
        "lifecyclestage": "customer",
        "hs_email_optout": "false",
    },
    "createdAt": "2025-11-02T09:00:00Z",
    "updatedAt": "2026-02-01T13:05:00.123Z",
    "archived": False,
}
SALESFORCE_CONTACT: dict[str, Any] = {
    "attributes": {"type": "Contact", "url": "/services/data/v60.0/sobjects/Contact/0035g00000ABCDEAA2"},
    "Id": "0035g00000ABCDEAA2",
    "FirstName": "Mia",
    "LastName": "Berg",
    "Email": "mia.berg@post.example",
    "MobilePhone": "+49 151 12345678",
    "MailingCity": "Bremen",
    "LeadSource": "Web",
    "HasOptedOutOfEmail": True,
    "CreatedDate": "2025-11-02T09:00:00.000+0000",
    "LastModifiedDate": "2026-02-01T13:05:00.000+0000",
    "IsDeleted": False,
}
SALESFORCE_LEAD: dict[str, Any] = {
    "Id": "00Q5g00000XYZABEA4",
    "ConvertedContactId": "0035g00000ABCDEAA2",
    "LastName": "Berg",
    "Email": "mia@work.example",
    "Status": "Closed - Converted",
    "Company": "Berg GmbH",
    "CreatedDate": "2025-10-02T09:00:00.000+0000",
    "LastModifiedDate": "2025-11-02T09:00:00.000+0000",
    "IsDeleted": False,
}


def _parameter(key: str, kind: str, value: Any) -> dict[str, Any]:
    return {"key": key, "value": {f"{kind}_value": value}}


GA4: list[dict[str, Any]] = [
    {"event_date": "20260301", "event_timestamp": "1772370000123456", "event_name": "session_start",
     "user_pseudo_id": "1234.5678", "event_params": []},
    {"event_date": "20260301", "event_timestamp": "1772370000123456", "event_name": "page_view",
     "user_pseudo_id": "1234.5678", "device": {"category": "mobile"},
     "event_params": [_parameter("page_location", "string", "https://shop.example/kettles"),
                      _parameter("page_title", "string", "Kettles"), _parameter("ga_session_id", "int", "177")]},
    {"event_date": "20260301", "event_timestamp": "1772370100000000", "event_name": "add_to_cart", "user_id": "u-7",
     "user_pseudo_id": "1234.5678",
     "event_params": [_parameter("currency", "string", "EUR"), _parameter("value", "double", 49.9)],
     "items": [{"item_id": "632910392", "item_name": "Red kettle", "item_brand": "Hearth",
                "item_category": "(not set)", "price": 49.9, "quantity": "1"}]},
    {"event_date": "20260301", "event_timestamp": "1772370200000000", "event_name": "newsletter_popup",
     "user_pseudo_id": "1234.5678", "event_params": []},
]  # fmt: skip
_PRODUCT = "contexts_com_snowplowanalytics_snowplow_ecommerce_product_1"
_ACTION = "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1"
SNOWPLOW: list[dict[str, Any]] = [
    {"event": "page_view", "event_id": "c6ef3124", "collector_tstamp": "2026-03-01T14:00:00.123Z",
     "derived_tstamp": "2026-03-01T13:59:59.900Z", "domain_userid": "d-1", "user_id": None, "page_title": "Tea",
     "page_url": "https://shop.example/tea", "useragent": "Mozilla/5.0 Firefox/128.0"},
    {"event": "struct", "event_id": "c6ef3125", "collector_tstamp": "2026-03-01T14:01:00Z", "domain_userid": "d-1",
     "se_category": "video", "se_action": "play", "se_label": "brewing", "se_value": 3.5},
    {"event": "unstruct", "event_name": "snowplow_ecommerce_action", "event_id": "c6ef3126", "user_id": "u-7",
     "collector_tstamp": "2026-03-01T14:02:00Z", "domain_userid": "d-1", _ACTION: {"type": "product_view"},
     _PRODUCT: [{"id": "921728736", "name": "Assam", "category": "tea", "price": 4.95, "currency": "EUR"}]},
    {"event": "page_ping", "event_id": "c6ef3127", "collector_tstamp": "2026-03-01T14:02:10Z", "domain_userid": "d-1"},
]  # fmt: skip
RECEIPTS: list[dict[str, Any]] = [
    {"receipt_id": "B-1", "time": "2026-03-01 11:00:00", "customer_id": "9007199254740993", "email": "",
     "sku": "TEA-A", "name": "Assam", "category": "tea", "quantity": "2", "unit_price": "4.95", "store": "Bremen"},
    {"receipt_id": "B-1", "time": "2026-03-01 11:00:00", "customer_id": "9007199254740993", "email": "",
     "sku": "MUG", "name": "Mug", "category": "kitchen", "quantity": "1", "unit_price": "9.50", "store": "Bremen"},
]  # fmt: skip


def body(payload: Any) -> bytes:
    """JSON as a vendor posts it."""
    return json.dumps(payload).encode()


def form(fields: dict[str, str]) -> bytes:
    """A form as Mailchimp and Mandrill post it."""
    return urlencode(fields).encode()
