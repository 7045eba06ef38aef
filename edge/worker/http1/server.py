"""Listens, runs what comes in, looks at the clock for all connections, and leaves in order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from starlette.applications import Starlette

from edge.door import BACKLOG
from edge.log import Log
from edge.tls import TlsFiles
from edge.worker.admission import Admission, Stage, is_sheddable
from edge.worker.guard import WAITED_MS
from edge.worker.http1.connection import Connection
from edge.worker.http1.cycle import Cycle, encode_answer
from edge.worker.http1.deadlines import Deadlines
from edge.worker.http1.limits import HANDSHAKE_MS, MOST_LINGERING, Limits
from edge.worker.problems import RETRY_AFTER, HttpProblem, Telling, answer_of, told_plainly
from edge.worker.turns import Turns
from edgewise.clock import Clock

SWEEP_S: Final = 0.25
OVERLOADED: Final = "more requests than this node can answer in time; try again"
TURNS_TO_CONNECT: Final = 3
"""Of the event loop, from the accept of a connection to `connection_made`: asyncio takes two, uvloop one."""
HURRIED_S: Final = 0.005
"""While more connections have to end than may at once."""


class Server:
    """One worker's. Belongs to one event loop."""

    def __init__(
        self,
        app: Starlette,
        *,
        limits: Limits,
        clock: Clock,
        log: Log,
        admission: Admission,
        shed: Callable[[str], None],
        telling: Telling = told_plainly,
    ) -> None:
        """`shed` counts a refusal by its stage, `telling` says how one is told. To be made in the loop that serves."""
        self._telling = telling
        self.admission = admission
        self._turns = Turns(asyncio.get_running_loop(), clock.monotonic_ms, _spent_ms)
        self._app = app
        self._clock = clock
        self._log = log
        self.limits = limits
        self.shed = shed
        self.now_ms = clock.monotonic_ms
        self.connections: set[Connection] = set()
        self.deadlines = Deadlines()
        self.body_bytes = 0
        """Of large bodies that are held at the moment."""
        self.is_leaving = False
        self.date = b""
        self.no_room = encode_answer(answer_of(_not_now("too many connections; try again")), closes=True)
        self._overload = _not_now(OVERLOADED)
        plainly = answer_of(self._overload)
        # Made once: they have to cost next to nothing.
        self._overloaded = {closes: encode_answer(plainly, closes=closes) for closes in (False, True)}
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Server | None = None
        self._deafening: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._emptied = asyncio.Event()

    async def serve(self, listening: socket.socket, *, tls: ssl.SSLContext | None, patience_s: float) -> None:
        """Answer on a socket that listens, until `stop`; what has begun then may take `patience_s`."""
        loop = asyncio.get_running_loop()
        # Made now, not with the first request: a farewell may have to be put in front of it before there was one.
        self._app.middleware_stack = self._app.build_middleware_stack()
        self._tick()
        sweeping = asyncio.create_task(self._sweep(), name="sweep connections")
        try:
            async with self._app.router.lifespan_context(self._app):
                self._accepting = await loop.create_server(
                    lambda: Connection(self),
                    sock=listening,
                    ssl=tls,
                    ssl_handshake_timeout=HANDSHAKE_MS / 1_000 if tls else None,
                    backlog=BACKLOG,
                )
                await self._stopping.wait()
                self.deafen()
                if self._deafening is not None:
                    await self._deafening
                await self._leave(patience_s)
        finally:
            sweeping.cancel()

    def deafen(self) -> None:
        """Take no new connections; whoever was accepted before is still heard."""
        if self._accepting is not None and self._deafening is None:
            self._deafening = asyncio.create_task(self._close_door(self._accepting), name="close door")

    def stop(self) -> None:
        """End `serve`."""
        self._stopping.set()

    def turn(self) -> float:
        """Monotonic milliseconds, now; called whenever something was read."""
        return self._turns.read(self.admission.note)

    def refuses(self, method: str, path: str) -> bool:
        """Whether there is no time for this request. Asked once a request, before anything is made of it."""
        if method == "OPTIONS" or not is_sheddable(path) or not self.admission.refuses(self._turns.wait_ms):
            return False
        self.shed(Stage.REFUSE.label)
        return True

    def overloaded(self, path: str, *, closes: bool) -> bytes:
        """The whole answer to a request for which there is no time."""
        told = self._telling(path, self._overload)
        return self._overloaded[closes] if told is None else encode_answer(told, closes=closes)

    def refusal(self, path: str, problem: HttpProblem) -> bytes:
        """The whole answer to a request that is not let in, behind which the connection ends."""
        return encode_answer(self._telling(path, problem) or answer_of(problem), closes=True)

    def run(self, cycle: Cycle) -> None:
        """Have a request answered."""
        cycle.scope[WAITED_MS] = self._turns.wait_ms
        self._turns.take()
        task = asyncio.get_running_loop().create_task(cycle.run(self._app))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def forget(self, connection: Connection) -> None:
        """It is closed."""
        self.connections.discard(connection)
        self.deadlines.forget(connection)
        if self.is_leaving and not self.connections:
            self._emptied.set()

    def may_linger(self) -> bool:
        """Whether there is room for one that only waits until its client has read."""
        return len(self.connections) < self.limits.connections + MOST_LINGERING

    def failed(self, path: str, error: Exception) -> None:
        """The application raised; its own errors it answers itself."""
        self._log.error("a request failed", path=path, exc_info=error)

    def _tick(self) -> None:
        self.date = b"date: " + formatdate(self._clock.now_ms() / 1_000, usegmt=True).encode() + b"\r\n"

    async def _sweep(self) -> None:
        while True:
            self._tick()
            self.admission.rest(self.now_ms())
            has_more = self.deadlines.sweep(self.now_ms())
            await asyncio.sleep(HURRIED_S if has_more else SWEEP_S)

    async def _close_door(self, accepting: asyncio.Server) -> None:
        loop = asyncio.get_running_loop()
        for listening in accepting.sockets:
            loop.remove_reader(listening.fileno())  # nothing to remove in uvloop, which accepts until the close
        # asyncio drops, open and unheard of, what it has accepted but not yet connected when its server closes.
        await _turn(TURNS_TO_CONNECT)
        accepting.close()
        await _turn(TURNS_TO_CONNECT)

    async def _leave(self, patience_s: float) -> None:
        self.is_leaving = True
        for connection in tuple(self.connections):
            connection.leave()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                if self.connections:
                    await self._emptied.wait()
                if self._tasks:
                    await asyncio.wait(self._tasks)
        for connection in tuple(self.connections):
            connection.abort()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """For visitors by https, from files that were looked at (`edge.tls`)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(files.certificate, files.key)
    return context


async def _turn(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


def _spent_ms() -> float:
    return time.thread_time_ns() / 1e6


def _not_now(detail: str) -> HttpProblem:
    return HttpProblem(HTTPStatus.SERVICE_UNAVAILABLE, "overload", detail, headers=[RETRY_AFTER])
