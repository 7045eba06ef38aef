"""Who asks, and what he may do ("Who may do what" of the interfaces): keys, origins, loopback, the visitor's proof.

Authorisation looks at the connection, the headers and a write key, never at a URL that a Host header could colour.

- *public*: a write key by Basic authentication (for tracking also as `writeKey` in the body, where Segment's libraries
  put it), or an origin on the site's list. Both are known to every browser: they keep others' pages out, not attackers.
  A node that listens on loopback and belongs to no site asks for neither, and neither does one without a bundle: there
  is no list to look at, and nothing but the built-in fallback to give.
- *operator*: an operator key as Bearer token, or this machine itself where there are no such keys
  (`loopback_is_operator` says otherwise). A request that a proxy passed on, or that a page of another origin sent, does
  not count as this machine; but not every proxy says that it is one.
- *proven visitor*: the cookie `ew_id`, or a token of the same make in `Edgewise-Visitor` or as Bearer token, signed by
  the site; or a server key (Basic or Bearer), which vouches for whom it names. `Edgewise-Id` is a pseudonym.
"""

from __future__ import annotations

import binascii
import hashlib
import ipaddress
from base64 import b64decode
from collections.abc import Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec
from starlette.types import Scope

from edge.node.keys import SiteKeys
from edge.worker.guard import HEADERS
from edge.worker.problems import HttpProblem
from edgewise.dial import DIAL_HEADER, dial_of_header, stricter
from edgewise.visitor import COOKIE, MAX_AGE_MS, sign_visitor, verify_visitor

MAX_ID_CHARACTERS: Final = 200
_PASSED_ON: Final = (b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via")
_LOCAL_NAMES: Final = frozenset({"localhost"})
_REMEMBERED_KEYS: Final = 1_024


class Access(NamedTuple):
    """What a site's policy says of callers."""

    write_keys_sha256: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()


class Caller(NamedTuple):
    """What one request may do."""

    is_public: bool
    """May decide and track."""
    is_operator: bool
    is_server: bool
    """Proves any visitor that it names."""
    visitor: str | None
    """The anonymous id that a cookie or token proves."""
    pseudonym: str | None
    """`Edgewise-Id`, unproven."""
    opts_out: bool
    """`Sec-GPC: 1`."""
    origin: str | None
    """The allowed origin of the page that asks, for the CORS headers of the answer."""
    dial: int | None = None
    """What the visitor has set, as far as this request says so (`Edgewise-Dial`, `options.dial`)."""

    def under_dial(self, dial: int | None) -> Caller:
        """The same caller, whose visitor has also said this."""
        return self if dial is None else self._replace(dial=stricter(dial, self.dial))

    def require_public(self) -> None:
        """Raises HttpProblem 401."""
        if not self.is_public:
            raise _unauthorised("a write key of the site (Basic) or an allowed Origin is needed", b"Basic")

    def require_operator(self, what: str) -> None:
        """Raises HttpProblem 403."""
        if not self.is_operator:
            detail = f"{what} needs an operator key, or loopback on a node that has none"
            raise HttpProblem(HTTPStatus.FORBIDDEN, "operators-only", detail)


class Doorman:
    """Tells callers apart. One a worker; the site's access list comes with each request, because bundles change."""

    def __init__(
        self,
        keys: SiteKeys,
        *,
        host: str,
        loopback_is_operator: bool,
        operator_keys_sha256: Iterable[str],
        server_keys_sha256: Iterable[str],
    ) -> None:
        self._keys = keys
        self._needs_no_key = keys.site is None and is_loopback(host)
        self._trusts_loopback = loopback_is_operator
        self._operators = frozenset(operator_keys_sha256)
        self._servers = frozenset(server_keys_sha256)
        self._digests: dict[bytes, tuple[str, str]] = {}

    def caller(self, scope: Scope, access: Access | None, now_ms: int) -> Caller:
        """Look at one request that passed the guard. `access` is None while the node has no bundle."""
        headers: Mapping[bytes, bytes] = scope[HEADERS]
        scheme, key, digest = self._credentials(headers.get(b"authorization"))
        origin = headers.get(b"origin", b"").decode("latin-1") or None
        is_allowed_origin = origin is not None and access is not None and origin in access.origins
        bearer = verify_visitor(self._keys.visitor_key, key, now_ms) if scheme == "bearer" else None
        is_server = digest in self._servers
        has_operator_key = scheme == "bearer" and digest in self._operators
        has_write_key = scheme == "basic" and access is not None and digest in access.write_keys_sha256
        presents_nothing = scheme == "" or bearer is not None
        return Caller(
            is_public=access is None
            or has_write_key
            or is_server
            or has_operator_key
            or (presents_nothing and (is_allowed_origin or self._needs_no_key)),
            is_operator=has_operator_key or (self._trusts_loopback and is_this_machine(scope)),
            is_server=is_server,
            visitor=bearer or self._visitor(headers, now_ms),
            pseudonym=_bounded(headers.get(b"edgewise-id")),
            opts_out=headers.get(b"sec-gpc", b"").strip() == b"1",
            origin=origin if is_allowed_origin else None,
            dial=dial_of_header(headers.get(DIAL_HEADER)),
        )

    def require_write_key(self, caller: Caller, access: Access | None, body: bytes) -> None:
        """As `Caller.require_public`, but the body may bring the key. Raises HttpProblem 401."""
        if caller.is_public:
            return
        digest = hashlib.sha256(_key_inside(body).encode()).hexdigest()
        if access is None or digest not in access.write_keys_sha256:
            caller.require_public()

    def _visitor(self, headers: Mapping[bytes, bytes], now_ms: int) -> str | None:
        token = headers.get(b"edgewise-visitor") or _cookie(headers.get(b"cookie", b""))
        return verify_visitor(self._keys.visitor_key, token.decode("latin-1"), now_ms) if token else None

    def _credentials(self, header: bytes | None) -> tuple[str, str, str]:
        """Scheme, key, and the key's SHA-256; hashing makes comparing in a set safe against timing."""
        if header is None:
            return "", "", ""
        scheme, _, value = header.decode("latin-1").partition(" ")
        scheme = scheme.lower()
        remembered = self._digests.get(header)
        if remembered is None:
            key = _basic_user(value.strip()) if scheme == "basic" else value.strip()
            remembered = key, hashlib.sha256(key.encode("latin-1", "replace")).hexdigest()
            if len(self._digests) >= _REMEMBERED_KEYS:
                self._digests.clear()
            self._digests[header] = remembered
        return scheme, *remembered

    def cookie(self, anonymous_id: str, now_ms: int, *, secure: bool) -> tuple[bytes, bytes]:
        """The header that gives a browser its proof. Only for ids that were made here, or proven before."""
        token = sign_visitor(self._keys.visitor_key, anonymous_id, now_ms)
        attributes = f"Path=/; Max-Age={MAX_AGE_MS // 1_000}; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"
        return b"set-cookie", f"{COOKIE}={token}; {attributes}".encode()


def is_this_machine(scope: Scope) -> bool:
    """Whether a request comes from this machine itself, asked for by whoever sits at it.

    A Host that is no name of loopback is what a page makes a browser send by pointing its own domain here (DNS
    rebinding); a foreign Origin is a page of somebody else; a proxy's header means that somebody else is behind it.
    """
    client = scope.get("client")
    headers: Mapping[bytes, bytes] = scope[HEADERS]
    if not client or not is_loopback(client[0]) or any(name in headers for name in _PASSED_ON):
        return False
    if not is_loopback(_host_name(headers[b"host"].decode("latin-1"))):
        return False
    origin = headers.get(b"origin")
    return origin is None or is_loopback(_host_name(origin.decode("latin-1").rpartition("://")[2]))


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether an address, or the name `localhost`, is this machine's own."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() in _LOCAL_NAMES


def _host_name(host: str) -> str:
    """`[::1]:8090` -> `::1`, `localhost:8090` -> `localhost`."""
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _basic_user(value: str) -> str:
    """The user of Basic authentication (RFC 7617), which is Segment's write key; its password is empty."""
    try:
        return b64decode(value, validate=True).decode("latin-1").partition(":")[0]
    except (binascii.Error, ValueError):
        return ""


class _Keyed(msgspec.Struct, rename="camel"):
    write_key: str = ""


_keyed = msgspec.json.Decoder(_Keyed)


def _key_inside(body: bytes) -> str:
    """The body's `writeKey`; what else is wrong with the body is not told to whom nobody knows."""
    try:
        return _keyed.decode(body).write_key
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _cookie(header: bytes) -> bytes | None:
    name = COOKIE.encode() + b"="
    for part in header.split(b";"):
        if part.strip().startswith(name):
            return part.strip()[len(name) :]
    return None


def _bounded(value: bytes | None) -> str | None:
    if value is None or not 0 < len(value) <= MAX_ID_CHARACTERS:
        return None
    return value.decode("utf-8", "replace")


def unproven(needed: str) -> HttpProblem:
    """Who asks for what is one visitor's does not prove that he is that visitor; `needed` is what would do.

    Challenged for the token, and not for a password: browsers would ask the visitor for one.
    """
    challenge = (b"www-authenticate", b'Bearer realm="edgewise"')
    return HttpProblem(HTTPStatus.UNAUTHORIZED, "unproven", f"needs {needed}", headers=[challenge])


def _unauthorised(detail: str, scheme: bytes) -> HttpProblem:
    challenge = (b"www-authenticate", scheme + b' realm="edgewise"')
    return HttpProblem(HTTPStatus.UNAUTHORIZED, "unauthorised", detail, headers=[challenge])
