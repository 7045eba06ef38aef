"""What a new node is told before it can verify anything: by the hub itself, or in a file."""

from __future__ import annotations

import hashlib
import secrets
from base64 import b64encode
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from edgewise.ids import SiteName
from hub.keys import SiteSecrets


class Anchored(Protocol):
    """The part of the signed repository that a new node must pin."""

    @property
    def site(self) -> SiteName:
        """Whose repository this is."""
        ...

    def trust_anchor(self) -> bytes:
        """The root metadata that a new node pins. Raises UnavailableError when there is none."""
        ...


class Anchor(NamedTuple):
    """What a node pins at its first contact."""

    site: SiteName
    root: bytes
    secrets: SiteSecrets


class Token(NamedTuple):
    """What a node shows at every call to a hub that other machines can reach; the hub keeps the digest only."""

    text: str
    sha256: str


def new_token() -> Token:
    """One that nobody can guess."""
    text = secrets.token_urlsafe(32)
    return Token(text, hashlib.sha256(text.encode()).hexdigest())


def enrolment_file(anchor: Anchor, token: Token) -> bytes:
    """What `edgewise edge serve --trust FILE` reads: `EnrolResponse` in protobuf's JSON form, bytes as base64.

    Beside it stands the node's `enrolToken`, so that one file is handed over. It holds the site's keys: hand it over
    as one hands over a password.
    """

    def base64(data: bytes) -> str:
        return b64encode(data).decode()

    fields = {
        "site": anchor.site,
        "root": base64(anchor.root),
        "subjectKey": base64(anchor.secrets.subject_key),
        "visitorKey": base64(anchor.secrets.visitor_key),
        "enrolToken": token.text,
    }
    return msgspec.json.format(msgspec.json.encode(fields), indent=2)


class Enrolment:
    """Hands out the anchor; who may ask is `hub.rpc.admission`'s business."""

    def __init__(self, repository: Anchored, secrets: Callable[[], SiteSecrets]) -> None:
        self._repository = repository
        self._secrets = secrets

    def anchor(self) -> Anchor:
        """The site's anchor. Raises UnavailableError when there is no site yet, or its secrets are missing."""
        return Anchor(self._repository.site, self._repository.trust_anchor(), self._secrets())
