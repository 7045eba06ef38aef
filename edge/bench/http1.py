"""HTTP/1.1 as far as a load generator needs it: requests as bytes made ahead, and the least reader of answers.

A general client costs more than the node that it asks; this reader takes an answer that arrives in one piece in about
a microsecond. It keeps RFC 9112's framing (Content-Length, chunked, until close) and refuses what is no HTTP.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from edgewise.errors import InputError, Problem

MAX_HEAD_BYTES: Final = 64 << 10
MAX_BODY_BYTES: Final = 64 << 20
_BODILESS: Final = frozenset({204, 304})
_END: Final = b"\r\n\r\n"


class FramingError(Exception):
    """What came is no HTTP/1.1 answer to one request; nothing more can be read from this connection."""


class Target(NamedTuple):
    """Where requests go."""

    url: str
    """Without a slash at its end."""
    host: str
    port: int
    is_tls: bool
    prefix: str
    """Path before `/v1/…`; empty as a rule."""
    authority: str
    """For the Host header."""


def parse_target(url: str) -> Target:
    """Read the URL of a node.

    Raises:
        InputError: it is no http or https URL with a host.
    """
    try:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        port = parts.port
    except ValueError as wrong:
        raise _bad_url(url, str(wrong)) from None
    if parts.scheme not in {"http", "https"}:
        raise _bad_url(url, f"the scheme {parts.scheme!r}")
    if not parts.hostname or parts.query or parts.fragment or not url.isascii() or any(c <= " " for c in url):
        raise _bad_url(url, "no host" if not parts.hostname else "a query, a fragment, or characters of no URL")
    is_tls = parts.scheme == "https"
    authority = parts.netloc.rpartition("@")[2]
    prefix = parts.path.rstrip("/")
    shown = f"{parts.scheme}://{authority}{prefix}"
    return Target(shown, parts.hostname, port or (443 if is_tls else 80), is_tls, prefix, authority)


def request_head(target: Target, path: str, write_key: str | None) -> bytes:
    """A POST of JSON up to the value of Content-Length; the value and an empty line are to follow."""
    lines = [
        f"POST {target.prefix}{path} HTTP/1.1",
        f"Host: {target.authority}",
        "User-Agent: edgewise-bench",
        "Content-Type: application/json",
    ]
    if write_key is not None:
        lines.append(f"Authorization: Basic {b64encode(f'{write_key}:'.encode()).decode()}")
    return "\r\n".join([*lines, "Content-Length: "]).encode("latin-1")


def get_request(target: Target, path: str) -> bytes:
    """A whole GET."""
    return f"GET {target.prefix}{path} HTTP/1.1\r\nHost: {target.authority}\r\n\r\n".encode("latin-1")


class Reply(NamedTuple):
    """One whole answer."""

    status: int
    body: bytes
    keep_alive: bool


class ReplyReader:
    """Puts the pieces of one answer at a time together."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    @property
    def is_empty(self) -> bool:
        """No byte of an answer is held."""
        return not self._held

    def feed(self, piece: bytes) -> Reply | None:
        """Take what arrived; the answer, once it is whole.

        Raises:
            FramingError: it is no HTTP/1.1, too large, or goes on behind its end.
        """
        data = self._held + piece if self._held else piece
        self._held = data
        end = data.find(_END)
        while end >= 0 and data[9:10] == b"1":  # interim answers (1xx) come before the one that counts
            _status(data)
            data = data[end + 4 :]
            end = data.find(_END)
        if end < 0:
            if len(data) > MAX_HEAD_BYTES:
                raise FramingError(f"a head of more than {MAX_HEAD_BYTES} bytes")
            return None
        status, head = _status(data), data[:end].lower()
        taken = (b"", data[end + 4 :]) if status in _BODILESS else _body(head, data, end + 4)
        if taken is None:
            if len(data) > MAX_BODY_BYTES:
                raise FramingError(f"an answer of more than {MAX_BODY_BYTES} bytes")
            return None
        body, rest = taken
        if rest:
            raise FramingError(f"{len(rest)} bytes behind the end of an answer")
        self._held = b""
        return Reply(status, body, b"\r\nconnection: close" not in head and head[5:8] != b"1.0")

    def close(self) -> Reply | None:
        """The other side has closed: whole is what had no length of its own, None is what is cut off."""
        data, self._held = self._held, b""
        end = data.find(_END)
        if end < 0:
            return None
        head = data[:end].lower()
        if b"\r\ntransfer-encoding:" in head or _content_length(head) is not None:
            return None
        return Reply(_status(data), data[end + 4 :], keep_alive=False)


def _body(head: bytes, data: bytes, start: int) -> tuple[bytes, bytes] | None:
    """Body and what follows it, None while some of it is missing."""
    if b"\r\ntransfer-encoding:" in head:
        return _unchunk(data, start)
    length = _content_length(head)
    if length is None or len(data) < start + length:
        return None
    return data[start : start + length], data[start + length :]


def _status(data: bytes) -> int:
    code = data[9:12]
    if data[:7] != b"HTTP/1." or not code.isdigit() or data[8:9] != b" " or data[12:13] not in {b" ", b"\r"}:
        raise FramingError(f"no HTTP/1.1 status line: {data[:40]!r}")
    return int(code)


def _content_length(head: bytes) -> int | None:
    """Of a head in small letters."""
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        return None
    end = head.find(b"\r\n", at + 17)
    value = head[at + 17 : end if end > 0 else len(head)].strip()
    if not value.isdigit() or len(value) > 18:  # noqa: PLR2004  # below 2**63
        raise FramingError(f"Content-Length: {value!r}")
    return int(value)


def _unchunk(data: bytes, at: int) -> tuple[bytes, bytes] | None:
    """Body and what follows it, None while chunks are missing."""
    parts: list[bytes] = []
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        text = data[at:end].partition(b";")[0].strip()
        try:
            size = int(text, 16)
        except ValueError:
            raise FramingError(f"a chunk of size {text[:20]!r}") from None
        if size == 0:
            # trailers, then an empty line
            closing = end if data[end : end + 4] == _END else data.find(_END, end)
            return None if closing < 0 else (b"".join(parts), data[closing + 4 :])
        at = end + 2 + size + 2
        if len(data) < at:
            return None
        if data[at - 2 : at] != b"\r\n":
            raise FramingError("a chunk that does not end where it says")
        parts.append(data[end + 2 : at - 2])


def _bad_url(url: str, what: str) -> InputError:
    message = f"URL {url!r}: {what}; expected the URL of an edge node, such as http://127.0.0.1:8090"
    return InputError(message, (Problem("--url", message),))
