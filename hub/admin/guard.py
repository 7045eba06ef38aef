"""Who may ask the admin API: an ASGI layer in front of every route.

One Host header that names this hub (a page of a stranger whose name was pointed at 127.0.0.1 names itself), no
foreign Origin, and a bearer key whose digest is known; to change anything, that of an admin or a publisher. Webhooks of
sources alone need no key: each delivery is signed. It looks at the path of the ASGI scope, never at a URL built from
headers (CVE-2026-48710).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.admin.problems import problem
from hub.admin.webhooks import is_webhook
from hub.settings import KeyHolder, Role

UNAUTHORISED: Final = 401
WHO: Final = "edgewise.who"
"""Key of the ASGI scope: the name of the key's holder, blank for readers without one."""
_READING: Final = ("GET", "HEAD", "OPTIONS")
_WRITERS: Final = (Role.ADMIN, Role.PUBLISHER)
OPEN_PATHS: Final = ("/health/live", "/health/ready")
_LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Lets a request through, or answers 400, 401, 403 or 421 itself."""

    def __init__(
        self, app: ASGIApp, *, holders: Sequence[KeyHolder], hosts: Sequence[str], loopback_only: bool
    ) -> None:
        self._app = app
        self._holders = tuple(holders)
        self._hosts = frozenset(host.lower() for host in hosts)
        self._loopback_only = loopback_only

    @property
    def reading(self) -> str:
        """Who may read, in words."""
        if self._holders:
            return "bearer keys of the setting admin_keys"
        if self._loopback_only:
            return "open to whoever reaches this machine's loopback, because the setting admin_keys is empty"
        return "nobody, because the setting admin_keys is empty and other machines can reach this address"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self._misdirected(headers)
        if refused is None and not is_webhook(scope["path"]):  # what is posted there proves its sender by itself
            refused = self._unauthorised(scope, headers)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        if refused is None:
            await self._app(scope, receive, with_headers)
        else:
            status, detail = refused
            asked = {"WWW-Authenticate": 'Bearer realm="edgewise"'} if status == UNAUTHORISED else {}
            await problem(status, detail, asked)(scope, receive, with_headers)

    def _misdirected(self, headers: Headers) -> tuple[int, str] | None:
        """(status, detail) of a request that is not meant for this hub."""
        hosts = headers.getlist("host")
        if len(hosts) != 1:
            return 400, f"{len(hosts)} Host headers; expected one"
        if not self._is_ours(hosts[0]):
            return 421, f"this hub is not {hosts[0][:200]!r}; a name that it should answer to stands in admin_hosts"
        origin = headers.get("origin")
        if origin is not None and origin.rpartition("//")[2] != hosts[0]:
            return 403, f"a page of {origin[:200]!r} may not ask this hub"
        return None

    def _unauthorised(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """(status, detail) of a request that its sender may not make. Who makes it is written into the scope."""
        reads = scope["method"] in _READING
        scope[WHO] = ""
        if reads and (scope["path"] in OPEN_PATHS or (not self._holders and self._loopback_only)):
            return None
        if not self._holders:
            open_to = f"reading is open to {self.reading}"
            return UNAUTHORISED, open_to if reads else f"changing needs a key of the setting admin_keys; {open_to}"
        holder = self._holder(headers.get("authorization", ""))
        if holder is None:
            return UNAUTHORISED, "expected `Authorization: Bearer KEY` with a key that this hub knows"
        if holder.role is Role.NODE:
            return 403, "a node's key does not read the admin API"
        if not reads and holder.role not in _WRITERS:
            return 403, f"a key of the role {holder.role} only reads; expected one of {', '.join(_WRITERS)}"
        scope[WHO] = holder.name
        return None

    def _is_ours(self, host: str) -> bool:
        if host.lower() in self._hosts:
            return True
        name, _, port = host.lower().rpartition(":") if not host.endswith("]") else (host.lower(), "", "")
        name = name or port  # no port at all
        return name in self._hosts or (self._loopback_only and name in _LOOPBACK_NAMES)

    def _holder(self, authorization: str) -> KeyHolder | None:
        scheme, _, key = authorization.partition(" ")
        shown = hashlib.sha256(key.strip().encode()).hexdigest()
        found = None
        for holder in self._holders:  # all of them: how long it takes tells nothing
            if hmac.compare_digest(shown, holder.sha256):
                found = holder
        return found if scheme.lower() == "bearer" else None
