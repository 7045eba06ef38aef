"""Workers that record, an agent that ships and a hub that stores, as far as a spool's files are concerned.

Everything runs in simulated time over a lossy disk; what comes out is the disk's journal, in which it is noted what
was acknowledged and what the hub had stored by then.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fault_disk import LossyFiles, Odds
from fault_seeds import Random
from fault_time import simulate
from spool_world import event, preference

from edge.node.layout import NodePaths, ProducerKey, producer_of
from edge.spool.reader import LOST, SpoolReader
from edge.spool.writer import SpoolWriter
from edgewise.errors import UnavailableError
from edgewise.ids import NodeId, Producer, producer
from edgewise.records import EventRecord, GapRecord, PreferenceRecord
from hub.ledger.batch import Batch, Placed, follow, place

NODE = NodeId("n-lab")
LATENCY_MS = 20.0


class StoringHub:
    """The hub's own rules on what follows on what, without its database."""

    def __init__(self, stored: dict[Producer, list[Placed]] | None = None) -> None:
        self.stored = {name: list(placed) for name, placed in (stored or {}).items()}

    def mark(self, name: Producer) -> int:
        placed = self.stored.get(name)
        last = placed[-1].last_seq if placed else -1
        assert last is not None
        return last

    def store(self, name: Producer, records: list[bytes]) -> int:
        followed = follow(place(Batch(name, records)), self.mark(name))
        self.stored.setdefault(name, []).extend(followed.accepted)
        return followed.mark


class Written(NamedTuple):
    """A history that has been."""

    disk: LossyFiles
    records: dict[tuple[Producer, int], EventRecord | PreferenceRecord]
    hub: StoringHub
    """At the end. What it had stored earlier is the beginning of it."""
    closed: dict[Producer, tuple[int, int]]
    """Producers that ended in peace: how many records they numbered and dropped."""


class _Worker:
    def __init__(self, history: History, epoch: int) -> None:
        self._history = history
        self.name = producer(NODE, epoch, 0)
        random = history.random
        self.spool = SpoolWriter(
            history.paths.producer(epoch, 0),
            producer=self.name,
            most_bytes=random.choice([3_000, 1 << 20]),
            segment_bytes=random.choice([1, 400, 1_200]),
            files=history.disk,
        )
        self._tasks = [asyncio.create_task(self._visit()) for _ in range(random.randint(1, 3))]
        self._upkeep = asyncio.create_task(self._keep_up())

    async def live(self) -> None:
        """Record until all visitors have gone, then end in peace, or be killed before."""
        if self._history.random.random() < 0.5:
            await asyncio.sleep(self._history.random.random() * 0.3)
            self.kill()
            return
        await asyncio.gather(*self._tasks)
        self._upkeep.cancel()
        await self._peace()
        spool, history = self.spool, self._history
        if not spool.is_synced():
            self.kill()  # the disk fails to the end
            return
        await spool.close()
        history.closed[self.name] = (spool.next_seq, spool.dropped)

    async def _peace(self) -> None:
        for _ in range(20):
            with contextlib.suppress(UnavailableError):
                await self.spool.measure()
                await self.spool.settle()
                if self.spool.is_synced():
                    return
            await asyncio.sleep(LATENCY_MS / 1_000)

    def kill(self) -> None:
        """SIGKILL: nothing more is written, and the kernel closes what was open."""
        for task in (*self._tasks, self._upkeep):
            task.cancel()
        kill_spool(self.spool, self._history.disk)

    async def _visit(self) -> None:
        random, spool, history = self._history.random, self.spool, self._history
        for _ in range(random.randint(1, 15)):
            await asyncio.sleep(random.random() * 0.05)
            seq, is_statement = spool.next_seq, random.random() < 0.1
            record = (
                preference(seq, name=self.name)
                if is_statement
                else event(seq, size=random.randrange(300), name=self.name)
            )
            history.records[self.name, seq] = record
            if spool.append(record) is None or random.random() < 0.3:
                continue  # dropped, or an exposure that nobody waits for
            with contextlib.suppress(UnavailableError):
                await spool.commit(seq)
                history.disk.note("acknowledged", self.name, seq)

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            with contextlib.suppress(UnavailableError):
                await self.spool.measure()
                await self.spool.settle()


class History:
    """A node's life, by seed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = Random(seed)
        self.paths = NodePaths(folder)
        self.paths.create()
        odds = Odds()
        if self.random.random() < 0.5:
            odds = Odds(append=0.1, short=0.7, truncate=0.5, sync=0.1, folder=0.05, create=0.03)
        self.disk = LossyFiles(self.paths.spool, self.random, odds)
        self.records: dict[tuple[Producer, int], EventRecord | PreferenceRecord] = {}
        self.hub = StoringHub()
        self.closed: dict[Producer, tuple[int, int]] = {}

    def run(self) -> Written:
        simulate(self._run, self.random)
        return Written(self.disk, self.records, self.hub, self.closed)

    async def _run(self) -> None:
        shipping = asyncio.create_task(self._ship())
        for epoch in range(1, self.random.randint(2, 4)):
            try:
                worker = _Worker(self, epoch)
            except OSError:
                continue  # it dies at its start, and the supervisor starts another
            await worker.live()
        shipping.cancel()

    async def _ship(self) -> None:
        readers: dict[ProducerKey, SpoolReader] = {}
        is_slow = self.random.random() < 0.3
        while True:
            await asyncio.sleep(self.random.random() * LATENCY_MS / 1_000 * (10 if is_slow else 1))
            for reader in _found(self.paths.spool, readers, self.disk):
                batch = reader.read()
                if batch is not None:
                    await asyncio.sleep(self.random.random() * LATENCY_MS / 1_000)
                    name = producer(NODE, reader.key.epoch, reader.key.worker)
                    mark = self.hub.store(name, batch.records)
                    self.disk.note("stored", name, len(self.hub.stored[name]))
                    if self.random.random() < 0.1:
                        mark = reader.next_seq - len(batch.records) - 1  # the answer is lost: as if it was all to do
                    reader.seek(max(mark, batch.first_seq - 1) + 1)
                    reader.acknowledge(max(mark, batch.first_seq - 1))
                elif reader.is_exhausted:
                    reader.acknowledge(reader.next_seq - 1)
                if reader.is_gone:
                    del readers[reader.key]


def kill_spool(spool: SpoolWriter, disk: LossyFiles) -> None:
    """What is left of a writer after SIGKILL: nothing runs, nothing is open."""
    if spool._round is not None:
        spool._round.cancel()
    for descriptor in spool.descriptors:
        disk.close(descriptor)


def shipped(spool: Path, hub: StoringHub) -> int:
    """What an agent that is started after everybody else died makes of a spool; how many numbers it calls lost.

    Raises AssertionError where something would be left lying for ever.
    """
    lost = 0
    readers: dict[ProducerKey, SpoolReader] = {}
    for reader in _found(spool, readers, None):
        name = producer(NODE, reader.key.epoch, reader.key.worker)
        mark = hub.mark(name)
        reader.seek(mark + 1)
        while not reader.is_exhausted:
            batch = reader.read()
            if batch is None:
                break
            mark = hub.store(name, batch.records)
            reader.seek(mark + 1)
        assert reader.is_exhausted, f"{reader.folder.name} is taken for a living producer's"
        reader.acknowledge(max(mark, reader.next_seq - 1))
        assert reader.is_gone
        lost += reader.records_lost
    return lost


def numbers(placed: list[Placed]) -> list[int]:
    """Every number that is stored or declared, in the order of storing."""
    found: list[int] = []
    for one in placed:
        assert one.first_seq is not None
        assert one.last_seq is not None
        found += range(one.first_seq, one.last_seq + 1)
    return found


def declared_lost(placed: list[Placed]) -> int:
    """How many numbers only the reader missed, not their producer."""
    return sum(len(numbers([one])) for one in placed if isinstance(one.record, GapRecord) and one.record.lane == LOST)


def _found(spool: Path, known: dict[ProducerKey, SpoolReader], disk: LossyFiles | None) -> Iterator[SpoolReader]:
    for folder in sorted(spool.iterdir()):
        key = producer_of(folder.name)
        if key is not None and key not in known:
            known[key] = SpoolReader(folder, key, NODE, disk)
    yield from list(known.values())
