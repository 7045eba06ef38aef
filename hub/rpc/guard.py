"""Bounds that every stream passes: how many are open, and who calls."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn

import grpc

from edgewise.errors import EdgewiseError, InputError, RefusedError
from edgewise.ids import NodeId
from hub.meters import Meters

Context = grpc.aio.ServicerContext[Any, Any]

_NODE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NOT_A_NODE: Final = frozenset({"import"})  # the producers of imports begin with it


class Streams:
    """Counts open streams. gRPC's own `maximum_concurrent_rpcs` is passed by (grpc#30424, grpc#41531)."""

    def __init__(self, most: int, meters: Meters) -> None:
        self._most = most
        self._open = 0
        self._meters = meters

    @asynccontextmanager
    async def one(self, context: Context, method: str) -> AsyncIterator[None]:
        """Hold a place while a stream is open; aborts RESOURCE_EXHAUSTED when there is none."""
        if self._open >= self._most:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"{self._most} streams are open; try again later, or another hub"
            )
        gauge = self._meters.streams.labels(method)
        self._open += 1
        gauge.inc()
        try:
            yield
        finally:
            self._open -= 1
            gauge.dec()


def node_of(text: str) -> NodeId:
    """Raises InputError for what cannot name a node."""
    if not _NODE_ID.fullmatch(text) or text in _NOT_A_NODE:
        raise InputError(
            f"node id {text[:80]!r}; expected 1 to 64 letters, digits or `._-`, beginning with a letter or digit"
        )
    return NodeId(text)


async def refuse(context: Context, why: EdgewiseError) -> NoReturn:
    """End a call with the status that says who must act."""
    match why:
        case InputError():
            status = grpc.StatusCode.INVALID_ARGUMENT
        case RefusedError():
            status = grpc.StatusCode.PERMISSION_DENIED
        case _:
            status = grpc.StatusCode.UNAVAILABLE
    await context.abort(status, str(why))
    raise AssertionError("abort raises")
