"""The agent's one connection to the hub: opened, watched, renewed.

Every stream of the agent runs in `Link.keep`, which opens it again after it ended, however that was. What is known
of grpcio (see `reconnect` below) decides the shape: streams end by a message, nothing cancels a read, and a
connection that keeps failing is thrown away whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import grpc

from edge.agent.state import AgentState
from edge.backoff import Backoff, Draw, pause
from edge.log import Log
from edge.settings import EdgeSettings

FAILURES_BEFORE_RENEWAL: Final = 5
"""A channel that failed so often in a row is replaced: a client that keeps asking on an old one may leak
(grpc/grpc#38499), and its own back-off grows beyond ours."""
CLOSE_PATIENCE_S: Final = 2.0


class Line(NamedTuple):
    """An open connection, and what every call on it must show."""

    channel: Any
    """`grpc.aio.Channel`; the generated stubs have no types."""
    metadata: tuple[tuple[str, str], ...]
    """The node's token, if it has one; a hub that other machines can reach asks for it at every call."""


OpenChannel = Callable[[str, EdgeSettings], Any]
Session = Callable[[Line, Callable[[], None]], Awaitable[None]]
"""One stream from its start to its end; calls its second argument whenever the hub was heard."""


class Link:
    """Belongs to one event loop: several in one process make grpc.aio fail (grpc/grpc#25364)."""

    def __init__(
        self,
        settings: EdgeSettings,
        state: AgentState,
        *,
        draw: Draw,
        log: Log,
        open_channel: OpenChannel | None = None,
    ) -> None:
        """`open_channel` stands in for gRPC where a network is simulated."""
        assert settings.hub is not None
        self._target = settings.hub
        self._settings = settings
        self._state = state
        self._draw = draw
        self._log = log
        self._failures = 0
        self._is_refused = False
        """The hub does not accept this node's token; all three streams hear it, and one of them logs it."""
        self._metadata = (("authorization", f"Bearer {settings.enrol_token}"),) if settings.enrol_token else ()
        self._open_channel = _open if open_channel is None else open_channel
        self._channel = self._open_channel(self._target, settings)
        self.stopping = asyncio.Event()

    @property
    def line(self) -> Line:
        """The connection that is in use."""
        return Line(self._channel, self._metadata)

    async def keep(self, name: str, session: Session) -> None:
        """Run a stream again and again until `stopping` is set."""
        backoff = Backoff(self._settings.reconnect_ms, self._settings.reconnect_most_ms, self._draw)
        quiet = False

        def heard() -> None:
            nonlocal quiet
            quiet = False
            backoff.reset()
            self._failures = 0
            self._is_refused = False
            self._state.heard()

        while not self.stopping.is_set():
            line = self.line
            try:
                await session(line, heard)
                detail = "the hub ended the stream"
            except asyncio.CancelledError:
                # grpc.aio reports a stream that was cancelled, by us or by a failing request iterator, as if this task
                # had been.
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                detail = "the stream was cancelled"
            except grpc.aio.UsageError:
                # Another stream had the channel thrown away just when this one called: as if the connection was lost.
                detail = "the connection was being renewed"
            except grpc.aio.AioRpcError as failed:
                detail = f"{failed.code().name}: {failed.details()}"
                if failed.code() is grpc.StatusCode.UNAUTHENTICATED:
                    quiet = quiet or self._is_refused
                    self._is_refused = True
            if self.stopping.is_set():
                return
            self._state.trouble(f"{name}: {detail}")
            if not quiet:  # once an outage, not once an attempt
                self._log.warning("stream ended", stream=name, detail=detail)
                quiet = True
            await self._failed(line.channel)
            await pause(self.stopping, backoff.next_ms())

    async def close(self) -> None:
        """Close the connection; whatever stream has not ended by itself is cut off after a moment."""
        await self._channel.close(CLOSE_PATIENCE_S)

    async def _failed(self, channel: grpc.aio.Channel) -> None:
        if channel is not self._channel:
            return  # another stream has renewed it meanwhile
        self._failures += 1
        if self._failures >= FAILURES_BEFORE_RENEWAL:
            self._failures = 0
            self._channel = self._open_channel(self._target, self._settings)
            await channel.close()


def _open(target: str, settings: EdgeSettings) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(
        target,
        options=[
            # A half-open connection is found within 40 s. The hub must allow it: its default of one ping in five
            # minutes answers with ENHANCE_YOUR_CALM.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            # By itself the line above does nothing: what an unanswered ping costs is this, and its default is a minute.
            ("grpc.http2.ping_timeout_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
            # gRPC's own pauses lie below ours, so that ours decide.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", settings.reconnect_most_ms),
            ("grpc.enable_http_proxy", 0),
        ],
    )
