"""The visitor's token, in the cookie `ew_id`: proves that a site's node gave this anonymous id to this browser.

    v1.<anonymous id, base64url>.<issued, ms>.<HMAC-SHA256 of all that, base64url>

A bare anonymous id may be served and counted; only a proven one may read, change or erase what belongs to it.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

COOKIE: Final = "ew_id"
MAX_AGE_MS: Final = 400 * 86_400_000
"""Browsers keep a cookie for 400 days at most (RFC 6265bis)."""
CLOCK_TOLERANCE_MS: Final = 86_400_000
"""A node whose clock is up to a day behind the issuer's still accepts the token."""


def sign_visitor(key: bytes, anonymous_id: str, issued_ms: int) -> str:
    """The token of an anonymous id."""
    signed = f"v1.{_b64(anonymous_id.encode())}.{issued_ms}"
    return f"{signed}.{_b64(_mac(key, signed))}"


def verify_visitor(key: bytes, token: str, now_ms: int, max_age_ms: int = MAX_AGE_MS) -> str | None:
    """The anonymous id of a token that this key signed and that has not expired; None for anything else."""
    signed, _, mac = token.rpartition(".")
    parts = signed.split(".")
    if len(parts) != 3 or parts[0] != "v1" or not parts[2].isascii() or not parts[2].isdigit():  # noqa: PLR2004
        return None
    if not hmac.compare_digest(_b64(_mac(key, signed)).encode(), mac.encode("utf-8", "replace")):
        return None
    age_ms = now_ms - int(parts[2])
    if not -CLOCK_TOLERANCE_MS <= age_ms <= max_age_ms:
        return None
    try:
        return urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _mac(key: bytes, signed: str) -> bytes:
    return hmac.new(key, signed.encode("utf-8", "replace"), hashlib.sha256).digest()


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
