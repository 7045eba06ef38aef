"""The `webhook:` part of a source's document: who signs a delivery, and how. Never a secret."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta


class Signer(StrEnum):
    """How a delivery is signed; each as its vendor documents it (`hub.webhooks.signatures`)."""

    SHOPIFY = "shopify"
    WOOCOMMERCE = "woocommerce"
    SENDGRID = "sendgrid"
    MANDRILL = "mandrill"
    MAILCHIMP = "mailchimp"
    """Not signed at all: a secret stands in the URL, `?secret=…`."""
    ZENDESK = "zendesk"
    SEGMENT = "segment"
    HMAC_SHA256 = "hmac-sha256"
    """Whoever can sign a body with a shared secret; `header`, `encoding` and `prefix` say where and how."""


STAMPED: Final = (Signer.SENDGRID, Signer.ZENDESK)
"""Whose signature covers the time at which it was made."""


class Webhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How deliveries of one source are known to be its own.

    The secret is read from the environment, or from the keys of the hub's data folder: a site's folder is kept in git.
    """

    signed_by: Signer
    url: Annotated[str, Meta(pattern="^https?://", max_length=2_000)] | None = None
    """The address as it was given to the vendor, letter for letter; needed for `mandrill`, which signs it."""
    tolerance_seconds: Annotated[int, Meta(ge=1, le=7 * 86_400)] = 600
    """How old or new a signature may be that covers its time (`sendgrid`, `zendesk`)."""
    header: Annotated[str, Meta(pattern="^[A-Za-z0-9-]{1,100}$")] = "X-Signature-256"
    """Of `hmac-sha256`."""
    encoding: Literal["hex", "base64"] = "hex"
    """Of `hmac-sha256`."""
    prefix: Annotated[str, Meta(max_length=20)] = ""
    """Of `hmac-sha256`: what stands before the digest, as in `sha256=…`."""
    carries: Literal["rows", "calls"] | None = None
    """`calls`: Segment calls, which need no translation. None: calls from `segment`, rows from everybody else."""
    most_bytes: Annotated[int, Meta(ge=1_000, le=16 << 20)] = 4 << 20
    """Of one delivery's body."""

    @property
    def has_calls(self) -> bool:
        """Whether deliveries are Segment calls already."""
        return (self.carries or ("calls" if self.signed_by is Signer.SEGMENT else "rows")) == "calls"

    def __post_init__(self) -> None:
        """Mandrill's signature cannot be checked without the address that it covers."""
        if self.signed_by is Signer.MANDRILL and self.url is None:
            raise ValueError("expected `url`, the address as it was given to Mandrill, which signs it")
