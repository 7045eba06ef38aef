"""How a worker leaves: it takes no new visitor, asks those who hold connections to come again, and then stops.

Who closes a connection that its client holds idle may do so at the very moment at which the next request is on its
way, which then fails. So every answer says `Connection: close` for a while, and only what stays idle all that time is
closed by the server's own graceful stop, which also finishes what has begun.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.worker.problems import CLOSE

_POLL_S: Final = 0.02
_LOOKING_SHARE: Final = 0.1
"""Looking through 10,000 connections takes its time, which requests need too."""


class Farewell:
    """Said once, by SIGTERM; whoever says it again changes nothing."""

    def __init__(
        self, app: Starlette, *, port: int, most_ms: float, shut: Callable[[], None], stop: Callable[[], None]
    ) -> None:
        """`shut` ends the taking of new connections, `stop` is the server's graceful stop."""
        self._app = app
        self._port = port
        self._most_ms = most_ms
        self._shut = shut
        self._stop = stop
        self._said: asyncio.Task[None] | None = None

    def say(self) -> None:
        """Begin to leave; returns at once."""
        if self._said is None:
            self._said = asyncio.get_running_loop().create_task(self._leave(), name="farewell")

    async def _leave(self) -> None:
        try:
            with contextlib.suppress(OSError):  # whoever still comes in is asked to come again, too
                self._shut()
            if self._app.middleware_stack is not None:
                # Put in front only now: no request pays for it before.
                self._app.middleware_stack = LastAnswers(self._app.middleware_stack)
            await self._wait()
        finally:
            self._stop()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._most_ms / 1_000
        while (now := loop.time()) < end:
            if not open_connections(self._port):
                return
            looked_s = loop.time() - now
            await asyncio.sleep(min(max(_POLL_S, looked_s / _LOOKING_SHARE), max(0.0, end - loop.time())))


class LastAnswers:
    """ASGI middleware: no answer is followed by another one on its connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and say that this was the last."""

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start" and CLOSE not in message["headers"]:
                message = {**message, "headers": [*message["headers"], CLOSE]}
            await send(message)

        await self._app(scope, receive, send_last)


def deafen(listening: socket.socket) -> None:
    """Stop taking connections from a socket that somebody else listens on as well, under a server that offers no way.

    Its descriptor becomes that of a socket to which nobody connects; what waits at the old one is the other's.
    """
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind("")  # an abstract name that the kernel makes up
        deaf.listen()
        deaf.setblocking(False)
        os.dup2(deaf.fileno(), listening.fileno(), inheritable=False)


def open_connections(port: int) -> int:
    """How many connections to our `port` this process holds."""
    return sum(_is_connection(int(entry.name), port) for entry in Path("/proc/self/fd").iterdir())


def _is_connection(descriptor: int, port: int) -> bool:
    with contextlib.suppress(OSError):  # closed meanwhile, or no socket
        looked_at = socket.socket(fileno=descriptor)
        try:
            looked_at.getpeername()
            return looked_at.family in {socket.AF_INET, socket.AF_INET6} and looked_at.getsockname()[1] == port
        finally:
            looked_at.detach()
    return False
