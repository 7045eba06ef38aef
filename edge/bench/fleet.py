"""Keeps a number of connections open, most of them idle, as a node in front of browsers has them."""

from __future__ import annotations

import asyncio
import os
import resource
import ssl
from collections import deque
from typing import Final

from edge.bench.connection import Connection, Owner
from edge.bench.http1 import Target
from edgewise.errors import UnavailableError

SPARE_FILES: Final = 64
AT_ONCE: Final = 256
"""Connections that are being opened at the same time: less than any sensible backlog."""
CONNECT_TIMEOUT_S: Final = 10.0
RETRY_S: Final = 0.2


class Fleet:
    """All connections of a run; the ones that close are opened again."""

    def __init__(self, target: Target, count: int, owner: Owner) -> None:
        self.reopened = 0
        """How often a connection was opened again."""
        self._target = target
        self._count = count
        self._owner = owner
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._idle: deque[Connection] = deque()
        self._all: set[Connection] = set()
        self._tls = ssl.create_default_context() if target.is_tls else None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def open(self) -> None:
        """Open all of them.

        Raises:
            UnavailableError: not all can be opened; with the reason of the first that could not.
        """
        _allow_files(self._count + SPARE_FILES)
        failed: list[str] = []

        async def one() -> None:
            async with self._gate:
                if failed:
                    return
                try:
                    self.free(await self._connect())
                except (OSError, TimeoutError) as refused:
                    failed.append(_said(refused))

        await asyncio.gather(*(one() for _ in range(self._count)))
        if failed:
            what = f"only {len(self._all):,} of {self._count:,} connections opened" if self._all else "cannot connect"
            raise UnavailableError(f"{self._target.url}: {what}: {failed[0]}")

    @property
    def open_count(self) -> int:
        """How many are open now."""
        return len(self._all)

    def take(self) -> Connection | None:
        """The connection that has been idle for longest, None when all are busy."""
        while self._idle:
            connection = self._idle.popleft()
            if connection.is_open:
                return connection
        return None

    def take_freshest(self) -> Connection | None:
        """The connection that was used or opened last: what closes idle ones has the least against it."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    def free(self, connection: Connection) -> None:
        """Give a connection back."""
        self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """Open another for one that closed."""
        self._all.discard(connection)
        if not self._closing:
            task = asyncio.get_running_loop().create_task(self._replace())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Close everything."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self._all):
            connection.give_up()
        await asyncio.sleep(0)  # lets the transports close their sockets

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, connection = await loop.create_connection(
                lambda: Connection(self._owner), self._target.host, self._target.port, ssl=self._tls
            )
        self._all.add(connection)
        return connection

    async def _replace(self) -> None:
        self.reopened += 1
        while not self._closing:
            try:
                async with self._gate:
                    connection = await self._connect()
            except (OSError, TimeoutError):
                await asyncio.sleep(RETRY_S)
            else:
                self._owner.opened(connection)
                return


def _allow_files(needed: int) -> None:
    """Raise the soft limit of open files as far as needed.

    Raises:
        UnavailableError: the hard limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise UnavailableError(f"{needed:,} open files are needed, this machine allows {hard:,}: see `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _said(refused: BaseException) -> str:
    if isinstance(refused, TimeoutError):
        return f"no answer within {CONNECT_TIMEOUT_S:g} s"
    number = getattr(refused, "errno", None)
    return os.strerror(number) if isinstance(number, int) and number > 0 else str(refused)
