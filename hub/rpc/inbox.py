"""Group commit: batches of all streams that arrive while one transaction runs are stored together by the next.

One commit costs a disk flush however much it holds, so this is what lets a thousand nodes report at once, and it adds
no waiting of its own: an idle inbox stores a batch the moment that it comes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, NamedTuple

from edgewise.clock import Clock
from edgewise.errors import EdgewiseError
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger
from hub.ledger.writing import Mark, Stored
from hub.log import Log
from hub.meters import Meters

MOST_RECORDS: Final = 4_000
"""In one transaction; about 0.2 s of work, for which a click may have to wait."""


class _Waiting(NamedTuple):
    batch: Batch
    bytes: int
    answer: asyncio.Future[Mark]


class Inbox:
    """Where batches wait to be stored. Belongs to one event loop; the ledger is written in `writer`."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        writer: Executor,
        *,
        most_bytes: int,
        on_stored: Callable[[Stored], None],
        meters: Meters,
        log: Log,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._writer = writer
        self._most_bytes = most_bytes
        self._on_stored = on_stored
        self._meters = meters
        self._log = log
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._changed = asyncio.Condition()

    async def put(self, batch: Batch) -> asyncio.Future[Mark]:
        """Hand in a batch; the future holds its producer's mark once that is durable.

        Waits while too much is waiting. The future raises EdgewiseError when the ledger refused.
        """
        answer: asyncio.Future[Mark] = asyncio.get_running_loop().create_future()
        size = sum(map(len, batch.payloads)) + 64
        async with self._changed:
            # a single batch always gets in, whatever its size: gRPC bounds that
            await self._changed.wait_for(lambda: self._bytes == 0 or self._bytes + size <= self._most_bytes)
            self._waiting.append(_Waiting(batch, size, answer))
            self._bytes += size
            self._changed.notify_all()
        self._meters.inbox_bytes.set(self._bytes)
        return answer

    async def run(self) -> None:
        """Store until cancelled."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: bool(self._waiting))
                taken = self._take()
            await self._store(taken)
            async with self._changed:
                self._bytes -= sum(one.bytes for one in taken)
                self._changed.notify_all()
            self._meters.inbox_bytes.set(self._bytes)

    def _take(self) -> list[_Waiting]:
        taken = [self._waiting.popleft()]
        records = len(taken[0].batch.payloads)
        while self._waiting and records + len(self._waiting[0].batch.payloads) <= MOST_RECORDS:
            taken.append(self._waiting.popleft())
            records += len(taken[-1].batch.payloads)
        return taken

    async def _store(self, taken: list[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        batches = [one.batch for one in taken]
        try:
            with self._meters.store_seconds.time():
                stored = await loop.run_in_executor(self._writer, self._ledger.store, batches, self._clock.now_ms())
        except EdgewiseError as refused:
            self._log.error("records not stored", reason=str(refused), batches=len(taken))
            for one in taken:
                _refuse(one, refused)
        except Exception as unforeseen:  # noqa: BLE001  # one stream's batch must not stop everybody's
            if len(taken) == 1:
                self._log.error("batch not stored", producer=taken[0].batch.producer, exc_info=unforeseen)
                _refuse(taken[0], EdgewiseError(f"the hub could not store this batch: {unforeseen}"))
            for one in taken if len(taken) > 1 else ():
                await self._store([one])
        else:
            self._finish(taken, stored)

    def _finish(self, taken: list[_Waiting], stored: Stored) -> None:
        for one, mark in zip(taken, stored.marks, strict=True):
            if not one.answer.done():  # its stream may have ended meanwhile
                one.answer.set_result(mark)
            if mark.hole is not None:
                self._meters.holes.inc()
        for table, count in stored.counts.items():
            self._meters.ingested.labels(table).inc(count)
        self._on_stored(stored)


def _refuse(one: _Waiting, why: EdgewiseError) -> None:
    if not one.answer.done():
        one.answer.set_exception(why)
        one.answer.exception()  # seen: asyncio would complain about the answer of a stream that has ended
