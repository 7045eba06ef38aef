"""The shop's own web server: its pages, and the script of an edge node. It decides nothing and stores nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import urllib.request
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edgewise.ids import ItemId
from hub.datasets.films import Film
from hub.demo.pages import Frame, Shelf, document

_STATIC: Final = {"/shop.css": "text/css; charset=utf-8", "/shop.js": "text/javascript; charset=utf-8"}
CLIENT: Final = "/edgewise.js"
"""Passed on from a node, as a shop's own proxy does it: the page's policy lets scripts come from the shop alone."""
_NODE_COOKIE: Final = "edge"


class Shop(msgspec.Struct, rename="camel"):
    """What the pages must know. `world` says in words whose behaviour this is."""

    edges: list[str]
    world: str
    write_key: str


class Results:
    """What was measured; nothing until the demo has."""

    page = b"<!doctype html><title>Measuring</title><p>The demo is still measuring. Look again in a minute."
    json = b"null"


class Storefront:
    """Serves the page from a thread of its own, so that the demo can go on measuring.

    The port is bound at once: the nodes must be told the page's origin before they start.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_server(("127.0.0.1", port))
        self._socket.setblocking(False)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._results = Results()

    def open(self, shop: Shop, films: Mapping[ItemId, Film]) -> None:
        """Start to answer; `films` have pages of their own."""
        config = uvicorn.Config(_application(shop, Shelf(films), self._results), log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, args=(self._server,), name="storefront", daemon=True)
        self._thread.start()

    def publish(self, page: str, figures: object) -> None:
        """Show what was measured at `/results`, and as `/results.json`."""
        self._results.page = page.encode()
        self._results.json = msgspec.json.encode(figures)

    def close(self) -> None:
        """Stop, and wait for it."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(timeout=10)
        with contextlib.suppress(OSError):
            self._socket.close()

    def _run(self, server: uvicorn.Server) -> None:
        asyncio.run(server.serve(sockets=[self._socket]))


def _application(shop: Shop, shelf: Shelf, results: Results) -> Starlette:
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
        f"frame-ancestors 'none'; base-uri 'none'; connect-src 'self' {' '.join(shop.edges)}"
    )
    headers = {"content-security-policy": policy, "x-content-type-options": "nosniff"}

    def framed(request: Request) -> Frame:
        asked = request.cookies.get(_NODE_COOKIE, "1")
        number = int(asked) if asked.isascii() and asked.isdigit() and 0 < int(asked) <= len(shop.edges) else 1
        return Frame(shop.world, shop.edges[number - 1], number, len(shop.edges), shop.write_key)

    async def page(request: Request) -> Response:
        found = shelf.page(request.url.path)
        if found is None:
            return Response("There is no such page.", 404, headers=headers, media_type="text/plain")
        return Response(document(found, framed(request)), media_type="text/html; charset=utf-8", headers=headers)

    async def static(request: Request) -> Response:
        path = request.url.path
        content = (files("hub.demo") / "page" / path[1:]).read_bytes()
        return Response(content, media_type=_STATIC[path], headers=headers)

    async def client(_: Request) -> Response:
        with urllib.request.urlopen(shop.edges[0] + CLIENT, timeout=10) as answer:  # noqa: ASYNC210, S310  # loopback
            return Response(answer.read(), media_type="text/javascript; charset=utf-8", headers=headers)

    async def description(_: Request) -> Response:
        return Response(msgspec.json.encode(shop), media_type="application/json", headers=headers)

    async def measured(_: Request) -> Response:
        return Response(results.page, media_type="text/html; charset=utf-8", headers=headers)

    async def measured_json(_: Request) -> Response:
        return Response(results.json, media_type="application/json", headers=headers)

    async def icon(_: Request) -> Response:
        return Response(status_code=204)

    routes = [Route(path, static) for path in _STATIC]
    routes += [Route("/results", measured), Route("/results.json", measured_json)]
    routes += [Route(CLIENT, client), Route("/shop.json", description), Route("/favicon.ico", icon)]
    return Starlette(routes=[*routes, Route("/{path:path}", page)])
