"""A node in simulated time: workers that take events, an agent that ships them, a profile cache, a disk that may fail.

The real spool, uplink, sync and cache; of a worker only what it does with an event, without HTTP and decisions.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from agent_world import log, settings_of
from fault_disk import LossyFiles, Odds
from fault_network import Network
from fault_seeds import Random
from fault_spool import kill_spool
from fault_time import LoopClock
from hub_records import decision, event, preference

from edge.agent.link import Link
from edge.agent.profile_sync import ProfileSync
from edge.agent.state import AgentState
from edge.agent.uplink import Uplink
from edge.node.epochs import next_epoch
from edge.node.layout import NodePaths
from edge.profiles.cache import ProfileCache
from edge.profiles.cache_file import Txn
from edge.profiles.recent import RecentMessages
from edge.spool.writer import SpoolFullError, SpoolWriter
from edgewise.errors import UnavailableError
from edgewise.ids import MessageId, NodeId, Producer, SubjectId, producer
from edgewise.profile.reduce import touches_profile
from edgewise.records import DecisionRecord, EventRecord, PreferenceRecord

Written = EventRecord | DecisionRecord | PreferenceRecord
MAP_BYTES = 4 << 20


class Worker:
    """One process of a node, as far as it takes events: the order of steps is `edge.worker.reception`'s."""

    def __init__(self, node: Node, index: int) -> None:
        self._node = node
        self.epoch = next_epoch(node.paths)
        self.name = producer(node.id, self.epoch, index)
        self.spool = SpoolWriter(
            node.paths.producer(self.epoch, index),
            producer=self.name,
            most_bytes=node.most_spool_bytes,
            segment_bytes=600,
            on_synced=node.spool_bell.set,
            files=node.disk,
        )
        self._running: dict[asyncio.Task[Any], None] = {}
        self.is_alive = True
        self._upkeep = self.does(self._keep_up())

    def does(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Work of this process: it ends when the process does."""
        task = asyncio.create_task(work)
        self._running[task] = None
        task.add_done_callback(lambda done: self._running.pop(done, None))
        return task

    def kill(self) -> None:
        """SIGKILL; once is enough."""
        if not self.is_alive:
            return
        self.is_alive = False
        if self.spool._gap is not None:
            self._node.undeclared[self.name] = self.spool._gap[0]
        for task in list(self._running):
            task.cancel()
        kill_spool(self.spool, self._node.disk)

    async def take(self, subject: SubjectId, message: MessageId) -> None:
        """Take an event; returns when it may be acknowledged. Raises UnavailableError when it may not."""
        node, spool = self._node, self.spool

        def change(txn: Txn) -> EventRecord | None:
            if not node.messages.is_new(txn, message, node.clock.now_ms()):
                return None
            record = event(spool.next_seq, producer=self.name, message=message, subject=subject)
            if not spool.has_room():
                raise SpoolFullError("full")
            node.wrote(record)
            if spool.append(record) is None:
                raise SpoolFullError("full")
            node.cache.apply_in(txn, subject, [record])
            return record

        record = node.cache.write(change)
        try:
            await spool.commit(None if record is None else record.seq)
            if record is None:
                await spool.sync_others()
        except UnavailableError:
            if record is not None:
                node.cache.write(lambda txn: node.messages.forget(txn, [message]))
            raise

    def decide(self, subject: SubjectId, number: int) -> None:
        """Record a decision; nobody waits until that is durable."""
        record = decision(self.spool.next_seq, producer=self.name, number=number, subject=subject)
        self._node.wrote(record)
        if self.spool.append(record) is not None and touches_profile(record):
            self._node.cache.apply(subject, [record])

    async def state(self, subject: SubjectId, dial: int) -> None:
        """Take a visitor's will; as `take`."""
        now_ms = self._node.clock.now_ms()
        record = preference(
            self.spool.next_seq, producer=self.name, subject=subject, dial=dial, time_ms=now_ms, received_ms=now_ms
        )
        self._node.wrote(record)
        if self.spool.append(record) is None:
            raise SpoolFullError("full")
        self._node.cache.state(subject, record)
        await self.spool.commit(record.seq)

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            with contextlib.suppress(UnavailableError):
                await self.spool.measure()
                await self.spool.settle()


class Node:
    """Workers and an agent on one disk."""

    def __init__(self, name: NodeId, folder: Path, random: Random) -> None:
        self.id = name
        self.random = random
        self.clock = LoopClock(asyncio.get_running_loop())
        self.network = Network(random)
        self.paths = NodePaths(folder)
        self.paths.create()
        self.most_spool_bytes = random.choice([4_000, 1 << 20])
        self.odds = Odds()
        self.disk = LossyFiles(self.paths.spool, random, self.odds)
        self.spool_bell = asyncio.Event()
        self.records: dict[tuple[Producer, int], Written] = {}
        """All that was ever numbered, dropped or not."""
        self.created: dict[Producer, int] = {}
        self.undeclared: dict[Producer, int] = {}
        """Of producers that were killed with a gap still to be declared: where that begins."""
        self.powerless: set[Producer] = set()
        """Producers that were alive, or not shipped yet, when the power went."""
        self._settings = settings_of(folder, "127.0.0.1:1", answer_timeout_ms=300)
        self._streams: list[asyncio.Task[None]] = []
        self._open_cache()
        self.workers = [self.new_worker(index) for index in range(random.randint(1, 2))]
        self.start_agent()

    def _open_cache(self) -> None:
        self.cache = ProfileCache.open(self.paths.profiles, map_bytes=MAP_BYTES)
        self.messages = RecentMessages(self.cache.file)

    def new_worker(self, index: int) -> Worker:
        """The supervisor starts a worker until one stands."""
        while True:
            with contextlib.suppress(OSError):
                return Worker(self, index)

    def wrote(self, record: Written) -> None:
        """A number was given."""
        self.records[record.producer, record.seq] = record
        self.created[record.producer] = record.seq + 1

    def replace_worker(self, index: int) -> None:
        """Kill one; another takes its place."""
        self.workers[index].kill()
        self.workers[index] = self.new_worker(index)

    def start_agent(self) -> None:
        """A new agent process."""
        quiet = log("critical")
        state = AgentState(self.paths, self.clock, site="shop", root_fingerprint=None, hub="", log=quiet)
        link = Link(self._settings, state, draw=self.random.random, log=quiet, open_channel=self.network.channel)
        uplink = Uplink(
            self._settings,
            self.id,
            bell=self.spool_bell,
            state=state,
            clock=self.clock,
            draw=self.random.random,
            log=quiet,
            files=self.disk,
        )
        sync = ProfileSync(self.cache, self.id, bell=asyncio.Event(), state=state, log=quiet)
        self.agent = state
        self._streams = [
            asyncio.create_task(link.keep("uplink", uplink.session)),
            asyncio.create_task(link.keep("profiles", sync.session)),
        ]

    def kill_agent(self) -> None:
        """SIGKILL: its connections go with it."""
        for task in self._streams:
            task.cancel()
        self.network.cut()

    async def lose_power(self) -> None:
        """Everything dies, the disk keeps what it keeps; then the node starts again."""
        self.kill_agent()
        for worker in self.workers:
            worker.kill()
        await asyncio.sleep(0)
        self.powerless |= set(self.created)
        after = self.paths.root / "after"
        after.mkdir()
        self.disk.lose_power(after)
        shutil.rmtree(self.paths.spool)
        after.rename(self.paths.spool)
        self.disk = LossyFiles(self.paths.spool, self.random, self.odds)
        self.cache.close()
        if self.random.random() < 0.5:
            shutil.rmtree(self.paths.profiles)  # its pages were of different ages
        else:
            (self.paths.profiles / "stamp.json").write_text(json.dumps({"format": 1, "boot": "the one before"}))
        self._open_cache()
        self.workers = [self.new_worker(index) for index in range(len(self.workers))]
        self.start_agent()

    def has_shipped_all(self) -> bool:
        """Whether nothing is left in the spool."""
        return not any(self.paths.spool.iterdir())

    def close(self) -> None:
        """The end of the simulation."""
        self.kill_agent()
        for worker in self.workers:
            worker.kill()
        self.cache.close()
