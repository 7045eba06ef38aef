"""What a worker does between requests: makes exposures durable, flushes, follows the bundle, says how it is."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Awaitable, Callable
from typing import Final

import lmdb

from edge.node.status import INTERVAL_MS
from edge.profiles.cache_file import CacheError
from edge.profiles.readers import ALARM_MS
from edge.worker.desk import Desk
from edge.worker.routes.why import FLUSH_MS
from edgewise.errors import UnavailableError

SYNC_MS: Final = 50
"""Exposures are durable at the latest after this time; a power loss costs at most so many of them."""
ASK_MS: Final = 5
"""How long wanted profiles are gathered before the hub is asked: one cache write for all of a burst."""
MEASURE_MS: Final = 1_000
READER_CHECK_MS: Final = 30_000
MEND_MS: Final = 250
"""A cache that turns out to be damaged is left behind after this time, by all processes of the node."""
CODES_MS: Final = 100
"""How soon numbers in hand are filled up; a look without anything to do is a stat."""

Step = Callable[[], Awaitable[None]]


class Upkeep:
    """The background of one worker."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._troubles: set[str] = set()

    async def run(self) -> None:
        """All of it, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for every_ms, step in (
                (SYNC_MS, self._sync),
                (FLUSH_MS, self._flush),
                (INTERVAL_MS, self._tell),
                (MEASURE_MS, self._desk.spool.measure),
                (READER_CHECK_MS, self._check_readers),
                (MEND_MS, self._mend),
                (CODES_MS, self._stock_codes),
                *([(self._desk.settings.segment_most_ms, self._turn_over)] if self._desk.has_hub else []),
            ):
                group.create_task(self._repeat(every_ms, step), name=f"{step.__name__} every {every_ms} ms")
            group.create_task(self._ask(), name="ask for wanted profiles")
            group.create_task(self._desk.live.follow(self._swapped), name="follow the bundle")
            group.create_task(self._desk.live.follow_facts(), name="follow the live facts")

    async def _repeat(self, every_ms: int, step: Step) -> None:
        while True:
            await asyncio.sleep(every_ms / 1_000)
            try:
                await step()
            except (UnavailableError, OSError, lmdb.Error) as trouble:
                self._log_once(step.__name__, str(trouble))
            else:
                self._troubles.discard(step.__name__)

    def _log_once(self, what: str, detail: str) -> None:
        """A trouble is worth one line when it begins, not one every 50 ms."""
        if what not in self._troubles:
            self._troubles.add(what)
            self._desk.log.error("upkeep fails and is tried again", what=what, detail=detail)

    async def _sync(self) -> None:
        if not self._desk.spool.is_synced():
            await self._desk.spool.settle()

    async def _turn_over(self) -> None:
        self._desk.spool.turn_over()

    async def _flush(self) -> None:
        try:
            self._desk.flush()
        except CacheError:
            self._desk.counts.failed("cache")
            raise

    async def _ask(self) -> None:
        while True:
            await self._desk.asking.wait()
            await asyncio.sleep(ASK_MS / 1_000)
            self._desk.asking.clear()
            # What fails here waits for the next regular flush, which says so.
            with contextlib.suppress(CacheError):
                self._desk.flush()

    async def _tell(self) -> None:
        self._desk.condition.look()
        await asyncio.to_thread(self._desk.spoken())

    async def _check_readers(self) -> None:
        """Give back what killed processes held, and tell of who holds on: a stuck reader keeps pages from being used.

        Raises:
            UnavailableError: somebody is stuck.
        """
        desk = self._desk
        try:
            ages_ms = desk.readers.look(desk.clock.monotonic_ms())
        except lmdb.Error as wrong:
            desk.cache.file.note(wrong)
            return
        desk.oldest_reader_ms = max(ages_ms.values(), default=0.0)
        stuck = {reader.pid for reader, age_ms in ages_ms.items() if age_ms >= ALARM_MS}
        if stuck:
            raise UnavailableError(f"processes {sorted(stuck)} read the profile cache for more than {ALARM_MS} ms")

    async def _mend(self) -> None:
        """Open the cache anew where it turned out to be damaged, and take in again what the spool knows."""
        desk = self._desk
        if desk.cache.file.mend():
            desk.log.error("the profile cache was opened anew", generation=desk.cache.file.generation)
        desk.cache.cleanse()
        if not desk.has_hub:  # else the agent does
            await asyncio.to_thread(desk.cache.scrub)
        if desk.cache.is_unrecalled():
            # Beside the loop: the spool may be large. No other step closes the file meanwhile, only this one.
            await asyncio.to_thread(desk.recall)

    async def _stock_codes(self) -> None:
        await self._desk.stock_codes()

    def _swapped(self) -> None:
        """At once, not with the next turn: the agent waits for it before it tells the hub."""
        # What a bundle is made of stays until the next one; the collector need not look at it again and again.
        gc.freeze()
        with contextlib.suppress(OSError):
            self._desk.tell()
