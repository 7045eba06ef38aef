"""One keep-alive connection with at most one request on its way."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol, cast

from typing_extensions import override

from edge.bench.http1 import FramingError, Reply, ReplyReader
from edge.bench.visits import Ask


class Sent:
    """A request on its way. Times are seconds of `time.perf_counter()`."""

    __slots__ = ("ask", "intended_s", "is_retry", "reply", "sent_s")

    def __init__(self, ask: Ask, intended_s: float, sent_s: float, reply: asyncio.Future[Reply] | None = None) -> None:
        """`reply` is for who waits for this very answer, outside of any schedule."""
        self.ask = ask
        self.intended_s = intended_s
        self.sent_s = sent_s
        self.reply = reply
        self.is_retry = False


class Owner(Protocol):
    """Who is told what becomes of a connection."""

    def opened(self, connection: Connection) -> None:
        """One that had closed is open again, and free."""
        ...

    def answered(self, connection: Connection, sent: Sent, reply: Reply, now_s: float) -> None:
        """An answer is whole; the connection is free when `reply.keep_alive`, else about to close."""
        ...

    def broke(self, connection: Connection, sent: Sent, why: str, now_s: float, *, is_untouched: bool) -> None:
        """No answer will come here; `is_untouched`: the other side closed before it said anything."""
        ...

    def lost(self, connection: Connection) -> None:
        """It is closed."""
        ...


class Connection(asyncio.Protocol):
    """Sends and reads; everything that is decided is decided by its owner."""

    __slots__ = ("_owner", "_reader", "is_open", "sent", "transport")

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._reader = ReplyReader()
        self.transport: asyncio.Transport | None = None
        self.sent: Sent | None = None
        self.is_open = False

    def send(self, sent: Sent) -> None:
        """Send a request; there must be none on its way."""
        assert self.transport is not None
        self.sent = sent
        self.transport.write(sent.ask.data)

    def give_up(self) -> None:
        """Close at once, without another word to the owner about the request on its way."""
        self.sent = None
        self.is_open = False
        if self.transport is not None:
            self.transport.abort()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.is_open = True

    @override
    def data_received(self, data: bytes) -> None:
        if not self.is_open:
            return
        try:
            reply = self._reader.feed(data)
        except FramingError as broken:
            self._fail(f"no HTTP answer: {broken}")
            return
        if reply is not None:
            self._finish(reply)

    @override
    def eof_received(self) -> None:
        reply = self._reader.close()
        if reply is not None:
            self._finish(reply)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self.sent is not None:
            self._fail("connection lost", is_untouched=self._reader.is_empty)
        self._owner.lost(self)

    def _finish(self, reply: Reply) -> None:
        now_s = time.perf_counter()
        sent, self.sent = self.sent, None
        if sent is None:
            self._fail("unasked bytes")
            return
        if not reply.keep_alive:
            self.is_open = False
            assert self.transport is not None
            self.transport.close()
        self._owner.answered(self, sent, reply, now_s)

    def _fail(self, why: str, *, is_untouched: bool = False) -> None:
        sent = self.sent
        self.give_up()
        if sent is not None:
            self._owner.broke(self, sent, why, time.perf_counter(), is_untouched=is_untouched)
