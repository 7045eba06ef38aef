"""`GET /status`, `/metrics` for operators, and `/openapi.json` for everybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from edge.worker.desk import Desk
from edge.worker.endpoint import JSON, NO_STORE, Exchange, json_answer
from edge.worker.problems import Answer
from edge.worker.status import node_metrics, node_status

PROMETHEUS: Final = "text/plain; version=1.0.0; charset=utf-8"


class OperatorRoutes:
    """For whoever runs the node."""

    def __init__(self, desk: Desk, openapi: Callable[[], dict[str, Any]]) -> None:
        """`openapi` makes the document; it is made once, when first asked for."""
        self._desk = desk
        self._openapi = openapi
        self._document: bytes | None = None

    async def status(self, exchange: Exchange) -> Answer:
        """The whole node, merged over its workers."""
        exchange.caller.require_operator("/status")
        return json_answer(node_status(self._desk))

    async def metrics(self, exchange: Exchange) -> Answer:
        """The same in numbers, for Prometheus."""
        exchange.caller.require_operator("/metrics")
        return Answer(200, node_metrics(self._desk), [(b"content-type", PROMETHEUS.encode()), NO_STORE])

    async def openapi(self, _: Exchange) -> Answer:
        """What can be asked here."""
        if self._document is None:
            self._document = msgspec.json.encode(self._openapi())
        return Answer(200, self._document, [JSON])
