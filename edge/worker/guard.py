"""The outermost layer: refuses what HTTP servers let by, before anything looks at a request.

Servers differ in what they stop (a second Host, 5,000 headers, a body that never ends), so it is stopped here. What
an ASGI layer cannot see, broken framing, is the server's part.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.worker.problems import CLOSE, Answer, HttpProblem, Telling, answer_of, invalid, told_plainly
from edgewise.errors import Problem

MAX_HEADERS: Final = 100
MAX_HEADER_BYTES: Final = 16 << 10
MAX_TARGET_BYTES: Final = 8 << 10
LINGER_BYTES: Final = 16 << 20
"""A body that is too large is read to here, and thrown away: who answers and closes while the other still sends makes
the kernel reset the connection, and the sender never sees why."""
WHOLE: Final = "edgewise.whole"
"""Key of the scope: true where the server hands over bodies that are whole, and within all limits."""
WAITED_MS: Final = "edgewise.waited_ms"
"""Key of the scope: how long the request has waited, as far as our own server can tell (`edge.worker.turns`)."""
HEADERS: Final = "edgewise.headers"
"""Key of the scope under which the guard leaves the headers as a dictionary; of a repeated one the last."""


class Guard:
    """Pure ASGI middleware."""

    def __init__(self, app: ASGIApp, telling: Telling = told_plainly) -> None:
        self._app = app
        self._telling = telling

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a sound request through; answer and close on any other."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        if HEADERS not in scope:  # our own server has looked already
            try:
                scope[HEADERS] = inspect_headers(scope["headers"])
                if len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"]) > MAX_TARGET_BYTES:
                    raise target_too_long()
            except HttpProblem as refused:
                await respond(send, self._telling(scope["path"], refused) or answer_of(refused))
                return
        await self._app(scope, receive, send)


def inspect_headers(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers by name, in lower case.

    Raises:
        HttpProblem: there are too many, or two readers could understand them in different ways.
    """
    if len(headers) > MAX_HEADERS:
        raise headers_too_large(f"more than {MAX_HEADERS} headers")
    size = hosts = 0
    by_name: dict[bytes, bytes] = {}
    for name, value in headers:
        size += len(name) + len(value) + 4
        hosts += name == b"host"
        if name == b"cookie" and name in by_name:
            value = by_name[name] + b"; " + value  # noqa: PLW2901  # HTTP/2 may send it in pieces (RFC 9113, 8.2.3)
        elif name == b"x-forwarded-for" and name in by_name:
            value = by_name[name] + b", " + value  # noqa: PLW2901  # some proxies add a line (RFC 9110, 5.3)
        by_name[name] = value
    if size > MAX_HEADER_BYTES:
        raise headers_too_large(f"more than {MAX_HEADER_BYTES} bytes of headers")
    if hosts != 1:
        raise malformed(f"{hosts} Host headers, expected one")
    if b"transfer-encoding" in by_name and b"content-length" in by_name:
        raise malformed("both Content-Length and Transfer-Encoding")
    return by_name


async def read_body(scope: Scope, receive: Receive, *, most_bytes: int, timeout_ms: int) -> bytes:
    """The whole body.

    Raises:
        HttpProblem: 413 when it is larger than `most_bytes`, 408 when it does not arrive in time.
        ConnectionError: the client went away. Half a body is never taken for a whole one.
    """
    if scope.get(WHOLE, False):
        whole = await receive()
        if whole["type"] != "http.request":
            raise ConnectionError("the client went away")
        arrived: bytes = whole["body"]
        return arrived
    announced = scope[HEADERS].get(b"content-length", b"0")
    if not announced.isdigit() or len(announced) > 18 or int(announced) > LINGER_BYTES:  # noqa: PLR2004  # below 2**63
        raise body_too_large(most_bytes)
    message = await _next_part(receive, timeout_ms)
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False) and len(body) <= most_bytes:
        return body
    parts, size = [body], len(body)
    deadline = asyncio.get_running_loop().time() + timeout_ms / 1_000
    while message.get("more_body", False):
        left_ms = (deadline - asyncio.get_running_loop().time()) * 1_000
        message = await _next_part(receive, left_ms)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most_bytes:
            parts.clear()
        if size > LINGER_BYTES:
            break
    if size > most_bytes:
        raise body_too_large(most_bytes)
    return b"".join(parts)


def unpack_body(scope: Scope, body: bytes, *, most_bytes: int) -> bytes:
    """The body without its Content-Encoding; Segment's libraries may send gzip.

    Raises:
        HttpProblem: 415 for another encoding, 413 when it unpacks to more than `most_bytes`, 400 when it is damaged.
    """
    encoding = scope[HEADERS].get(b"content-encoding")
    if encoding is None or encoding.lower() == b"identity":
        return body
    if encoding.lower() not in {b"gzip", b"x-gzip"}:
        detail = f"Content-Encoding {encoding.decode('latin-1')!r}; gzip is understood"
        raise HttpProblem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "encoding", detail)
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        unpacked = unpacking.decompress(body, most_bytes + 1)
    except zlib.error as damaged:
        raise invalid([Problem("$", f"not gzip: {damaged}")]) from None
    if len(unpacked) > most_bytes:
        raise body_too_large(most_bytes)
    if not unpacking.eof:
        raise invalid([Problem("$", "not gzip: it ends too early")])
    return unpacked


async def _next_part(receive: Receive, timeout_ms: float) -> Message:
    try:
        async with asyncio.timeout(timeout_ms / 1_000):
            message = await receive()
    except TimeoutError:
        raise HttpProblem(
            HTTPStatus.REQUEST_TIMEOUT, "body-timeout", "the body did not arrive in time", headers=[CLOSE]
        ) from None
    if message["type"] != "http.request":
        raise ConnectionError("the client went away")
    return message


async def respond(send: Send, answer: Answer) -> None:
    """Send a whole answer."""
    headers = list(answer.headers)
    if answer.status != HTTPStatus.NOT_MODIFIED:  # it would have to be the length of what is not sent (RFC 9110, 8.6)
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def malformed(detail: str) -> HttpProblem:
    """400, and no further request on this connection: nobody knows where it would begin."""
    return HttpProblem(HTTPStatus.BAD_REQUEST, "malformed-request", detail, headers=[CLOSE])


def headers_too_large(detail: str) -> HttpProblem:
    """431, and no further request on this connection."""
    return HttpProblem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers-too-large", detail, headers=[CLOSE])


def target_too_long() -> HttpProblem:
    """414, and no further request on this connection."""
    detail = f"at most {MAX_TARGET_BYTES} bytes"
    return HttpProblem(HTTPStatus.REQUEST_URI_TOO_LONG, "target-too-long", detail, headers=[CLOSE])


def body_too_large(most_bytes: int) -> HttpProblem:
    """413, and no further request on this connection."""
    detail = f"a body has at most {most_bytes} bytes"
    return HttpProblem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", detail, headers=[CLOSE])
