"""Whether a delivery was sent by who holds the secret. Pure, and done on the raw bytes, before anything is parsed.

Digests are compared in constant time. Which bytes are signed, and where the signature stands:

    shopify       HMAC-SHA256 of the body, base64, X-Shopify-Hmac-SHA256
                  (shopify.dev/docs/apps/build/webhooks/verify-deliveries)
    woocommerce   HMAC-SHA256 of the body, base64, X-WC-Webhook-Signature (class WC_Webhook, generate_signature)
    sendgrid      ECDSA P-256 over SHA-256 of timestamp + body, DER in base64,
                  X-Twilio-Email-Event-Webhook-Signature and -Timestamp (docs: "Event Webhook Security Features")
    mandrill      HMAC-SHA1 of the URL and each POST field's name and value in the order of names, base64,
                  X-Mandrill-Signature (mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks)
    mailchimp     nothing is signed; its documentation advises a secret in the URL
    zendesk       HMAC-SHA256 of timestamp + body, base64, X-Zendesk-Webhook-Signature and -Timestamp
                  (developer.zendesk.com/documentation/webhooks/verifying)
    segment       HMAC-SHA1 of the body, hex, X-Signature (segment.com/docs: Webhooks destination, shared secret)
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from hub.sources.webhook_part import Signer, Webhook

MOST_FIELDS: Final = 1_000
"""Of a form."""
_PINGS: Final = {
    Signer.WOOCOMMERCE: re.compile(rb"webhook_id=[0-9]{1,20}"),
    Signer.MANDRILL: re.compile(rb"mandrill_events=(%5B%5D|\[\])", re.IGNORECASE),
}
_LEAST_SECRET_BYTES: Final = 8


class Delivery(NamedTuple):
    """One request, as it came."""

    headers: Mapping[str, str]
    """By their names in small letters."""
    query: Mapping[str, str]
    body: bytes
    received_ms: int


Check = Callable[[Webhook, Sequence[bytes], Delivery], str]


def fault_of(webhook: Webhook, secrets: Sequence[bytes], delivery: Delivery) -> str:
    """Why a delivery is not known to be its source's own, or "" when it is.

    `secrets` are all that are accepted at the moment: while one is replaced there are two. What is returned tells a
    sender nothing about a secret.
    """
    usable = [secret for secret in secrets if len(secret) >= _LEAST_SECRET_BYTES]
    if not usable:
        return f"no secret of at least {_LEAST_SECRET_BYTES} characters is known here"
    return _CHECKS[webhook.signed_by](webhook, usable, delivery)


def is_ping(webhook: Webhook, delivery: Delivery) -> bool:
    """Whether this is what a vendor sends, before it holds our secret, to see whether anybody answers.

    WooCommerce posts an id, unsigned, when a webhook is saved; Mandrill no events, signed with a key that all know.
    Neither says anything, so nothing is believed by answering well.
    """
    ping = _PINGS.get(webhook.signed_by)
    return ping is not None and ping.fullmatch(delivery.body) is not None


class _Digest(NamedTuple):
    """Where an HMAC stands, and how it is written."""

    header: str
    algorithm: str = "sha256"
    encoding: str = "base64"
    prefix: str = ""


def _over_body(digest: _Digest) -> Check:
    def check(_: Webhook, secrets: Sequence[bytes], delivery: Delivery) -> str:
        return _compared(digest, secrets, delivery, delivery.body)

    return check


def _zendesk(webhook: Webhook, secrets: Sequence[bytes], delivery: Delivery) -> str:
    stamp = "X-Zendesk-Webhook-Signature-Timestamp"
    stamped = delivery.headers.get(stamp.lower(), "")
    if fault := _fault_of_stamp(stamp, stamped, webhook, delivery):
        return fault
    signed = stamped.encode() + delivery.body
    return _compared(_Digest("X-Zendesk-Webhook-Signature"), secrets, delivery, signed)


def _generic(webhook: Webhook, secrets: Sequence[bytes], delivery: Delivery) -> str:
    digest = _Digest(webhook.header, "sha256", webhook.encoding, webhook.prefix)
    return _compared(digest, secrets, delivery, delivery.body)


def _mandrill(webhook: Webhook, secrets: Sequence[bytes], delivery: Delivery) -> str:
    try:
        fields = parse_qsl(
            delivery.body.decode("utf-8"), keep_blank_values=True, strict_parsing=True, max_num_fields=MOST_FIELDS
        )
    except ValueError:
        return "the body is no form, so nothing that Mandrill signs"
    signed = (webhook.url or "") + "".join(name + value for name, value in sorted(fields))
    return _compared(_Digest("X-Mandrill-Signature", "sha1"), secrets, delivery, signed.encode())


def _mailchimp(_: Webhook, secrets: Sequence[bytes], delivery: Delivery) -> str:
    shown = delivery.query.get("secret", "").encode()
    return "" if _any([hmac.compare_digest(shown, secret) for secret in secrets]) else "the URL has no such `secret`"


def _sendgrid(webhook: Webhook, secrets: Sequence[bytes], delivery: Delivery) -> str:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    name, stamp = "X-Twilio-Email-Event-Webhook-Signature", "X-Twilio-Email-Event-Webhook-Timestamp"
    stamped = delivery.headers.get(stamp.lower(), "")
    if fault := _fault_of_stamp(stamp, stamped, webhook, delivery):
        return fault
    try:
        signature = base64.b64decode(delivery.headers.get(name.lower(), ""), validate=True)
    except (binascii.Error, ValueError):
        return f"the header {name} is no base64"
    for secret in secrets:  # public keys here: what SendGrid shows as "verification key"
        try:
            key = load_der_public_key(base64.b64decode(secret, validate=True))
        except (binascii.Error, ValueError):
            continue
        if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
            continue
        try:
            key.verify(signature, stamped.encode() + delivery.body, ECDSA(SHA256()))
        except InvalidSignature:
            continue
        return ""
    return f"the signature of the header {name} is not right"


def _compared(digest: _Digest, secrets: Sequence[bytes], delivery: Delivery, signed: bytes) -> str:
    shown = delivery.headers.get(digest.header.lower())
    if shown is None:
        return f"there is no header {digest.header}"
    is_hex = digest.encoding == "hex"
    right = []
    for secret in secrets:  # all of them: how long it takes tells nothing
        made = hmac.new(secret, signed, digest.algorithm).digest()
        wanted = digest.prefix + (made.hex() if is_hex else base64.b64encode(made).decode())
        said = shown[: len(digest.prefix)] + shown[len(digest.prefix) :].lower() if is_hex else shown
        right.append(hmac.compare_digest(said.encode(), wanted.encode()))
    return "" if _any(right) else f"the signature of the header {digest.header} is not right"


def _any(right: Sequence[bool]) -> bool:
    return sum(right) > 0


def _fault_of_stamp(header: str, stamped: str, webhook: Webhook, delivery: Delivery) -> str:
    """Why a signed time cannot be now, or "". An old delivery that somebody kept must not be taken again for ever."""
    stamp_ms = _stamp_ms(stamped)
    if stamp_ms is None:
        return f"the header {header} is no time"
    away_s = abs(delivery.received_ms - stamp_ms) / 1_000
    if away_s > webhook.tolerance_seconds:
        return f"signed {away_s:,.0f} s away from now, expected at most {webhook.tolerance_seconds} s"
    return ""


def _stamp_ms(text: str) -> float | None:
    """Seconds since the epoch (SendGrid), or ISO 8601 (Zendesk)."""
    if re.fullmatch("[0-9]{1,12}", text):
        return int(text) * 1_000
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp() * 1_000


_CHECKS: Final[Mapping[Signer, Check]] = {
    Signer.SHOPIFY: _over_body(_Digest("X-Shopify-Hmac-SHA256")),
    Signer.WOOCOMMERCE: _over_body(_Digest("X-WC-Webhook-Signature")),
    Signer.SENDGRID: _sendgrid,
    Signer.MANDRILL: _mandrill,
    Signer.MAILCHIMP: _mailchimp,
    Signer.ZENDESK: _zendesk,
    Signer.SEGMENT: _over_body(_Digest("X-Signature", "sha1", "hex")),
    Signer.HMAC_SHA256: _generic,
}
