"""A node in simulated time: workers that answer visitors, an agent, a profile cache, a disk and a clock that may fail.

All of it is what production runs, but for HTTP, gRPC's sockets and the processes: workers are the real desk, reception,
decider and upkeep; the agent is the real watch, installer, uplink and sync.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from agent_world import log, settings_of
from fault_disk import LossyFiles, Odds
from fault_network import Network
from fault_releases import SITE, SimulatedFetcher, site
from fault_seeds import Random
from fault_spool import kill_spool
from fault_time import LoopClock
from typing_extensions import override

from edge.agent.facts_feed import FactsFeed
from edge.agent.install import Installer
from edge.agent.link import Link
from edge.agent.profile_sync import ProfileSync
from edge.agent.state import AgentState
from edge.agent.trial import Verdict, try_bundle
from edge.agent.uplink import Uplink
from edge.agent.watch import Watch
from edge.node.bundles import BundleStore
from edge.node.doorbell import SPOOL
from edge.node.enrolment import checked, take_over
from edge.node.epochs import next_epoch
from edge.node.keys import load_site_keys
from edge.node.layout import NodePaths
from edge.node.trust import pinned_root
from edge.probation import Probation
from edge.profiles.cache import ProfileCache
from edge.profiles.cache_file import FORMAT
from edge.spool.writer import SpoolWriter
from edge.testing.signed_site import SignedSite
from edge.worker.decider import Decider
from edge.worker.desk import Desk
from edge.worker.endpoint import Exchange
from edge.worker.identity import Caller
from edge.worker.live_bundle import LiveBundle
from edge.worker.reception import Reception
from edge.worker.routes.preferences import PreferencesRoute
from edge.worker.upkeep import Upkeep
from edgewise.consent import Consent
from edgewise.errors import RefusedError
from edgewise.ids import MessageId, NodeId, Producer
from edgewise.records import DecisionRecord, EventRecord, PreferenceRecord
from edgewise.request import DecideRequest

Written = EventRecord | DecisionRecord | PreferenceRecord
MAP_BYTES = 4 << 20
SEGMENT_BYTES = 600


@dataclass
class Parts:
    """What a node is made of; a test that plants a mistake names another part."""

    spool: type[SpoolWriter] = SpoolWriter
    cache: type[ProfileCache] = ProfileCache
    live: type[LiveBundle] = LiveBundle
    store: type[BundleStore] = BundleStore
    site: Callable[[], SignedSite] = site
    """Whose node it takes itself for."""


class _Desk(Desk):
    """Rings by hand: simulated time waits for no socket."""

    answer: Callable[[bytes], None]

    @override
    def ring(self, what: bytes) -> None:
        self.answer(what)


class Worker:
    """One process of a node."""

    def __init__(self, node: Node, index: int) -> None:
        self.node = node
        self.index = index
        node.paths.worker_status(index).unlink(missing_ok=True)  # as the crew does
        self.desk = _Desk(
            node.settings,
            index=index,
            node=node.id,
            epoch=next_epoch(node.paths),
            keys=load_site_keys(node.paths),
            cache=node.cache,
            clock=node.clock,
            log=node.log,
            entropy=node.random.randbytes,
            open_spool=_recording(node.parts.spool, node),
        )
        self.desk.answer = node.rung
        self.spool = self.desk.spool
        self.name = self.spool.producer
        self.reception = Reception(self.desk)
        self._decider = Decider(self.desk, self.reception)
        self._preferences = PreferencesRoute(self.desk)
        self.desk.live = node.parts.live(node.parts.store(node.paths), log=node.log)
        self.desk.begin()
        self.desk.is_listening = True
        self.desk.tell()
        self._running: dict[asyncio.Task[Any], None] = {}
        self.is_alive = True
        self._upkeep = self.does(Upkeep(self.desk).run())

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
            self.node.undeclared[self.name] = self.spool._gap[0]
        for task in list(self._running):
            task.cancel()
        kill_spool(self.spool, self.node.disk)
        self.desk._doorbell.close()

    async def take(self, visitor: str, message: MessageId) -> None:
        """Take an event; returns when it may be acknowledged. Raises UnavailableError when it may not."""
        event = {
            "type": "track",
            "event": "Product Viewed",
            "messageId": message,
            "anonymousId": visitor,
            "properties": {"product_id": f"film-{len(message) % 3}"},
        }
        offers = self.reception.offers([msgspec.Raw(msgspec.json.encode(event))], visitor, Consent(), packed=False)
        await self.reception.take(offers, proven(visitor))

    def decide(self, question: DecideRequest) -> tuple[msgspec.Raw, DecisionRecord | None]:
        """The answer as the visitor gets it, and what is written down of it: nothing without a bundle."""
        before = self.spool.next_seq
        visitor = question.anonymous_id
        assert visitor is not None
        decided = self._decider.decide(
            question, proven(visitor), packed=False, started_ms=self.node.clock.monotonic_ms()
        )
        record = self.node.records.get((self.name, before))
        assert record is None or isinstance(record, DecisionRecord)
        return msgspec.Raw(msgspec.json.encode(decided.answer)), record

    async def state(self, visitor: str, will: dict[str, Any]) -> PreferenceRecord:
        """Take a visitor's will; as `take`. Returns what was written down."""
        seq = self.spool.next_seq
        body = msgspec.json.encode(will)
        await self._preferences.put(Exchange(proven(visitor), body, {}, {}, False, 0.0))
        record = self.node.records[self.name, seq]
        assert isinstance(record, PreferenceRecord)
        return record


def proven(visitor: str) -> Caller:
    """Who shows the cookie of this visitor."""
    return Caller(
        is_public=True,
        is_operator=False,
        is_server=False,
        visitor=visitor,
        pseudonym=None,
        opts_out=False,
        origin=None,
    )


def _recording(kind: type[SpoolWriter], node: Node) -> Callable[..., SpoolWriter]:
    """A spool on the node's disk that tells of every number that it gives, dropped or not."""

    class Recording(kind):  # type: ignore[valid-type, misc]  # which class it is, is the caller's to say
        def append(self, record: Written) -> bytes | None:
            node.wrote(record)
            kept: bytes | None = super().append(record)
            return kept

    return partial(Recording, files=node.disk)


class Node:
    """Workers and an agent on one disk."""

    def __init__(self, name: NodeId, folder: Path, random: Random, parts: Parts) -> None:
        self.id = name
        self.random = random
        self.parts = parts
        self.log = log("critical")
        self.clock = LoopClock(asyncio.get_running_loop())
        self.clock.off_ms = random.choice([0, 0, random.randint(-5_000, 5_000)])
        self.network = Network(random)
        self.paths = NodePaths(folder)
        self.paths.create()
        take_over(self.paths, checked(parts.site().enrolment, "the test"))
        self.odds = Odds()
        self.disk = LossyFiles(self.paths.spool, random, self.odds)
        self.spool_bell, self.wanted_bell = asyncio.Event(), asyncio.Event()
        self.records: dict[tuple[Producer, int], Written] = {}
        """All that was ever numbered, dropped or not."""
        self.created: dict[Producer, int] = {}
        self.undeclared: dict[Producer, int] = {}
        """Of producers that were killed with a gap still to be declared: where that begins."""
        self.flipped: set[str] = set()
        """Digests of bundles of which a bit has flipped on this node's disk."""
        self.powerless: set[Producer] = set()
        """Producers that were alive, or not shipped yet, when the power went."""
        self.settings = settings_of(
            folder,
            "127.0.0.1:1",
            workers=random.randint(1, 2),
            answer_timeout_ms=300,
            heartbeat_ms=1_000,
            refused_retry_ms=100,
            segment_bytes=SEGMENT_BYTES,
            spool_most_bytes=random.choice([8_000, 1 << 20]),
            profile_map_bytes=MAP_BYTES,
        )
        self.store = parts.store(self.paths)
        self.probation = Probation(self.store, clock=self.clock, log=self.log)
        self._running: list[asyncio.Task[Any]] = []
        self._open_cache()
        self.workers = [self.new_worker(index) for index in range(self.settings.workers)]
        self.start_agent()

    def _open_cache(self) -> None:
        self.cache = self.parts.cache.open(self.paths.profiles, map_bytes=MAP_BYTES, clock=self.clock)

    def rung(self, what: bytes) -> None:
        """A worker has something for the agent."""
        (self.spool_bell if what == SPOOL else self.wanted_bell).set()

    def new_worker(self, index: int) -> Worker:
        """The supervisor starts a worker until one stands."""
        while True:
            with contextlib.suppress(OSError):
                return Worker(self, index)

    def wrote(self, record: Written) -> None:
        """A number was given."""
        self.records[record.producer, record.seq] = record
        self.created[record.producer] = record.seq + 1

    def replace_worker(self, index: int, ending: int = signal.SIGKILL) -> None:
        """Kill one; another takes its place."""
        self.workers[index].kill()
        self.probation.ended(-ending)
        self.workers[index] = self.new_worker(index)

    def start_agent(self) -> None:
        """A new agent process."""
        root, clock, draw, quiet = pinned_root(self.paths), self.clock, self.random.random, self.log
        assert root is not None
        self.agent = state = AgentState(self.paths, clock, site="shop", root_fingerprint=None, hub="", log=quiet)
        link = Link(self.settings, state, draw=draw, log=quiet, open_channel=self.network.channel)
        # Never asked: a simulated loop runs what threads would.
        metadata = ThreadPoolExecutor(1)
        fetcher = SimulatedFetcher(self.network)
        installer = Installer(
            self.settings,
            node=self.id,
            site=SITE,
            root=root,
            fetcher=fetcher,
            try_bundle=self._try_bundle,
            metadata=metadata,
            clock=clock,
            log=quiet,
        )
        facts = FactsFeed(
            self.paths,
            root,
            fetcher,
            metadata=metadata,
            refresh_ms=self.settings.metadata_refresh_ms,
            retry_ms=self.settings.refused_retry_ms,
            state=state,
            clock=clock,
            draw=draw,
            log=quiet,
        )
        watch = Watch(self.settings, self.id, installer, facts, state=state, clock=clock, draw=draw, log=quiet)
        uplink = Uplink(
            self.settings,
            self.id,
            bell=self.spool_bell,
            state=state,
            clock=clock,
            draw=draw,
            log=quiet,
            files=self.disk,
        )
        sync = ProfileSync(self.cache, self.id, bell=self.wanted_bell, state=state, log=quiet)
        self._running = [
            asyncio.create_task(work)
            for work in (
                link.keep("watch", watch.session),
                link.keep("uplink", uplink.session),
                link.keep("profiles", sync.session),
                watch.install_offers(link.stopping),
                facts.follow(link.stopping),
                self._tell(state, uplink),
            )
        ]

    async def _try_bundle(self, digest: str) -> Verdict:
        """As `edge.agent.trial` does, in this process."""
        try:
            await asyncio.to_thread(try_bundle, self.paths.root, digest)
        except RefusedError as refused:
            return Verdict(refused.code, refused.message)
        return Verdict()

    @staticmethod
    async def _tell(state: AgentState, uplink: Uplink) -> None:
        while True:
            uplink.measure()
            state.write()
            await asyncio.sleep(0.5)

    def kill_agent(self) -> None:
        """SIGKILL: its connections go with it."""
        for task in self._running:
            task.cancel()
        self.network.cut()

    async def stop_all(self) -> None:
        """Every process dies at once."""
        self.kill_agent()
        for worker in self.workers:
            worker.kill()
        await asyncio.sleep(0)

    async def lose_power(self) -> None:
        """Everything dies, the disk keeps what it keeps; then the node starts again."""
        await self.stop_all()
        self.powerless |= set(self.created)
        after = self.paths.root / "after"
        after.mkdir()
        self.disk.lose_power(after)
        shutil.rmtree(self.paths.spool)
        after.rename(self.paths.spool)
        self.disk = LossyFiles(self.paths.spool, self.random, self.odds)
        self.cache.close()
        # Its pages may be of different ages: nobody has made it durable, so it is not even looked at.
        stamp = {"format": FORMAT, "boot": "the one before", "clean": False}
        (self.paths.profiles / "stamp.json").write_bytes(msgspec.json.encode(stamp))
        self._open_cache()
        self._start_again()

    async def lose_cache(self) -> None:
        """The whole node is stopped, somebody deletes its cache, and it is started again."""
        await self.stop_all()
        self.cache.close()
        shutil.rmtree(self.paths.profiles)
        self._open_cache()
        self._start_again()

    async def find_a_bit_flipped(self) -> None:
        """The whole node is stopped, a bit of a bundle flips on its disk, and the node is started again."""
        await self.stop_all()
        files = sorted(path for path in self.paths.bundles.glob("*/**/*") if path.is_file())
        if files:
            path = self.random.choice(files)
            data = bytearray(path.read_bytes())
            data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
            path.chmod(0o600)
            path.write_bytes(data)
            # What two releases have in common lies on the disk once.
            same = [each for each in files if each.samefile(path)]
            self.flipped |= {each.relative_to(self.paths.bundles).parts[0] for each in same}
        self._start_again()

    def _start_again(self) -> None:
        self.store.repair()
        self.probation.begin()
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
