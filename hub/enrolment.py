"""Who may become a node of this site, and what it is told before it can verify anything."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from edgewise.errors import RefusedError
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


def enrolment_file(anchor: Anchor) -> bytes:
    """What `edgewise edge serve --trust FILE` reads: `EnrolResponse` in protobuf's JSON form, bytes as base64.

    It holds the site's keys: hand it over as one hands over a password.
    """

    def base64(data: bytes) -> str:
        return b64encode(data).decode()

    fields = {
        "site": anchor.site,
        "root": base64(anchor.root),
        "subjectKey": base64(anchor.secrets.subject_key),
        "visitorKey": base64(anchor.secrets.visitor_key),
    }
    return msgspec.json.format(msgspec.json.encode(fields), indent=2)


class Enrolment:
    """Hands out the anchor: to everybody who reaches a loopback listener, else to who shows a token."""

    def __init__(
        self,
        repository: Anchored,
        secrets: Callable[[], SiteSecrets],
        *,
        loopback_only: bool,
        tokens_sha256: Sequence[str] = (),
    ) -> None:
        self._repository = repository
        self._secrets = secrets
        self._loopback_only = loopback_only
        self._tokens_sha256 = tuple(tokens_sha256)

    def anchor(self, token: str) -> Anchor:
        """The site's anchor.

        Raises:
            RefusedError: `enrolment`: the token is none of ours, and the hub can be reached by other machines.
            UnavailableError: there is no site yet, or its secrets are missing.
        """
        shown = hashlib.sha256(token.encode()).hexdigest()
        known = [hmac.compare_digest(shown, digest) for digest in self._tokens_sha256]  # all, whichever fits
        if not self._loopback_only and not any(known):
            raise RefusedError(
                "enrolment",
                f"{'this token is unknown' if token else 'no token was shown'}; a hub that other machines can reach "
                "admits nodes by a token whose SHA-256 stands in its setting enrol_tokens_sha256",
            )
        return Anchor(self._repository.site, self._repository.trust_anchor(), self._secrets())
