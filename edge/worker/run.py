"""One worker process: `python -m edge.worker.run --index I --settings JSON`. HTTP only, started by the supervisor.

The HTTP server runs inside this process (granian's embedded server, or uvicorn), so that process, bundle, cache and
spool begin and end together and one `kill -9` takes away exactly one worker. Limits that servers leave open are set
here, and nobody has to know them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import uvloop
from starlette.applications import Starlette
from typing_extensions import override

from edge.log import start_log
from edge.settings import EdgeSettings, decode_settings
from edge.worker.app import make_app
from edge.worker.desk import Desk
from edgewise.clock import SystemClock
from edgewise.errors import EdgewiseError

BACKLOG: Final = 8_192
CONNECTIONS: Final = 20_000
"""granian's `backpressure` counts connections, whatever its help says; its default would stop at 1,024."""
BUFFER_BYTES: Final = 64 << 10
"""Of a connection, for the head of a request; ours may have 16 KiB, the rest is for the body's beginning."""
GC_THRESHOLDS: Final = (100_000, 50, 1_000)
"""A request leaves next to no cycles behind; collecting rarely took p99 at 10,000 connections from 32 to 4 ms."""


def main(arguments: Sequence[str]) -> int:
    """Run one worker until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m edge.worker.run")
    parser.add_argument("--index", type=int, required=True)
    parser.add_argument("--settings", required=True, help="JSON, as the supervisor hands it over")
    options = parser.parse_args(arguments)
    settings = decode_settings(options.settings)
    log = start_log(f"worker-{options.index}", settings.log_level)
    try:
        desk = Desk.open(settings, index=options.index, clock=SystemClock(), log=log)
        listening = listen(settings)
    except (EdgewiseError, OSError) as failed:
        log.critical("the worker cannot start", detail=str(failed))
        return 1
    app = make_app(desk)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    serve = _serve_granian if settings.server == "granian" else _serve_uvicorn
    uvloop.run(serve(app, listening, settings))
    return 0


def listen(settings: EdgeSettings) -> socket.socket:
    """This worker's own socket on the node's port: the kernel deals connections out to all that share it.

    Raises:
        OSError: the port is somebody else's.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind(address)
    listening.listen(BACKLOG)
    listening.setblocking(False)
    return listening


async def _serve_granian(app: Starlette, listening: socket.socket, settings: EdgeSettings) -> None:
    from granian._granian import SocketHolder
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.server.embed import Server

    class OwnSocketServer(Server):
        """Listens on a socket that is open already, instead of on an address."""

        @override
        def _init_shared_socket(self) -> None:
            self._ssp = None
            self._shd = SocketHolder(listening.fileno(), False, BACKLOG)  # type: ignore[assignment, call-arg]
            self._sfd = listening.fileno()  # type: ignore[assignment]

    server = OwnSocketServer(
        app,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        backpressure=CONNECTIONS,
        http1_settings=HTTP1Settings(header_read_timeout=settings.header_timeout_ms, max_buffer_size=BUFFER_BYTES),
        log_enabled=False,
        log_access=False,
    )
    server.workers_kill_timeout = max(1, settings.drain_timeout_ms // 1_000)
    _on_stop(server.stop)
    await server.serve()


async def _serve_uvicorn(app: Starlette, listening: socket.socket, settings: EdgeSettings) -> None:
    import uvicorn

    class OwnSignalsServer(uvicorn.Server):
        """Ends with its process's exit code, not once more by the signal that ended it."""

        @contextlib.contextmanager
        @override
        def capture_signals(self) -> Iterator[None]:
            yield

    config = uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        limit_concurrency=None,
        timeout_keep_alive=max(1, settings.header_timeout_ms // 1_000),
        timeout_graceful_shutdown=max(1, settings.drain_timeout_ms // 1_000),
    )
    server = OwnSignalsServer(config)
    _on_stop(lambda: server.handle_exit(signal.SIGTERM, None))
    await server.serve(sockets=[listening])


def _on_stop(stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
