"""The agent's doorbell: workers ring it when there is something to ship or to ask for, and never wait.

A ring may be lost (the socket's buffer is full, the agent is just starting), so the agent also looks by itself every
POLL_MS.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from edge.node.layout import doorbell_address
from edgewise.ids import NodeId

POLL_MS: Final = 50
SPOOL: Final = b"s"
WANTED: Final = b"w"


class Doorbell:
    """Two events, set by rings; whoever waits clears his own."""

    def __init__(self, node: NodeId) -> None:
        self.spool = asyncio.Event()
        self.wanted = asyncio.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(doorbell_address(node))
        asyncio.get_running_loop().add_reader(self._socket, self._rung)

    def close(self) -> None:
        """Stop listening; the address is free again."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _rung(self) -> None:
        while True:
            try:
                ring = self._socket.recv(16)
            except BlockingIOError:
                return
            (self.wanted if ring == WANTED else self.spool).set()


async def next_ring(event: asyncio.Event, most_ms: float = POLL_MS) -> None:
    """Wait for a ring, but not longer than `most_ms`; takes it."""
    if not event.is_set():
        handle = asyncio.get_running_loop().call_later(most_ms / 1_000, event.set)
        try:
            await event.wait()
        finally:
            handle.cancel()
    event.clear()
