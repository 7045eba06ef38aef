"""Signatures of each vendor: right ones pass, and whatever is changed does not."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
import webhook_senders as senders
from hypothesis import given
from hypothesis import strategies as st
from webhook_senders import SECRET, SendGrid

from hub.sources.webhook_part import Signer, Webhook
from hub.webhooks.secrets import WebhookSecrets
from hub.webhooks.signatures import Delivery, fault_of, is_ping

NOW_MS = 1_790_000_000_000
URL = "https://hooks.film-shop.example/api/v1/sources/mail/webhook"
SENDGRID = SendGrid()


class Vendor(NamedTuple):
    webhook: Webhook
    secret: bytes
    body: bytes
    sign: Callable[[bytes], Mapping[str, str]]


FORM = b"mandrill_events=%5B%7B%22event%22%3A%22open%22%7D%5D&test="
JSON = b'{"id": 4503599627370497, "total_price": "19.90"}'
VENDORS = {
    "shopify": Vendor(Webhook(signed_by=Signer.SHOPIFY), SECRET, JSON, senders.shopify),
    "woocommerce": Vendor(Webhook(signed_by=Signer.WOOCOMMERCE), SECRET, JSON, senders.woocommerce),
    "sendgrid": Vendor(
        Webhook(signed_by=Signer.SENDGRID), SENDGRID.public, b"[]\r\n", lambda body: SENDGRID.sign(body, NOW_MS)
    ),
    "mandrill": Vendor(
        Webhook(signed_by=Signer.MANDRILL, url=URL), SECRET, FORM, lambda body: senders.mandrill(body, URL)
    ),
    "zendesk": Vendor(Webhook(signed_by=Signer.ZENDESK), SECRET, JSON, lambda body: senders.zendesk(body, NOW_MS)),
    "segment": Vendor(Webhook(signed_by=Signer.SEGMENT), SECRET, JSON, senders.segment),
    "generic": Vendor(
        Webhook(signed_by=Signer.HMAC_SHA256, header="X-Hub-Signature-256", prefix="sha256="),
        SECRET,
        JSON,
        lambda body: {"X-Hub-Signature-256": "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()},
    ),
}
each_vendor = pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)


def delivery(
    body: bytes, headers: Mapping[str, str] = {}, *, query: Mapping[str, str] = {}, now_ms: int = NOW_MS
) -> Delivery:
    return Delivery({name.lower(): value for name, value in headers.items()}, query, body, now_ms)


@each_vendor
def test_what_the_vendor_signs_is_accepted(vendor: Vendor) -> None:
    assert fault_of(vendor.webhook, [vendor.secret], delivery(vendor.body, vendor.sign(vendor.body))) == ""


@each_vendor
def test_one_changed_byte_is_refused(vendor: Vendor) -> None:
    headers = vendor.sign(vendor.body)
    for position in (0, len(vendor.body) // 2, len(vendor.body) - 1):
        changed = bytearray(vendor.body)
        changed[position] ^= 0x01
        assert fault_of(vendor.webhook, [vendor.secret], delivery(bytes(changed), headers))


@each_vendor
def test_nothing_unsigned_and_nothing_of_another_secret_is_accepted(vendor: Vendor) -> None:
    headers = vendor.sign(vendor.body)
    another = SendGrid().public if vendor.webhook.signed_by is Signer.SENDGRID else b"another secret"
    assert fault_of(vendor.webhook, [vendor.secret], delivery(vendor.body))
    assert fault_of(vendor.webhook, [another], delivery(vendor.body, headers))
    assert "no secret" in fault_of(vendor.webhook, [], delivery(vendor.body, headers))
    for name in headers:
        odd = {**headers, name: "é\x00" * 20}
        if "ignature" in name or "Hmac" in name:
            assert fault_of(vendor.webhook, [vendor.secret], delivery(vendor.body, odd))


@each_vendor
def test_while_a_secret_is_replaced_both_are_accepted(vendor: Vendor) -> None:
    both = [b"the secret before", vendor.secret]
    assert fault_of(vendor.webhook, both, delivery(vendor.body, vendor.sign(vendor.body))) == ""


@each_vendor
@given(body=st.binary(max_size=100), value=st.text(max_size=100))
def test_no_bytes_and_no_header_break_the_check(vendor: Vendor, body: bytes, value: str) -> None:
    headers = dict.fromkeys(vendor.sign(vendor.body), value)
    assert fault_of(vendor.webhook, [vendor.secret], delivery(body, headers))


@pytest.mark.parametrize("name", ["sendgrid", "zendesk"])
def test_a_signature_of_yesterday_is_refused_and_one_within_the_tolerance_is_not(name: str) -> None:
    vendor = VENDORS[name]
    headers = vendor.sign(vendor.body)
    for away_s, refused in ((599, False), (-599, False), (602, True), (-602, True), (86_400, True)):
        held = delivery(vendor.body, headers, now_ms=NOW_MS + away_s * 1_000)
        assert bool(fault_of(vendor.webhook, [vendor.secret], held)) is refused


def test_a_stamp_cannot_be_exchanged_under_its_signature() -> None:
    vendor = VENDORS["zendesk"]
    later = senders.zendesk(vendor.body, NOW_MS + 60_000)
    mixed = {
        **later,
        "X-Zendesk-Webhook-Signature": senders.zendesk(vendor.body, NOW_MS)["X-Zendesk-Webhook-Signature"],
    }
    assert fault_of(vendor.webhook, [vendor.secret], delivery(vendor.body, mixed, now_ms=NOW_MS + 60_000))


def test_mandrill_signs_the_address_that_it_was_given() -> None:
    headers = senders.mandrill(FORM, URL + "/")
    assert fault_of(VENDORS["mandrill"].webhook, [SECRET], delivery(FORM, headers))
    with pytest.raises(msgspec.ValidationError, match="address as it was given to Mandrill"):
        msgspec.convert({"signed_by": "mandrill"}, Webhook)


def test_mailchimp_is_known_by_the_secret_in_its_url() -> None:
    webhook = Webhook(signed_by=Signer.MAILCHIMP)
    assert fault_of(webhook, [SECRET], delivery(b"", query={"secret": SECRET.decode()})) == ""
    for query in ({}, {"secret": ""}, {"secret": SECRET.decode()[:-1]}, {"Secret": SECRET.decode()}):
        assert fault_of(webhook, [SECRET], delivery(b"", query=query))


def test_a_secret_that_can_be_guessed_is_none() -> None:
    webhook = Webhook(signed_by=Signer.MAILCHIMP)
    assert "no secret" in fault_of(webhook, [b"abc"], delivery(b"", query={"secret": "abc"}))


def test_a_public_key_that_is_none_verifies_nothing() -> None:
    vendor = VENDORS["sendgrid"]
    for key in (b"no base64 at all", base64.b64encode(b"no key at all")):
        assert fault_of(vendor.webhook, [key], delivery(vendor.body, vendor.sign(vendor.body)))


def test_a_ping_is_told_from_everything_else() -> None:
    webhook = VENDORS["woocommerce"].webhook
    assert is_ping(webhook, delivery(b"webhook_id=17"))
    assert not is_ping(webhook, delivery(b"webhook_id=17&x=1"))
    assert not is_ping(webhook, delivery(JSON))
    assert not is_ping(VENDORS["shopify"].webhook, delivery(b"webhook_id=17"))
    mandrill = VENDORS["mandrill"].webhook
    assert is_ping(mandrill, delivery(b"mandrill_events=%5B%5D"))
    assert not is_ping(mandrill, delivery(FORM))


def test_secrets_come_from_the_environment_or_the_keys_of_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    secrets = WebhookSecrets(tmp_path, {"EDGEWISE_HUB_WEBHOOK_SECRET_SHOP_EU": "from the environment"})
    assert secrets.of("shop-eu") == [b"from the environment"]
    assert secrets.of("mail") == []
    secrets.path("mail").write_text("old one\n\n new one \n")
    assert secrets.of("mail") == [b"old one", b"new one"]
    secrets.path("mail").write_bytes(b"\xff\xfe")
    assert secrets.of("mail") == []
