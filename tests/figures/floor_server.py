"""The least that an edge node could be: one route that reads the request and answers 900 bytes, on the same server.

`python -m figures.floor_server`; prints its URL as JSON. Server and its settings are the worker's own, but that it
sheds nothing: a refusal costs less than an answer, and would make the floor lower than it is.
"""

from __future__ import annotations

import asyncio
import json
import math
import signal
import socket
import sys
from typing import Final

import msgspec
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.log import start_log
from edge.settings import EdgeSettings
from edge.worker.admission import Admission
from edge.worker.http1.limits import Limits
from edge.worker.http1.server import Server
from edge.worker.run import collect_rarely, listen, raise_descriptors
from edgewise.clock import SystemClock
from edgewise.request import DecideRequest

ANSWER_BYTES: Final = 900
LEAVE_S: Final = 1.0
"""For what has begun when it is told to end."""
_decoder = msgspec.json.Decoder(DecideRequest)
_said: Final = (
    b'{"decisionId":"01M8DER17WKS8YAKQFCPWHYDNV","placements":{"home_hero":{"reason":"MODEL","items":'
    b'[{"id":"film-1","reason":"MODEL"}]}},"tookMs":0.0,"padding":"%b"}'
)
_answer: Final = _said % (b"x" * (ANSWER_BYTES - len(_said % b"")))


async def decide(request: Request) -> Response:
    """Decode, and say what is always said: a decision for whoever reads it."""
    _decoder.decode(await request.body())
    return Response(_answer, media_type="application/json")


def main() -> None:
    """Serve until SIGTERM."""
    settings = EdgeSettings(port=0)
    listening = listen(settings, None)
    host, port = listening.getsockname()
    sys.stdout.write(json.dumps({"url": f"http://{host}:{port}"}) + "\n")
    sys.stdout.flush()
    app = Starlette(routes=[Route("/v1/decide", decide, methods=["POST"])])
    collect_rarely()
    uvloop.run(_serve(app, listening, settings))


async def _serve(app: Starlette, listening: socket.socket, settings: EdgeSettings) -> None:
    server = Server(
        app,
        limits=Limits.of(settings, descriptors=raise_descriptors()),
        clock=SystemClock(),
        log=start_log("floor", settings.log_level),
        admission=Admission(target_ms=math.inf, most_ms=math.inf),
        shed=lambda _: None,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    await server.serve(listening, tls=None, patience_s=LEAVE_S)


if __name__ == "__main__":
    main()
