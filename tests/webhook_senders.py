"""Vendors that sign as they document it, written apart from the code that checks: headers for a body."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SECRET = b"shpss_0f3a9c21e7"


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def shopify(
    body: bytes, secret: bytes = SECRET, *, topic: str = "orders/create", delivery: str = "b54557e4"
) -> dict[str, str]:
    return {
        "X-Shopify-Topic": topic,
        "X-Shopify-Webhook-Id": delivery,
        "X-Shopify-Shop-Domain": "film-shop.example",
        "X-Shopify-Hmac-SHA256": _base64(hmac.new(secret, body, hashlib.sha256).digest()),
    }


def woocommerce(body: bytes, secret: bytes = SECRET, *, topic: str = "order.created") -> dict[str, str]:
    return {
        "X-WC-Webhook-Topic": topic,
        "X-WC-Webhook-Delivery-ID": "a3f0c2",
        "X-WC-Webhook-Signature": _base64(hmac.new(secret, body, hashlib.sha256).digest()),
    }


def mandrill(body: bytes, url: str, secret: bytes = SECRET) -> dict[str, str]:
    signed = url
    for name, value in sorted(parse_qsl(body.decode(), keep_blank_values=True)):
        signed += name + value
    return {"X-Mandrill-Signature": _base64(hmac.new(secret, signed.encode(), hashlib.sha1).digest())}


def zendesk(body: bytes, now_ms: int, secret: bytes = SECRET) -> dict[str, str]:
    stamp = dt.datetime.fromtimestamp(now_ms / 1_000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "X-Zendesk-Webhook-Signature-Timestamp": stamp,
        "X-Zendesk-Webhook-Signature": _base64(hmac.new(secret, stamp.encode() + body, hashlib.sha256).digest()),
    }


def segment(body: bytes, secret: bytes = SECRET) -> dict[str, str]:
    return {"X-Signature": hmac.new(secret, body, hashlib.sha1).hexdigest()}


class SendGrid:
    """Holds a key pair; `public` is what its console shows."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        der = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.public = base64.b64encode(der)

    def sign(self, body: bytes, now_ms: int) -> dict[str, str]:
        stamp = str(now_ms // 1_000)
        signature = self._key.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return {
            "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
            "X-Twilio-Email-Event-Webhook-Signature": _base64(signature),
        }
