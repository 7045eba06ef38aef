"""DKIM signatures (RFC 6376) where no mail server behind the hub adds them; RFC 8058 wants one over its headers."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgewise.errors import InputError

HEADERS: Final = (
    b"from",
    b"to",
    b"reply-to",
    b"subject",
    b"date",
    b"message-id",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
    b"mime-version",
    b"content-type",
)


class Signer:
    """Signs for one domain."""

    def __init__(self, selector: str, domain: str, key: bytes) -> None:
        """`key` is an RSA private key in PEM, or an Ed25519 one in base64, as dkimpy takes them."""
        self._selector, self._domain, self._key = selector.encode(), domain.encode(), key

    @classmethod
    def of(cls, selector: str, domain: str, path: Path) -> Signer:
        """Raises InputError where the key cannot be read."""
        try:
            return cls(selector, domain, path.read_bytes())
        except OSError as missing:
            raise InputError(
                f"mail_dkim_selector is set and {path} cannot be read ({missing.strerror}); "
                f"`openssl genrsa -out {path} 2048` makes a key"
            ) from missing

    def signed(self, data: bytes) -> bytes:
        """The message with its signature in front. Raises ValueError for a key that is none."""
        import dkim

        try:
            return bytes(dkim.sign(data, self._selector, self._domain, self._key, include_headers=list(HEADERS))) + data
        except dkim.DKIMException as wrong:
            raise ValueError(f"DKIM: {wrong}") from wrong
