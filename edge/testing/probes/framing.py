"""Requests whose end two readers could see in different places, each with a second request behind it.

A proxy that sees one end and a node that sees another is how requests are smuggled (RFC 9112, 11.2). So each of
these must be refused and the connection closed; the request behind must never be served.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from edge.testing.probes.wire import Target

BODY: Final = b'{"placements":[]}'
_POST: Final = b"POST /v1/decide HTTP/1.1\r\n"
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
_LAST: Final = b"0\r\n\r\n"


def _length(value: bytes | int) -> bytes:
    return b"Content-Length: " + (value if isinstance(value, bytes) else str(value).encode()) + b"\r\n"


_FIT: Final = _length(len(BODY))
_CHUNK: Final = b"%x\r\n%b\r\n" % (len(BODY), BODY)


def framing_probes(target: Target) -> Mapping[str, bytes]:
    """What each probe sends first, by name."""
    host = b"Host: " + target.authority + b"\r\n"
    post = _POST + host
    chunked = post + _CHUNKED + b"\r\n"
    return {
        "content-length and transfer-encoding": post + _length(len(_LAST)) + _CHUNKED + b"\r\n" + _LAST,
        "transfer-encoding and content-length": post + _CHUNKED + _FIT + b"\r\n" + BODY,
        "obfuscated transfer-encoding and content-length": post
        + b"Transfer-Encoding: xchunked\r\n"
        + _FIT
        + b"\r\n"
        + BODY,
        "transfer-encoding twice": post + _CHUNKED + b"Transfer-Encoding: identity\r\n\r\n" + _CHUNK + _LAST,
        "a transfer coding nobody reads": post + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + _CHUNK + _LAST,
        "transfer-encoding in HTTP/1.0": b"POST /v1/decide HTTP/1.0\r\n" + host + _CHUNKED + b"\r\n" + _CHUNK + _LAST,
        "two content-lengths": post + _FIT + _length(0) + b"\r\n" + BODY,
        "the same content-length twice": post + _FIT + _FIT + b"\r\n" + BODY,
        "a list as content-length": post + _length(b"17, 17") + b"\r\n" + BODY,
        "a negative content-length": post + _length(-1) + b"\r\n" + BODY,
        "a signed content-length": post + _length(b"+17") + b"\r\n" + BODY,
        "a hexadecimal content-length": post + _length(b"0x11") + b"\r\n" + BODY,
        "a content-length beyond 64 bits": post + _length(b"18446744073709551633") + b"\r\n" + BODY,
        "a chunk size that is no number": chunked + b"xyz\r\n" + BODY + b"\r\n" + _LAST,
        "a chunk size beyond 64 bits": chunked + b"10000000000000011\r\n" + BODY + b"\r\n" + _LAST,
        "a signed chunk size": chunked + b"+11\r\n" + BODY + b"\r\n" + _LAST,
        "a line feed in a chunk extension": chunked + b"11;a\nb\r\n" + BODY + b"\r\n" + _LAST,
        "a line feed behind a chunk size": chunked + b"11\n" + BODY + b"\r\n" + _LAST,
        "nothing behind a chunk": chunked + b"11\r\n" + BODY + _LAST,
        "content-length in a trailer": chunked + _CHUNK + b"0\r\n" + _length(40) + b"\r\n",
        "line feeds alone": (post + _FIT + b"\r\n").replace(b"\r\n", b"\n") + BODY,
        "a carriage return alone": post + b"X: a\rb\r\n" + _FIT + b"\r\n" + BODY,
        "two Hosts": post + b"Host: other.example\r\n" + _FIT + b"\r\n" + BODY,
        "no Host": _POST + _FIT + b"\r\n" + BODY,
        "a folded header": post + b"X: a\r\n b\r\n" + _FIT + b"\r\n" + BODY,
        "a folded transfer-encoding": post + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + _CHUNK + _LAST,
        "a space before the colon": post + b"Content-Length : 17\r\n\r\n" + BODY,
        "a space before the first header": _POST + b" " + host + _FIT + b"\r\n" + BODY,
        "a header without a colon": post + b"Content-Length\r\n\r\n" + BODY,
        "NUL in a header": post + b"X: a\0b\r\n" + _FIT + b"\r\n" + BODY,
        "a control character in a header's name": post + b"X\x01: a\r\n" + _FIT + b"\r\n" + BODY,
        "a space in the target": b"POST /v1/decide?a b HTTP/1.1\r\n" + host + _FIT + b"\r\n" + BODY,
    }


def second_request(target: Target) -> bytes:
    """What stands behind each of them; whoever answers it was smuggled into."""
    return b"GET /health/live HTTP/1.1\r\nHost: " + target.authority + b"\r\n\r\n"
