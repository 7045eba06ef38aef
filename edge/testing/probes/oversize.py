"""Heads and bodies that are too large, too deep or not what they say."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from edge.testing.probes.wire import Target

_PIECE: Final = b"x" * (64 << 10)
DEEP: Final = 100_000
DIGITS: Final = 5_000
HEADERS: Final = 5_000
HEAD_BYTES: Final = 8 << 20
ENDLESS_BYTES: Final = 1 << 30
BOMB_BYTES: Final = 64 << 20

REFUSED: Final = frozenset({400, 413, 415})
READ: Final = frozenset({200, 400, 404})
"""A node may take it or not, if only it goes on: one reader alone cannot misunderstand another one."""


class Oversize(NamedTuple):
    """One probe."""

    name: str
    parts: Callable[[], Iterable[bytes]]
    statuses: frozenset[int]
    """Any of which is a good answer."""
    may_close: bool
    """Without an answer, too."""


def head_probes(target: Target) -> list[Oversize]:
    """Heads, which are to be refused long before they end."""
    start = b"GET /health/live HTTP/1.1\r\nHost: " + target.authority + b"\r\n"

    def long_header() -> Iterator[bytes]:
        yield start + b"X: "
        yield from _filled(HEAD_BYTES)
        yield b"\r\n\r\n"

    def long_target() -> Iterator[bytes]:
        yield b"GET /"
        yield from _filled(HEAD_BYTES)
        yield b" HTTP/1.1\r\nHost: " + target.authority + b"\r\n\r\n"

    def many_headers() -> Iterator[bytes]:
        yield start + b"".join(b"x-%d: y\r\n" % number for number in range(HEADERS)) + b"\r\n"

    refused = frozenset({400, 414, 431})
    return [
        Oversize("a header of 8 MB", long_header, refused, may_close=True),
        Oversize("a target of 8 MB", long_target, refused, may_close=True),
        Oversize("5,000 headers", many_headers, refused, may_close=True),
    ]


def body_probes(target: Target, *, write_key: str) -> list[Oversize]:
    """Bodies of decide requests."""
    key = base64.b64encode(f"{write_key}:".encode())
    head = b"POST /v1/decide HTTP/1.1\r\nHost: %b\r\nAuthorization: Basic %b\r\n" % (target.authority, key)

    def whole(body: bytes, *headers: bytes) -> Callable[[], Iterable[bytes]]:
        length = b"Content-Length: %d\r\n" % len(body)
        return lambda: [head + b"".join(header + b"\r\n" for header in headers) + length + b"\r\n", body]

    def attributes(text: bytes) -> bytes:
        return b'{"placements":[{"name":"home_hero"}],"context":{"attributes":{%b}}}' % text

    def endless() -> Iterator[bytes]:
        yield head + b"Transfer-Encoding: chunked\r\n\r\n"
        chunk = b"%x\r\n%b\r\n" % (len(_PIECE), _PIECE)
        for _ in range(ENDLESS_BYTES // len(_PIECE)):
            yield chunk
        yield b"0\r\n\r\n"

    gzip = b"Content-Encoding: gzip"
    return [
        Oversize("JSON nested 100,000 deep", whole(b"[" * DEEP + b"]" * DEEP), REFUSED, may_close=False),
        Oversize(
            "an attribute nested 100,000 deep",
            whole(attributes(b'"a":' + b"[" * DEEP + b"]" * DEEP)),
            REFUSED,
            may_close=False,
        ),
        Oversize("NaN", whole(attributes(b'"a":NaN')), REFUSED, may_close=False),
        Oversize("a number beyond all floats", whole(attributes(b'"a":1e999')), REFUSED, may_close=False),
        Oversize("the same key twice", whole(attributes(b'"a":1,"a":2')), READ, may_close=False),
        Oversize("a number of 5,000 digits", whole(attributes(b'"a":' + b"9" * DIGITS)), REFUSED, may_close=False),
        Oversize("half a surrogate pair", whole(attributes(rb'"a":"\ud800"')), REFUSED, may_close=False),
        Oversize("no UTF-8", whole(attributes(b'"a":"\xff\xfe"')), REFUSED, may_close=False),
        Oversize("chunks of 1 GB", endless, REFUSED, may_close=True),
        Oversize("a gzip bomb", whole(_bomb(), gzip), REFUSED, may_close=False),
        Oversize("a gzip bomb inside a gzip bomb", whole(_packed(_bomb()), gzip), REFUSED, may_close=False),
        Oversize("gzip that ends too early", whole(_bomb()[:-9], gzip), REFUSED, may_close=False),
        Oversize("gzip that is none", whole(b"{}", gzip), REFUSED, may_close=False),
    ]


def _filled(size_bytes: int) -> Iterator[bytes]:
    for _ in range(size_bytes // len(_PIECE)):
        yield _PIECE


def _bomb() -> bytes:
    packing = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    packed = [packing.compress(bytes(1 << 20)) for _ in range(BOMB_BYTES >> 20)]
    return b"".join([*packed, packing.flush()])


def _packed(data: bytes) -> bytes:
    packing = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    return packing.compress(data) + packing.flush()
