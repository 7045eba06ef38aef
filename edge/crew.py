"""The workers of a node: each is started again when it ends, and all are replaced one after the other on demand.

A successor listens at the same socket and answers before its predecessor is told to leave, so at no moment there is
nobody at the door.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final, NamedTuple

from edge.backoff import pause
from edge.door import Door
from edge.log import Log
from edge.node.layout import SEATS
from edge.node.status import WorkerStatus, read_last_status, read_status
from edge.process import Process
from edge.settings import EdgeSettings
from edgewise.clock import Clock
from edgewise.errors import UnavailableError

MOST_FAILED_STARTS: Final = 5
MOST_FAILED_SUCCESSIONS: Final = 2
"""There is somebody who serves meanwhile, so nobody needs to insist."""
SUCCESSOR_PATIENCE_MS: Final = 60_000
"""A successor that does not answer by then will not."""
HANDSHAKE_MS: Final = 500
"""In which a connection that has begun is made."""
_POLL_S: Final = 0.02

OnEnd = Callable[[Process, int], Awaitable[None]]
"""Told which process ended and how (negative: the signal), before it is started again."""


class Member(NamedTuple):
    """Who works at a seat."""

    seat: int
    process: Process


class Crew:
    """Belongs to one event loop."""

    def __init__(
        self, settings: EdgeSettings, door: Door, *, clock: Clock, log: Log, on_end: OnEnd, stopping: asyncio.Event
    ) -> None:
        """`settings` say where the door is. Nothing waits on when `stopping` is set."""
        self._settings = settings
        self._paths = settings.paths
        self._door = door
        self._clock = clock
        self._log = log
        self._on_end = on_end
        self._stopping = stopping
        self._members: dict[int, Member] = {worker: self._hire(worker, worker) for worker in range(settings.workers)}
        self._leaving: dict[int, Member] = {}
        """By worker: its predecessor, or a successor that does not answer yet."""

    def processes(self) -> Iterator[Process]:
        """All that run, or are to run."""
        for member in (*self._members.values(), *self._leaving.values()):
            yield member.process

    def start(self) -> None:
        """All of them."""
        for worker, member in self._members.items():
            self._start(worker, member)

    async def listen(self) -> None:
        """Wait until all answer, or the node is stopped.

        Raises:
            UnavailableError: one ends again and again.
        """
        for member in self._members.values():
            await self._listens(member, most_failures=MOST_FAILED_STARTS)

    async def stop(self) -> None:
        """Let all finish what they have begun."""
        patience_ms = self._settings.drain_timeout_ms
        await asyncio.gather(*(process.stop(patience_ms) for process in self.processes()))

    async def replace(self, settings: EdgeSettings) -> None:
        """One after the other by a process under other settings; more or fewer of them, if these say so.

        Raises:
            UnavailableError: a successor does not start. All work under the settings before.
        """
        before, replaced = self._settings, 0
        try:
            for worker in range(settings.workers):
                await self._succeed(worker, settings)
                replaced += 1
        except UnavailableError:
            for worker in range(min(replaced, before.workers)):
                await self._succeed(worker, before)
            await self._dismiss(before.workers)
            raise
        self._settings = settings
        await self._dismiss(settings.workers)

    async def _succeed(self, worker: int, settings: EdgeSettings) -> None:
        if self._stopping.is_set():
            return
        old = self._members.get(worker)
        new = self._hire(worker, worker if old is None or old.seat != worker else worker + SEATS, settings)
        self._leaving[worker] = new
        self._start(worker, new)
        try:
            await self._listens(new, most_failures=MOST_FAILED_SUCCESSIONS, most_ms=SUCCESSOR_PATIENCE_MS)
        except UnavailableError:
            await new.process.stop(settings.drain_timeout_ms)
            del self._leaving[worker]
            raise
        self._members[worker] = new
        del self._leaving[worker]
        if old is not None:
            self._leaving[worker] = old
            await old.process.stop(self._settings.drain_timeout_ms)
            del self._leaving[worker]

    async def _dismiss(self, first: int) -> None:
        """Who is beyond the number that is wanted, and has no successor to take over those at the door."""
        door, most_ms = self._door, self._settings.drain_timeout_ms
        for worker in [worker for worker in self._members if worker >= first]:
            started_ms = self._clock.monotonic_ms()
            door.turn_away(worker)
            is_told = await pause(self._stopping, HANDSHAKE_MS)
            while not is_told and not door.is_empty(worker) and self._clock.monotonic_ms() - started_ms < most_ms:
                is_told = await pause(self._stopping, _POLL_S * 1_000)
            door.give_up(worker)
            await self._members[worker].process.stop(most_ms)
            del self._members[worker]

    def _hire(self, worker: int, seat: int, settings: EdgeSettings | None = None) -> Member:
        descriptor = self._door.descriptor(worker)
        process = Process.under(
            settings or self._settings,
            f"worker-{worker}",
            "edge.worker.run",
            *("--index", str(seat), "--listen", str(descriptor)),
            clock=self._clock,
            log=self._log,
            descriptors=[descriptor],
            has_worked=partial(self._has_answered, seat),
        )
        return Member(seat, process)

    def _has_answered(self, seat: int, pid: int) -> bool:
        status = read_last_status(self._paths.worker_status(seat), WorkerStatus)
        return status is not None and status.pid == pid and status.listening

    def _start(self, worker: int, member: Member) -> None:
        self._paths.worker_status(member.seat).unlink(missing_ok=True)
        member.process.start(partial(self._ended, worker, member.process))

    async def _ended(self, worker: int, process: Process, code: int) -> None:
        if worker not in self._leaving:  # otherwise somebody is still at the door
            try:
                self._door.renew(worker, waits=not any(map(self._answers, self._members.values())))
            except OSError as failed:
                self._log.error(
                    "visitors wait for a worker to be started again", child=process.name, detail=str(failed)
                )
        await self._on_end(process, code)

    def _answers(self, member: Member) -> bool:
        status = read_status(self._paths.worker_status(member.seat), WorkerStatus)
        return status is not None and status.listening and status.pid == member.process.pid

    async def _listens(self, member: Member, *, most_failures: int, most_ms: float | None = None) -> None:
        process, started_ms = member.process, self._clock.monotonic_ms()
        while not self._stopping.is_set():
            if self._answers(member):
                return
            if process.failures >= most_failures:
                raise UnavailableError(
                    f"{process.name} does not start: it ended {process.failures} times, "
                    f"last with {ending(process.last_code)}; its log says why"
                )
            if most_ms is not None and self._clock.monotonic_ms() - started_ms > most_ms:
                raise UnavailableError(f"{process.name} does not answer {most_ms / 1_000:.0f} s after its start")
            await asyncio.sleep(_POLL_S)


def ending(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None or code >= 0:
        return f"exit code {code}"
    return f"signal {signal.Signals(-code).name}"
