"""Nodes and their hub in simulated time, by seed: the real spool, uplink, profile cache, sync and ledger.

What is simulated is the network, the disk under the spools, the threads, and who dies when. Visitors send each event
until some worker has acknowledged it, to whichever worker answers, as a browser or a shop's server does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Coroutine
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
from edgewise.errors import EdgewiseError, UnavailableError
from edgewise.ids import MessageId, NodeId, Producer, SubjectId, producer
from edgewise.profile.reduce import touches_profile
from edgewise.profile.state import Profile, encode_profile
from edgewise.records import DecisionRecord, EventRecord, PreferenceRecord
from hub.ledger.ledger import Ledger
from hub.meters import Meters
from hub.rpc.guard import Streams
from hub.rpc.inbox import Inbox
from hub.rpc.interest import Interest
from hub.rpc.profiles import Profiles
from hub.rpc.uplink import Uplink as UplinkService

Written = EventRecord | DecisionRecord | PreferenceRecord
SUBJECTS = 3
MAP_BYTES = 4 << 20
QUIET_S = 60.0
"""Simulated seconds within which everything must have come through once all faults have ended."""


class Hub:
    """The hub's services over a ledger; its process may die, what the ledger has committed stays."""

    def __init__(self, ledger: Ledger, networks: list[Network], meters: Meters) -> None:
        self.ledger = ledger
        self._networks = networks
        self._meters = meters
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """A new process: nothing is known but what the ledger holds."""
        clock, executor = LoopClock(asyncio.get_running_loop()), None
        streams = Streams(1_000, self._meters)
        profiles = Profiles(
            self.ledger,
            Interest(1_000, self._meters),
            executor,  # type: ignore[arg-type]  # simulated loops have no threads
            streams=streams,
            meters=self._meters,
            log=log("critical"),
        )
        inbox = Inbox(
            self.ledger,
            clock,
            executor,  # type: ignore[arg-type]
            most_bytes=1 << 20,
            on_stored=profiles.stored,
            meters=self._meters,
            log=log("critical"),
        )
        uplink = UplinkService(inbox, streams, log("critical"))
        self._tasks = [asyncio.create_task(inbox.run())]
        for network in self._networks:
            network.services = {
                "/edgewise.v1.Uplink/Report": uplink.Report,
                "/edgewise.v1.Profiles/Sync": profiles.Sync,
            }

    def kill(self) -> None:
        """SIGKILL."""
        for network in self._networks:
            network.services = {}
            network.cut()
        for task in self._tasks:
            task.cancel()


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


class World:
    """One history: what happens, and what must be true behind it."""

    def __init__(self, ledger: Ledger, meters: Meters, folder: Path, seed: int) -> None:
        self.random = random = Random(seed)
        self.seed = seed
        self.nodes = [
            Node(NodeId(f"n-{seed}-{index}"), folder / f"node-{index}", random) for index in range(random.randint(1, 2))
        ]
        self.hub = Hub(ledger, [node.network for node in self.nodes], meters)
        self.subjects = [SubjectId(f"{seed:016x}{number:016x}") for number in range(SUBJECTS)]
        self.sent: list[MessageId] = []
        self.acknowledged: set[MessageId] = set()
        self.happened: dict[str, int] = defaultdict(int)
        self._decisions = 0
        self._hub_is_up = True

    async def run(self) -> None:
        """Live through all of it, then come to rest."""
        self.hub.start()
        visitors = [asyncio.create_task(self._visit(number)) for number in range(self.random.randint(1, 4))]
        for node in self.nodes:
            node.network.cut_odds = self.random.choice([0.0, 0.02, 0.1])
            if self.random.random() < 0.3:
                node.odds.__dict__.update(Odds(append=0.05, short=0.7, truncate=0.3, sync=0.05, folder=0.02).__dict__)
        for _ in range(self.random.randint(0, 8)):
            await asyncio.sleep(self.random.random() * 0.2)
            await self._mishap()
        await self._heal()
        await asyncio.wait_for(asyncio.gather(*visitors), QUIET_S)
        await self._rest()

    async def _visit(self, visitor: int) -> None:
        """Send some events, each until it is acknowledged."""
        for number in range(self.random.randint(1, 8)):
            subject = self.random.choice(self.subjects)
            message = MessageId(f"m-{self.seed}-{visitor}-{number}")
            self.sent.append(message)
            while message not in self.acknowledged:
                await asyncio.sleep(self.random.random() * 0.06)
                worker = self._any_worker()
                if await self._answered(worker, worker.take(subject, message)) and self.random.random() < 0.9:
                    self.acknowledged.add(message)  # else the answer was lost: it is sent again, maybe elsewhere
            worker = self._any_worker()
            if self.random.random() < 0.3:
                self._decisions += 1
                worker.decide(subject, self.seed * 1_000 + self._decisions)
            if self.random.random() < 0.15:
                await self._answered(worker, worker.state(subject, self.random.randrange(4)))

    async def _answered(self, worker: Worker, work: Coroutine[Any, Any, None]) -> bool:
        """Whether a worker that may die meanwhile has said yes."""
        done = worker.does(work)
        await asyncio.wait([done])
        if done.cancelled():
            return False
        failed = done.exception()
        if failed is not None and not isinstance(failed, EdgewiseError):
            raise failed
        return failed is None

    def _any_worker(self) -> Worker:
        return self.random.choice([worker for node in self.nodes for worker in node.workers])

    async def _mishap(self) -> None:
        node = self.random.choice(self.nodes)
        kinds = ["worker", "worker", "agent", "hub", "cut", "hole", "power", "cache"]
        what = self.random.choice(kinds)
        self.happened[what] += 1
        match what:
            case "worker":
                node.replace_worker(self.random.randrange(len(node.workers)))
            case "agent":
                node.kill_agent()
                node.start_agent()
            case "hub":
                self.hub.kill()
                await asyncio.sleep(self.random.random() * 0.3)
                self.hub.start()
            case "cut":
                node.network.cut()
            case "hole":
                node.network.flowing.clear()
                asyncio.get_running_loop().call_later(self.random.random() * 0.8, node.network.flowing.set)
            case "power":
                await node.lose_power()
            case _:
                node.cache.clear()

    async def _heal(self) -> None:
        for node in self.nodes:
            node.network.cut_odds = 0.0
            node.network.flowing.set()
            node.odds.__dict__.update(Odds().__dict__)
        await asyncio.sleep(0)

    async def _rest(self) -> None:
        """Let all workers end in peace, and wait until everything has come through."""
        for node in self.nodes:
            for index, worker in enumerate(node.workers):
                await self._eventually(worker.spool.is_synced, f"worker {worker.name} is synced")
                node.workers[index].kill()
            await self._eventually(node.has_shipped_all, f"{node.id} has shipped all")
            for subject in self.subjects:
                node.cache.want([subject])
        await self._eventually(self._is_converged, "caches hold what the hub holds", raises=False)

    def _is_converged(self) -> bool:
        known = {subject: self.hub_profile(subject) for subject in self.subjects}
        return all(
            known[subject] == self.edge_profile(node, subject) for node in self.nodes for subject in self.subjects
        )

    def hub_profile(self, subject: SubjectId) -> bytes | None:
        """Canonical, as the ledger holds it."""
        row = self.hub.ledger.profiles([subject]).get(subject)
        return None if row is None else row.profile

    @staticmethod
    def edge_profile(node: Node, subject: SubjectId) -> bytes | None:
        """As the node's next decision would read it."""
        profile = node.cache.profile(subject)
        return None if profile is None or profile == Profile() else encode_profile(profile)

    @staticmethod
    def pending(node: Node, subject: SubjectId) -> set[tuple[Producer, int]]:
        """Records that a node counts and no snapshot has contained yet."""
        with node.cache.file.env.begin() as txn:
            found = node.cache._rows.pending_of(txn, bytes.fromhex(subject))
            return {(record.producer, record.seq) for _, record in found}

    async def _eventually(self, holds: Callable[[], bool], what: str, *, raises: bool = True) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + QUIET_S
        while not holds():
            if loop.time() > until:
                assert not raises, f"never: {what}"
                return
            await asyncio.sleep(0.1)

    def close(self) -> None:
        """Let go of files."""
        for node in self.nodes:
            node.close()
        self.hub.kill()
