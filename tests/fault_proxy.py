"""A TCP proxy that does to connections what networks do: delay, cut, reset, go silent, lose one side.

Between a real agent and a real hub on loopback. Which connection suffers what is planned by the story, so that a
failure comes again.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple, Self

_CHUNK_BYTES = 64 << 10
_TURNS_TO_SERVE = 4
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Way(Enum):
    TO_HUB = "to hub"
    TO_NODE = "to node"


class Ending(Enum):
    CLOSE = "close"
    """Both sides are told in an orderly way."""
    RESET = "reset"
    """Both sides get a RST."""
    HALF_OPEN = "half open"
    """The hub's side is closed, the node's stays open and silent: a middlebox has forgotten the connection."""


class Cut(NamedTuple):
    """After so many bytes one way, a connection ends."""

    way: Way
    after_bytes: int
    ending: Ending = Ending.RESET


class _Connection:
    def __init__(self, node: asyncio.StreamWriter, hub: asyncio.StreamWriter) -> None:
        self.cut: Cut | None = None
        self.node = node
        self.hub = hub
        self.passed = dict.fromkeys(Way, 0)
        self.is_cut = False
        self.is_silent = False

    def end(self, ending: Ending) -> None:
        for writer in (self.hub,) if ending is Ending.HALF_OPEN else (self.hub, self.node):
            if ending is Ending.RESET:
                there = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
                writer.transport.abort()
            else:
                writer.close()
        self.is_silent = ending is Ending.HALF_OPEN


class FaultProxy:
    """Use in `async with`; `address` is what a node is given as its hub."""

    def __init__(self, hub_port: int, *, cuts: Iterable[Cut] = ()) -> None:
        """`cuts` happen to the first connections, one to each; later ones are well.

        A connection that ends by itself before its cut (a client on a busy machine gives an attempt up) leaves it to
        another one, also to one that is there already: every cut happens.
        """
        self.address = ""
        self.accepted_s: list[float] = []
        """When connections came, in the loop's time."""
        self.cuts_done = 0
        self.latency_ms = 0.0
        self.is_refusing = False
        """Connections are reset the moment that they come."""
        self.silent: set[Way] = set()
        """Nothing passes this way, and nobody is told; what was swallowed is gone with its connection."""
        self.bytes_per_s: dict[Way, float] = {}
        """No more than that passes a connection this way."""
        self.flipped: dict[Way, int] = {}
        """Of this many bytes of a connection one arrives with a bit changed."""
        self.passed_bytes = dict.fromkeys(Way, 0)
        """On all connections together."""
        self._hub_port = hub_port
        self._cuts = deque(cuts)
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        # What was accepted in this turn of the loop first reaches `_serve`: asyncio would leave it open for ever.
        asyncio.get_running_loop().remove_reader(self._server.sockets[0].fileno())
        for _turn in range(_TURNS_TO_SERVE):
            await asyncio.sleep(0)
        self._server.close()
        while self._serving:
            # Not cancelled: the streams of Python 3.11 log that as an error of theirs.
            self.reset()
            await asyncio.wait(self._serving, timeout=0.05)

    @property
    def open_connections(self) -> int:
        """Those that are not cut."""
        return len(self._connections)

    def reset(self) -> None:
        """Cut every connection with a RST to both sides."""
        for connection in list(self._connections):
            connection.end(Ending.RESET)

    async def _serve(self, from_node: asyncio.StreamReader, to_node: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        self.accepted_s.append(asyncio.get_running_loop().time())
        with contextlib.suppress(OSError):
            try:
                from_hub, to_hub = await asyncio.open_connection("127.0.0.1", self._hub_port)
            except OSError:
                to_node.transport.abort()  # there is no hub: the node is to hear of it
                return
            connection = _Connection(to_node, to_hub)
            if self.is_refusing:
                connection.end(Ending.RESET)
                return
            self._connections.add(connection)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass(connection, Way.TO_HUB, from_node, to_hub))
                    both.create_task(self._pass(connection, Way.TO_NODE, from_hub, to_node))
            finally:
                self._connections.discard(connection)
                if connection.cut is not None and not connection.is_cut:
                    self._cuts.appendleft(connection.cut)
                for writer in (to_hub, to_node):
                    writer.close()

    async def _pass(
        self, connection: _Connection, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while True:
                limit = self._left(connection, way)
                most = min(_CHUNK_BYTES, int(self.bytes_per_s.get(way, _CHUNK_BYTES)))
                data = await reader.read(most if limit is None else max(1, min(limit, most)))
                if not data:
                    break
                if self.latency_ms:
                    await asyncio.sleep(self.latency_ms / 1_000)
                if way in self.bytes_per_s:
                    await asyncio.sleep(len(data) / self.bytes_per_s[way])
                if connection.is_silent or way in self.silent:
                    continue
                if limit is not None and limit <= 0:
                    assert connection.cut is not None
                    connection.is_cut = True
                    self.cuts_done += 1
                    connection.end(connection.cut.ending)
                    if connection.cut.ending is Ending.HALF_OPEN:
                        continue
                    return
                writer.write(self._damaged(data, way, connection.passed[way]))
                connection.passed[way] += len(data)
                self.passed_bytes[way] += len(data)
                await writer.drain()
        if not connection.is_silent:
            for each in (connection.hub, connection.node):
                each.close()

    def _damaged(self, data: bytes, way: Way, passed_bytes: int) -> bytes:
        every = self.flipped.get(way)
        if every is None or (passed_bytes + len(data)) // every == passed_bytes // every:
            return data
        at = every - 1 - passed_bytes % every
        return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]

    def _left(self, connection: _Connection, way: Way) -> int | None:
        """How many bytes may pass before the cut; None: no cut is planned here."""
        if connection.cut is None and self._cuts:
            connection.cut = self._cuts.popleft()
        cut = connection.cut
        return None if cut is None or cut.way is not way else cut.after_bytes - connection.passed[way]
