"""One request and its answer, as ASGI has them (asgi.readthedocs.io, HTTP 2.4)."""

from __future__ import annotations

import asyncio
import http
from typing import TYPE_CHECKING, Final

from starlette.types import ASGIApp, Message, Scope

from edge.worker.problems import Answer, Headers

if TYPE_CHECKING:
    from edge.worker.http1.connection import Connection

_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus}
_BODILESS: Final = frozenset({204, 304})
_CLOSE_LINE: Final = b"connection: close\r\n"
_CHUNKED_LINE: Final = b"transfer-encoding: chunked\r\n"


class Cycle:
    """Owned by its connection, which starts it when the answer before it is out."""

    __slots__ = ("_body", "_connection", "_headers", "_is_chunked", "_is_done", "_is_read", "_status", "keeps", "scope")

    def __init__(self, connection: Connection, scope: Scope, body: bytes, *, keeps: bool) -> None:
        self.scope = scope
        self.keeps = keeps
        """Whether the connection stays open behind the answer."""
        self._connection = connection
        self._body = body
        self._is_read = False
        self._status = 0
        """0 until the answer began."""
        self._headers: Headers | None = None
        """Not sent yet: head and body leave in one write where the body is whole."""
        self._is_chunked = False
        self._is_done = False

    async def run(self, app: ASGIApp) -> None:
        """Answer; what the application leaves open is closed with the connection."""
        connection = self._connection
        if connection.is_lost and self.scope["path"] == "/v1/decide":
            return  # nobody waits for it any more, and those who do wait have to
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            connection.abort()
            raise
        except Exception as failed:  # noqa: BLE001  # one request's error must not end the worker
            connection.failed(self.scope["path"], failed)
        if not self._is_done and not connection.is_lost:
            if self._status and self._headers is None:
                connection.abort()
            else:
                connection.refuse_now(self.scope["path"])
        connection.finish(self)

    async def receive(self) -> Message:
        """The body, whole; then, that the client has gone."""
        if not self._is_read:
            self._is_read = True
            body, self._body = self._body, b""
            return {"type": "http.request", "body": body, "more_body": False}
        if not self._is_done:
            await self._connection.lost()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Raises RuntimeError for messages out of order, ValueError for a header that would break the answer."""
        if self._connection.is_lost:
            return
        if message["type"] == "http.response.start":
            if self._status:
                raise RuntimeError("an answer begins twice")
            self._status, self._headers = message["status"], message.get("headers", [])
            return
        if not self._status or self._is_done:
            raise RuntimeError("a part of an answer before its beginning, or behind its end")
        body, more = message.get("body", b""), message.get("more_body", False)
        written = []
        is_bodiless = self.scope["method"] == "HEAD" or self._status in _BODILESS
        if self._headers is not None:
            headers = self._headers
            self._is_chunked = not is_bodiless and not any(name == b"content-length" for name, _ in headers)
            written.append(self._head(headers))
            self._headers = None
        if is_bodiless:
            body = b""
        if self._is_chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
        written.append(body)
        self._connection.write(b"".join(written))
        if more:
            await self._connection.drained()
        else:
            self._is_done = True

    def _head(self, headers: Headers) -> bytes:
        parts = [_LINES[self._status], self._connection.date]
        lines = 3  # these two, and the empty one
        closes = False
        for name, value in headers:
            if name == b"content-length" and self._status == http.HTTPStatus.NO_CONTENT:
                continue  # RFC 9110, 8.6
            if name == b"connection" and b"close" in value.lower():
                closes = True
            parts += (name, b": ", value, b"\r\n")
            lines += 1
        if closes:
            self.keeps = False
        elif not self.keeps:
            parts.append(_CLOSE_LINE)
            lines += 1
        if self._is_chunked:
            parts.append(_CHUNKED_LINE)
            lines += 1
        parts.append(b"\r\n")
        head = b"".join(parts)
        # One look at the whole, not one at each header: a line break inside a value would be one too many.
        if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
            raise ValueError("a header of the answer holds a line break or NUL")
        return head


def encode_answer(answer: Answer, *, closes: bool) -> bytes:
    """A whole answer as it goes over the wire."""
    parts = [_LINES[answer.status]]
    for name, value in answer.headers:
        if not (closes and name == b"connection"):
            parts += (name, b": ", value, b"\r\n")
    if closes:
        parts.append(_CLOSE_LINE)
    parts += (b"content-length: ", str(len(answer.body)).encode(), b"\r\n\r\n", answer.body)
    return b"".join(parts)
