"""The least that an edge node could be: one route that reads the request and answers 900 bytes, on the same server.

`python -m figures.floor_server`; prints its URL as JSON. Server and its settings are the worker's own.
"""

from __future__ import annotations

import json
import sys
from typing import Final

import msgspec
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.settings import EdgeSettings
from edge.worker.run import _serve_granian, listen
from edgewise.request import DecideRequest

ANSWER_BYTES: Final = 900
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
    listening = listen(EdgeSettings(port=0), None)
    host, port = listening.getsockname()
    sys.stdout.write(json.dumps({"url": f"http://{host}:{port}"}) + "\n")
    sys.stdout.flush()
    app = Starlette(routes=[Route("/v1/decide", decide, methods=["POST"])])
    uvloop.run(_serve_granian(app, listening, EdgeSettings(host=host, port=port)))


if __name__ == "__main__":
    main()
