"""Many clients that begin and never end: they cost a node a connection each, for as long as it lets them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import msgspec

from edge.testing.probes.wire import Target

_DRIP_S: Final = 1.0


class SlowKind(msgspec.Struct, frozen=True):
    """How a slow client is slow, and until when the node must have let it go."""

    name: str
    start: bytes
    drip: bytes
    """Sent again and again, once a second: a limit that each byte renews never ends."""
    most_s: float | None
    """Since the first byte; None: nothing was begun, and the node may keep the connection as long as an idle one."""


class SlowTold(msgspec.Struct, frozen=True):
    """What became of the slow clients of one kind."""

    kind: str
    sockets: int
    closed: int
    last_closed_seconds: float
    """When the last one was closed; 0 when none was."""
    limit_seconds: float | None
    passed: bool


def slow_kinds(target: Target, *, head_s: float, body_s: float) -> list[SlowKind]:
    """The kinds. `head_s` and `body_s` are the node's own limits."""
    line = b"POST /v1/decide HTTP/1.1\r\n"
    head = line + b"Host: " + target.authority + b"\r\n"
    return [
        SlowKind("nothing", b"", b"", None),
        SlowKind("half a line", line[:12], b"", head_s),
        SlowKind("half a head", head, b"", head_s),
        SlowKind("a head byte by byte", head + b"X: ", b"y", head_s),
        SlowKind("half a body", head + b"Content-Length: 100\r\n\r\n{", b"", body_s),
        SlowKind("a body byte by byte", head + b"Content-Length: 100\r\n\r\n", b" ", body_s),
    ]


async def hold_slow(target: Target, kind: SlowKind, *, sockets: int, patience_s: float, grace_s: float) -> SlowTold:
    """Open `sockets` slow connections and wait until the node has closed them, at most `patience_s`.

    `grace_s` is allowed beyond the kind's limit, for a node that looks at its clock once in a while.
    """
    closed_after_s = await asyncio.gather(*(_hold(target, kind, patience_s) for _ in range(sockets)))
    closed = [after_s for after_s in closed_after_s if after_s is not None]
    limit_s = None if kind.most_s is None else kind.most_s + grace_s
    is_good = limit_s is None or (len(closed) == sockets and max(closed, default=0.0) <= limit_s)
    return SlowTold(kind.name, sockets, len(closed), max(closed, default=0.0), limit_s, is_good)


async def _hold(target: Target, kind: SlowKind, patience_s: float) -> float | None:
    """After how many seconds the node closed; None if it did not."""
    loop = asyncio.get_running_loop()
    reader, writer = await target.connect()
    began = loop.time()
    dripping = asyncio.create_task(_drip(writer, kind))
    try:
        async with asyncio.timeout(patience_s):
            with contextlib.suppress(OSError):
                while await reader.read(4_096):  # a refusal may be told before the close
                    pass
            return loop.time() - began
    except TimeoutError:
        return None
    finally:
        dripping.cancel()
        writer.transport.abort()


async def _drip(writer: asyncio.StreamWriter, kind: SlowKind) -> None:
    with contextlib.suppress(OSError):
        if kind.start:
            writer.write(kind.start)
            await writer.drain()
        while kind.drip:
            await asyncio.sleep(_DRIP_S)
            writer.write(kind.drip)
            await writer.drain()
