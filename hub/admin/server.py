"""Runs the admin application on a socket of its own, in the hub's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from edgewise.errors import UnavailableError
from hub.settings import host_port

MOST_CONNECTIONS: Final = 500
MOST_HEADER_BYTES: Final = 16 << 10
HEAD_TIMEOUT_S: Final = 5.0


class _Impatient(H11Protocol):
    """Closes a connection that does not finish a request's head in time; uvicorn itself waits for ever."""

    head_timeout_s = HEAD_TIMEOUT_S
    _deadline: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it
        super().connection_made(transport)
        self._expect_a_head()

    @override
    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._expect_a_head()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _expect_a_head(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(self.head_timeout_s, self._close_if_idle)

    def _close_if_idle(self) -> None:
        answering: RequestResponseCycle | None = (
            self.cycle
        )  # none before the first request, whatever uvicorn's types say
        if answering is None or answering.response_complete:
            self.transport.close()


class _Server(uvicorn.Server):
    """Signals are the hub's business: it drains gRPC first."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class AdminServer:
    """Start once, stop once."""

    def __init__(self, app: ASGIApp, address: str) -> None:
        self._address = address
        self._server = _Server(
            uvicorn.Config(
                app,
                http=_Impatient,  # on h11: of the two parsers the one that refuses a missing Host by itself
                h11_max_incomplete_event_size=MOST_HEADER_BYTES,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=5,
                lifespan="off",
                ws="none",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Listen; returns HOST:PORT as bound. Raises UnavailableError when the address cannot be had."""
        host, port = host_port(self._address)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as refused:
            listener.close()
            raise UnavailableError(f"{self._address} cannot be listened on: {refused.strerror or refused}") from None
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        bound = listener.getsockname()[1]
        while not self._server.started:  # uvicorn tells it by nothing else
            if self._serving.done():
                self._serving.result()
                raise UnavailableError(f"{self._address}: the admin server ended while it started")
            await asyncio.sleep(0.005)
        return f"[{host}]:{bound}" if ":" in host else f"{host}:{bound}"

    async def stop(self) -> None:
        """Finish what was begun, then close."""
        if self._serving is not None:
            self._server.should_exit = True
            await self._serving
