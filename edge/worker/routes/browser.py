"""`GET /edgewise.js` and `/edgewise-debug.js`: what runs in browsers, the same for everybody.

Under its plain name a script is asked for again after five minutes, and not sent again while its `ETag` holds. With
`?v=DIGEST` a browser keeps it for a year; a digest that this node does not have gets what it has, and not for long.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from edge.browser.script import CLIENT, OVERLAY, Script, script
from edge.worker.endpoint import Exchange
from edge.worker.problems import Answer, Headers

JAVASCRIPT: Final = "text/javascript; charset=utf-8"
_FOR_A_WHILE: Final = b"public, max-age=300, stale-while-revalidate=86400"
_FOR_GOOD: Final = b"public, max-age=31536000, immutable"


class BrowserRoutes:
    """Sends the scripts."""

    async def client(self, exchange: Exchange) -> Answer:
        """What every page loads."""
        return _answer(script(CLIENT), exchange)

    async def overlay(self, exchange: Exchange) -> Answer:
        """What developers load beside it."""
        return _answer(script(OVERLAY), exchange)


def _answer(asked: Script, exchange: Exchange) -> Answer:
    is_packed = b"gzip" in exchange.headers.get(b"accept-encoding", b"")
    # Two tags: what was packed and what was not are different bytes (RFC 9110, 8.8.3.3).
    tag = f'"{asked.digest}{"-gzip" if is_packed else ""}"'.encode()
    is_named = exchange.query == f"v={asked.digest}".encode()
    headers: Headers = [
        (b"content-type", JAVASCRIPT.encode()),
        (b"cache-control", _FOR_GOOD if is_named else _FOR_A_WHILE),
        (b"etag", tag),
        (b"vary", b"accept-encoding"),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-resource-policy", b"cross-origin"),
    ]
    if tag in exchange.headers.get(b"if-none-match", b""):
        return Answer(HTTPStatus.NOT_MODIFIED.value, b"", headers)
    if is_packed:
        headers.append((b"content-encoding", b"gzip"))
    return Answer(HTTPStatus.OK.value, asked.packed if is_packed else asked.small, headers)
