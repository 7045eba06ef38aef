"""The admin server on a real socket: it starts where it should, and does not wait for ever."""

from __future__ import annotations

import asyncio
import socket

import pytest
from hub_server import patiently
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from edgewise.errors import UnavailableError
from hub.admin import server
from hub.admin.server import AdminServer


async def hello(_: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


APP = Starlette(routes=[Route("/", hello)])
HEAD = b"GET / HTTP/1.1\r\nHost: hub\r\n"


@pytest.mark.parametrize(
    ("sent", "answers"),
    [
        pytest.param(b"", 0, id="nothing"),
        pytest.param(HEAD, 0, id="half a head"),
        pytest.param(HEAD + b"\r\n" + HEAD, 1, id="half a second head"),
    ],
)
def test_a_slow_client_is_let_go(monkeypatch: pytest.MonkeyPatch, sent: bytes, answers: int) -> None:
    monkeypatch.setattr(server._Impatient, "head_timeout_s", 0.1)

    async def story() -> None:
        admin = AdminServer(APP, "127.0.0.1:0")
        host, _, port = (await admin.start()).partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        answered = await reader.read()  # to the end: the server closes
        assert answered.count(b"HTTP/1.1 200 OK") == answers
        writer.close()
        await admin.stop()

    patiently(story())


def test_a_head_without_end_is_refused() -> None:
    async def story() -> None:
        admin = AdminServer(APP, "127.0.0.1:0")
        host, _, port = (await admin.start()).partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(HEAD + b"X: " + b"x" * (64 << 10))
        assert b"HTTP/1.1 400" in await reader.read()
        writer.close()
        await admin.stop()

    patiently(story())


def test_a_port_that_is_taken_is_named() -> None:
    async def story() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            with pytest.raises(UnavailableError, match=address):
                await AdminServer(APP, address).start()
            await AdminServer(APP, address).stop()

    patiently(story())
