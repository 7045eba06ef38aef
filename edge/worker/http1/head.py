"""What stands at a request's beginning: its target, taken apart, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import unquote

import httptools

from edge.worker.guard import LINGER_BYTES, body_too_large, malformed
from edge.worker.problems import CLOSE, HttpProblem

END_OF_HEAD: Final = b"\r\n\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Place(NamedTuple):
    """A target, taken apart."""

    path: str
    """Percent-decoded."""
    raw_path: bytes
    query: bytes


def place_of(target: bytes, host: bytes) -> Place:
    """Origin-form, or the absolute form that a request to a proxy has (RFC 9112, 3.2).

    Raises:
        HttpProblem: it is neither, or names another host than the Host header.
    """
    raw_path, _, query = target.partition(b"?")
    if not target.startswith(b"/"):
        try:
            url = httptools.parse_url(target)
        except httptools.HttpParserInvalidURLError:
            url = None
        if url is None or not url.schema or not url.host:
            raise malformed("the target is no path")
        named = target.partition(b"://")[2].partition(b"/")[0].partition(b"?")[0]
        if named.lower() != host.lower():
            raise malformed("the target names another host than the Host header")
        raw_path, query = url.path or b"/", url.query or b""
    if b"#" in target:
        raise malformed("a fragment in the target")
    try:
        path = raw_path.decode("ascii")
    except UnicodeDecodeError:
        raise malformed("the target is not ASCII") from None
    return Place(unquote(path) if "%" in path else path, raw_path, query)


def target_in(data: bytes) -> bytes:
    """What stands where a target does in bytes that begin with a request line of which the parser made nothing."""
    _, _, rest = data.lstrip(b"\r\n").partition(b"\r\n")[0].partition(b" ")
    return rest.partition(b" ")[0]


def path_of(target: bytes) -> str:
    """The path of a target that may be broken off, or wrong; for whoever is to be told that it is."""
    return unquote(target.partition(b"?")[0].decode("latin-1"), errors="replace")


def body_length(headers: Mapping[bytes, bytes], version: str, *, most_bytes: int) -> int | None:
    """How long the body is said to be, None for one in chunks.

    Raises:
        HttpProblem: two readers could disagree about where it ends, or it is beyond all patience.
    """
    coding = headers.get(b"transfer-encoding")
    if coding is not None:
        if version != "1.1":
            raise malformed("Transfer-Encoding in HTTP/1.0")
        if coding.lower() != b"chunked":
            raise malformed(f"Transfer-Encoding {coding.decode('latin-1')!r}; chunked is understood")
        return None
    length = int(headers.get(b"content-length", b"0"))
    if length > LINGER_BYTES:
        raise body_too_large(most_bytes)
    return length


def check_expectation(headers: Mapping[bytes, bytes]) -> bool:
    """Whether the client waits for `100 Continue`. Raises HttpProblem 417 for what else he may expect."""
    expected = headers.get(b"expect")
    if expected is None:
        return False
    if expected.lower() != b"100-continue":
        detail = f"Expect {expected.decode('latin-1')!r}; 100-continue is understood"
        raise HttpProblem(HTTPStatus.EXPECTATION_FAILED, "expectation", detail, headers=[CLOSE])
    return True
