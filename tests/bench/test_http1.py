"""The least reader of HTTP/1.1: whole answers in any pieces, and nothing that is none."""

from __future__ import annotations

import pytest
from bench_server import http
from hypothesis import given
from hypothesis import strategies as st

from edge.bench.http1 import FramingError, Reply, ReplyReader, parse_target, request_head
from edgewise.errors import InputError

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
TRAILER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + http(b"later")
ANSWERS = [
    (http(b'{"a":1}'), Reply(200, b'{"a":1}', True)),
    (http(b"", 503, "Retry-After: 1"), Reply(503, b"", True)),
    (http(b"x" * 5_000, 200, "Connection: close"), Reply(200, b"x" * 5_000, False)),
    (CHUNKED, Reply(200, b"hello world", True)),
    (TRAILER, Reply(200, b"ok", True)),
    (INTERIM, Reply(200, b"later", True)),
    (b"HTTP/1.1 204 No Content\r\n\r\n", Reply(204, b"", True)),
    (b"HTTP/1.0 200 OK\r\ncontent-length:2\r\n\r\nok", Reply(200, b"ok", False)),
]


@pytest.mark.parametrize(("said", "expected"), ANSWERS)
@given(data=st.data())
def test_an_answer_in_any_pieces_is_read_once_it_is_whole(said: bytes, expected: Reply, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(1, len(said) - 1), max_size=6)))
    pieces = [said[start:end] for start, end in zip([0, *cuts], [*cuts, len(said)], strict=True)]
    reader = ReplyReader()
    replies = [reader.feed(piece) for piece in pieces if piece]
    assert replies[:-1] == [None] * (len(replies) - 1)
    assert replies[-1] == expected
    assert reader.is_empty
    assert reader.feed(http(b"next")) == Reply(200, b"next", True)


def test_an_answer_without_length_ends_with_its_connection() -> None:
    reader = ReplyReader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\n\r\nall ") is None
    assert reader.feed(b"of it") is None
    assert reader.close() == Reply(200, b"all of it", False)


@pytest.mark.parametrize("said", [http(b"cut off")[:-3], CHUNKED[:-5], b"HTTP/1.1 200 OK\r\n", b""])
def test_a_cut_off_answer_is_none(said: bytes) -> None:
    reader = ReplyReader()
    if said:
        assert reader.feed(said) is None
    assert reader.close() is None


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        http(b"ok") + b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
    ],
)
def test_what_is_no_answer_is_refused(said: bytes) -> None:
    with pytest.raises(FramingError):
        ReplyReader().feed(said)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8090", ("127.0.0.1", 8090, False, "", "127.0.0.1:8090")),
        ("http://edge.example/", ("edge.example", 80, False, "", "edge.example")),
        ("https://edge.example/shop/", ("edge.example", 443, True, "/shop", "edge.example")),
        ("http://[::1]:8090", ("::1", 8090, False, "", "[::1]:8090")),
        ("localhost:8090", ("localhost", 8090, False, "", "localhost:8090")),
    ],
)
def test_urls_of_nodes(url: str, expected: tuple[str, int, bool, str, str]) -> None:
    assert parse_target(url)[1:] == expected


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "http://", "http://x:port", "http://x:99999", "http://x/?a=1", "http://a b"]
)
def test_what_is_no_url_is_a_wrong_option(url: str) -> None:
    with pytest.raises(InputError, match="expected the URL of an edge node"):
        parse_target(url)


def test_a_request_names_its_host_and_its_key() -> None:
    head = request_head(parse_target("http://edge.example:81/shop"), "/v1/track", "demo")
    assert head.startswith(b"POST /shop/v1/track HTTP/1.1\r\nHost: edge.example:81\r\n")
    assert b"Authorization: Basic ZGVtbzo=\r\n" in head
    assert head.endswith(b"\r\nContent-Length: ")
