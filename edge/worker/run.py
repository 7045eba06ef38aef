"""One worker process: `python -m edge.worker.run --index I --listen FD --settings JSON`. HTTP only.

The HTTP server runs inside this process (our own, or granian's embedded one), so that process, bundle, cache and
spool begin and end together and one `kill -9` takes away exactly one worker.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import uvloop
from starlette.applications import Starlette
from typing_extensions import override

from edge.door import BACKLOG
from edge.log import start_log
from edge.node.claims import share_port
from edge.node.layout import SEATS
from edge.settings import EdgeSettings, decode_settings
from edge.tls import tls_files
from edge.worker.app import make_app
from edge.worker.desk import Desk
from edge.worker.farewell import Farewell, deafen
from edge.worker.http1.limits import Limits
from edge.worker.http1.server import Server, tls_context
from edge.worker.refusals import Refusals
from edgewise.clock import SystemClock
from edgewise.errors import EdgewiseError

BUFFER_BYTES: Final = 64 << 10
"""Of a connection, for the head of a request; ours may have 16 KiB, the rest is for the body's beginning."""
GC_THRESHOLDS: Final = (100_000, 50, 1_000)
"""A request leaves next to no cycles behind; collecting rarely took p99 at 10,000 connections from 32 to 4 ms."""

SWITCH_S: Final = 0.0005
"""How long a thread that loads a bundle may keep the interpreter from a request that waits for it, several times in
each request: of Python's own 5 ms the longest pauses of a swap were 11, 6 and 6 ms, of these 6, 4 and 2."""


def main(arguments: Sequence[str]) -> int:
    """Run one worker until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m edge.worker.run")
    parser.add_argument("--index", type=int, required=True, help="its seat")
    parser.add_argument("--listen", type=int, metavar="DESCRIPTOR", help="of a socket that it inherits; else its own")
    parser.add_argument("--settings", required=True, help="JSON, as the supervisor hands it over")
    options = parser.parse_args(arguments)
    settings = decode_settings(options.settings)
    log = start_log(f"worker-{options.index % SEATS}", settings.log_level)
    try:
        desk = Desk.open(settings, index=options.index, clock=SystemClock(), log=log)
        listening = listen(settings, options.listen)
    except (EdgewiseError, OSError) as failed:
        log.critical("the worker cannot start", detail=str(failed))
        return 1
    app = make_app(desk)
    collect_rarely()
    sys.setswitchinterval(SWITCH_S)
    if settings.server == "granian":
        uvloop.run(_serve_granian(app, listening, settings))
    else:
        uvloop.run(_serve_own(app, listening, settings, desk))
    return 0


def listen(settings: EdgeSettings, descriptor: int | None) -> socket.socket:
    """The supervisor's socket for this worker (`edge.door`), or one of its own on the node's port.

    Raises:
        OSError: the port is somebody else's, or the descriptor no socket.
    """
    listening = share_port(settings.host, settings.port) if descriptor is None else socket.socket(fileno=descriptor)
    listening.listen(BACKLOG)
    listening.setblocking(False)
    return listening


def collect_rarely() -> None:
    """Leave what there is by now to the end of the process, and look for cycles in the rest rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def raise_descriptors() -> int:
    """Let this process have as many files open as it may; returns how many. Each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


async def _serve_granian(app: Starlette, listening: socket.socket, settings: EdgeSettings) -> None:
    from granian._granian import SocketHolder
    from granian.constants import HTTPModes, Interfaces, SSLProtocols
    from granian.http import HTTP1Settings
    from granian.server.embed import Server

    class OwnSocketServer(Server):
        """Listens on a socket that is open already, instead of on an address."""

        @override
        def _init_shared_socket(self) -> None:
            self._ssp = None
            self._shd = SocketHolder(listening.fileno(), False, BACKLOG)  # type: ignore[assignment, call-arg]
            self._sfd = listening.fileno()  # type: ignore[assignment]

    files = tls_files(settings)
    server = OwnSocketServer(
        app,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        backpressure=settings.connections_most,
        http1_settings=HTTP1Settings(header_read_timeout=settings.idle_timeout_ms, max_buffer_size=BUFFER_BYTES),
        log_enabled=False,
        log_access=False,
        ssl_cert=files and files.certificate,
        ssl_key=files and files.key,
        ssl_protocol_min=SSLProtocols.tls12,
    )
    server.workers_kill_timeout = _patience_s(settings)
    _on_stop(app, settings, shut=partial(deafen, listening), stop=server.stop)
    await server.serve()


async def _serve_own(app: Starlette, listening: socket.socket, settings: EdgeSettings, desk: Desk) -> None:
    files = tls_files(settings)
    limits = Limits.of(settings, descriptors=raise_descriptors())
    server = Server(
        app,
        limits=limits,
        clock=desk.clock,
        log=desk.log,
        admission=desk.admission,
        shed=desk.counts.shed_at,
        telling=Refusals(desk),
    )
    _on_stop(app, settings, shut=server.deafen, stop=server.stop)
    tls = tls_context(files) if files else None
    await server.serve(listening, tls=tls, patience_s=_patience_s(settings))


def _on_stop(app: Starlette, settings: EdgeSettings, *, shut: Callable[[], None], stop: Callable[[], None]) -> None:
    farewell = Farewell(app, port=settings.port, most_ms=_farewell_ms(settings), shut=shut, stop=stop)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, farewell.say)


def _farewell_ms(settings: EdgeSettings) -> int:
    return min(settings.farewell_ms, settings.drain_timeout_ms // 2)


def _patience_s(settings: EdgeSettings) -> int:
    """For what has begun, after the farewell; a second is left to close spool and cache before the supervisor kills."""
    return max(1, (settings.drain_timeout_ms - _farewell_ms(settings)) // 1_000 - 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
