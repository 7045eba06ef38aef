"""The shop's own web server: three static files and where the nodes are. It decides nothing and stores nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from importlib.resources import files
from typing import Final

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_PAGE: Final = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/shop.css": ("shop.css", "text/css; charset=utf-8"),
    "/shop.js": ("shop.js", "text/javascript; charset=utf-8"),
}


class Shop(msgspec.Struct, rename="camel"):
    """What the page must know. `world` says in words whose behaviour this is."""

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

    def open(self, shop: Shop) -> None:
        """Start to answer."""
        config = uvicorn.Config(_application(shop, self._results), log_level="error", lifespan="off")
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


def _application(shop: Shop, results: Results) -> Starlette:
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
        f"frame-ancestors 'none'; base-uri 'none'; connect-src 'self' {' '.join(shop.edges)}"
    )
    headers = {"content-security-policy": policy, "x-content-type-options": "nosniff"}

    async def page(request: Request) -> Response:
        name, media_type = _PAGE[request.scope["path"]]
        content = (files("hub.demo") / "page" / name).read_bytes()
        return Response(content, media_type=media_type, headers=headers)

    async def description(_: Request) -> Response:
        return Response(msgspec.json.encode(shop), media_type="application/json", headers=headers)

    async def measured(_: Request) -> Response:
        return Response(results.page, media_type="text/html; charset=utf-8", headers=headers)

    async def measured_json(_: Request) -> Response:
        return Response(results.json, media_type="application/json", headers=headers)

    async def icon(_: Request) -> Response:
        return Response(status_code=204)

    routes = [Route(path, page) for path in _PAGE]
    routes += [Route("/results", measured), Route("/results.json", measured_json)]
    return Starlette(routes=[*routes, Route("/shop.json", description), Route("/favicon.ico", icon)])
