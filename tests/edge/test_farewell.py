"""How a worker leaves: deaf to new visitors, polite to those it has, gone when they are, or when it has waited."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from edge.worker.farewell import Farewell, deafen, open_connections


def make_app() -> Starlette:
    async def plain(_: object) -> PlainTextResponse:
        return PlainTextResponse("a")

    async def closing(_: object) -> PlainTextResponse:
        return PlainTextResponse("b", headers={"connection": "close"})

    return Starlette(routes=[Route("/plain", plain), Route("/closing", closing)])


def test_who_is_deaf_leaves_visitors_to_whom_he_shares_the_socket_with() -> None:
    with socket.create_server(("127.0.0.1", 0)) as staying:
        leaving = socket.socket(fileno=os.dup(staying.fileno()))
        leaving.setblocking(False)
        with leaving, socket.create_connection(staying.getsockname()):
            deafen(leaving)
            with pytest.raises(BlockingIOError):
                leaving.accept()
            staying.accept()[0].close()


def test_only_connections_to_the_port_are_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours, socket.create_server(("127.0.0.1", 0)) as other:
        port = ours.getsockname()[1]
        with socket.create_connection(other.getsockname()), other.accept()[0]:
            assert open_connections(port) == 0
            with socket.create_connection(ours.getsockname()) as visitor, ours.accept()[0] as taken_in:
                assert open_connections(port) == 1  # not the visitor's end
                assert visitor.getpeername() == taken_in.getsockname()
            assert open_connections(port) == 0


async def leave(app: Starlette, port: int, most_ms: float) -> list[str]:
    """Say farewell, twice; what was done in which order."""
    done: list[str] = []
    stopped = asyncio.Event()

    def stop() -> None:
        done.append("stop")
        stopped.set()

    farewell = Farewell(app, port=port, most_ms=most_ms, shut=lambda: done.append("shut"), stop=stop)
    farewell.say()
    farewell.say()
    await stopped.wait()
    return done


def test_from_then_on_every_answer_is_the_last_of_its_connection() -> None:
    app = make_app()
    with TestClient(app) as client:
        assert "connection" not in client.get("/plain").headers
        assert asyncio.run(leave(app, 1, 60_000)) == ["shut", "stop"]  # nobody is there to wait for
        assert client.get("/plain").headers["connection"] == "close"
        assert client.get("/closing").headers["connection"] == "close"


def test_who_never_leaves_is_waited_for_only_so_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        with socket.create_connection(ours.getsockname()), ours.accept()[0]:
            assert asyncio.run(leave(make_app(), port, 50)) == ["shut", "stop"]


def test_it_stops_even_when_the_socket_cannot_be_shut() -> None:
    async def story() -> None:
        stopped = asyncio.Event()

        def shut() -> None:
            raise OSError("no descriptors left")

        Farewell(make_app(), port=1, most_ms=0, shut=shut, stop=stopped.set).say()
        await stopped.wait()

    asyncio.run(story())
