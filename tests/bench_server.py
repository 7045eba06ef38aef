"""A small HTTP server whose answers a test decides, and what a bench wants to hear."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple, cast

import uvloop
from typing_extensions import override

from edge.worker.http1.server import TURNS_TO_CONNECT


class Asked(NamedTuple):
    """One request, as it came; `number` counts from 0 over all connections."""

    number: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answering = Callable[[Asked], Awaitable[bytes | None]]
"""The bytes to answer with; None closes the connection without a word."""


def http(body: bytes, status: int = 200, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def decision(reason: str = "MODEL", item: str = "item-1", *, number: int = 0) -> bytes:
    """The body of an answer to /v1/decide."""
    items = [{"id": item, "rank": 1, "reason": reason, "score": 0.1, "propensity": 1.0}]
    placements = {"home_hero": {"items": items, "reason": reason, "policy": "model"}}
    return json.dumps({"decisionId": f"d-{number}", "placements": placements, "tookMs": 0.25}).encode()


def right(asked: Asked, reason: str = "MODEL") -> bytes:
    """What a node answers."""
    if asked.path == "/v1/decide":
        return http(decision(reason, number=asked.number))
    if asked.method == "POST":
        return http(b'{"success":true}')
    return http(b"{}", 404)


async def answer_right(asked: Asked) -> bytes:
    return right(asked)


class _Talk(asyncio.Protocol):
    """One connection of the small server; requests are never pipelined here."""

    def __init__(self, answer: Answering, numbers: Iterator[int], tasks: set[asyncio.Task[None]]) -> None:
        self._answer = answer
        self._numbers = numbers
        self._tasks = tasks
        self._held = b""
        self.over = asyncio.Event()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.over.set()

    async def end(self) -> None:
        self._transport.abort()
        await self.over.wait()

    @override
    def data_received(self, data: bytes) -> None:
        self._held += data
        head, end, body = self._held.partition(b"\r\n\r\n")
        if not end:
            return
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if len(body) < int(headers.get("content-length", "0")):
            return
        self._held = b""
        method, path, _ = first.split(" ")
        task = asyncio.get_running_loop().create_task(
            self._say(Asked(next(self._numbers), method, path, headers, body))
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _say(self, asked: Asked) -> None:
        said = await self._answer(asked)
        if said is not None:
            self._transport.write(said)
        if said is None or b"connection: close" in said.lower():
            self._transport.close()


@asynccontextmanager
async def listening(answer: Answering) -> AsyncIterator[str]:
    """Serve on a free port of the loop that runs; gives the URL."""
    numbers, tasks, talks = itertools.count(), set[asyncio.Task[None]](), list[_Talk]()

    def talk() -> _Talk:
        talks.append(_Talk(answer, numbers, tasks))
        return talks[-1]

    server = await asyncio.get_running_loop().create_server(talk, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        # What was accepted in this turn is closed as well, with asyncio and with uvloop (see `Server.deafen`).
        asyncio.get_running_loop().remove_reader(server.sockets[0].fileno())
        for _ in range(TURNS_TO_CONNECT):
            await asyncio.sleep(0)
        server.close()
        for _ in range(TURNS_TO_CONNECT):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in talks:
            await each.end()


@contextmanager
def serving(answer: Answering) -> Iterator[str]:
    """The same on a thread of its own, for commands that take the main one."""
    ready, over, urls = threading.Event(), asyncio.Event(), list[str]()
    loop = uvloop.new_event_loop()

    async def run() -> None:
        async with listening(answer) as url:
            urls.append(url)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()
