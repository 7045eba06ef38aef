"""The guard before everything: heads and bodies that no handler should see."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from edge_world import node
from starlette.types import Message, Receive, Scope, Send
from world import HERO

from edge.worker.guard import HEADERS, MAX_HEADERS, Guard, read_body
from edge.worker.problems import HttpProblem

HOST = (b"host", b"edge.example")


def scope(headers: list[tuple[bytes, bytes]], **changes: Any) -> Scope:
    known: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/v1/decide",
        "raw_path": b"/v1/decide",
        "query_string": b"",
        "headers": headers,
    }
    return {**known, **changes}


def guarded(asked: Scope) -> tuple[int, dict[bytes, bytes], dict[str, Any]]:
    """Status, headers and problem of what the guard answers; 200 when it lets through."""
    sent: list[Message] = []

    async def app(passed: Scope, _: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(len(passed[HEADERS])).encode()})

    async def receive() -> Message:
        raise AssertionError("the guard reads no body")

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(Guard(app)(asked, receive, send))
    body = json.loads(sent[1]["body"])
    return sent[0]["status"], dict(sent[0]["headers"]), body if isinstance(body, dict) else {}


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (scope([HOST]), 200),
        (scope([]), 400),
        (scope([HOST, HOST]), 400),
        (scope([HOST, (b"content-length", b"3"), (b"transfer-encoding", b"chunked")]), 400),
        (scope([HOST, *[(b"x-%d" % number, b"y") for number in range(MAX_HEADERS - 1)]]), 200),
        (scope([HOST, *[(b"x-%d" % number, b"y") for number in range(MAX_HEADERS)]]), 431),
        (scope([HOST, (b"x", b"y" * 16_384)]), 431),
        (scope([HOST], query_string=b"x" * 8_192), 414),
        (scope([HOST], path="/" + "x" * 9_000, raw_path=b"/" + b"x" * 9_000), 414),
    ],
)
def test_heads_that_servers_let_by_are_refused_and_the_connection_closed(asked: Scope, status: int) -> None:
    found, headers, problem = guarded(asked)
    assert found == status
    if status != 200:
        assert headers[b"connection"] == b"close"
        assert headers[b"content-type"] == b"application/problem+json"
        assert problem["status"] == status


def test_only_http_and_lifespan_get_through() -> None:
    async def app(*_: object) -> None:
        raise AssertionError("not for us")

    async def nothing(*_: object) -> Any:
        raise AssertionError("nothing is sent")

    asyncio.run(Guard(app)({"type": "websocket"}, nothing, nothing))


def reading(*messages: Message, forever: bool = False) -> Callable[[], Any]:
    queue = list(messages)

    async def receive() -> Message:
        if not queue and forever:
            await asyncio.Event().wait()
        return queue.pop(0)

    return receive


def part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def body_of(receive: Callable[[], Any], length: bytes = b"", most_bytes: int = 10, timeout_ms: int = 5_000) -> bytes:
    asked = scope([HOST])
    asked[HEADERS] = {b"content-length": length} if length else {}
    return asyncio.run(read_body(asked, receive, most_bytes=most_bytes, timeout_ms=timeout_ms))


def test_a_body_comes_whole_however_it_is_cut() -> None:
    assert body_of(reading(part(b"0123456789", more=False))) == b"0123456789"
    assert body_of(reading(part(b"0123", more=True), part(b"", more=True), part(b"456", more=False))) == b"0123456"


TOO_LARGE: dict[str, tuple[list[Message], bytes]] = {
    "in one piece": ([part(b"x" * 11, more=False)], b""),
    "in pieces": ([part(b"x" * 4, more=True)] * 9 + [part(b"", more=False)], b""),
    "announced, and sent": ([part(b"x" * 8, more=True), part(b"x" * 3, more=False)], b"11"),
    "without end": ([part(b"x" * (1 << 20), more=True)] * 17, b""),
    "announced beyond all patience": ([], b"16777217"),
    "announced with 40 digits": ([], b"1" * 40),
    "a negative length": ([], b"-1"),
    "a length as Python writes it": ([], b"1_0"),
}


@pytest.mark.parametrize("case", TOO_LARGE)
def test_a_body_that_is_too_large_is_refused(case: str) -> None:
    messages, length = TOO_LARGE[case]
    with pytest.raises(HttpProblem) as refused:
        body_of(reading(*messages), length)
    assert refused.value.status == 413


def test_a_body_that_does_not_arrive_is_given_up() -> None:
    for receive in (reading(forever=True), reading(part(b"0", more=True), forever=True)):
        with pytest.raises(HttpProblem) as refused:
            body_of(receive, timeout_ms=20)
        assert refused.value.status == 408


def test_half_a_body_is_never_taken_for_a_whole_one() -> None:
    with pytest.raises(ConnectionError):
        body_of(reading(part(b"{}", more=True), {"type": "http.disconnect"}))


def test_errors_are_problems_on_every_path(tmp_path: Path) -> None:
    with node(tmp_path) as (client, _):
        for path, status in (("/", 404), ("/v1/decide/", 404), ("/v1/nothing", 404), ("/edgewise.js/", 404)):
            answer = client.get(path, follow_redirects=False)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        answer = client.get("/v1/decide")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
        head = client.head("/health/live")
        assert head.status_code == 200
        large = client.post("/v1/decide", content=b"x" * (1 << 20))
        assert large.status_code == 400
        assert client.post("/v1/decide", content=b"x" * ((1 << 20) + 1)).status_code == 413
        answer = client.post("/v1/decide", json={"placements": [{"name": HERO}]}, headers={"x": "y" * 17_000})
        assert answer.status_code == 431
