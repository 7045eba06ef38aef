"""Nodes and their hub in simulated time, by seed: what production runs, over a network, disks and clocks that fail.

Visitors send each event until some worker has acknowledged it, to whichever worker answers, as a browser or a shop's
server does; in between they look at pages and change their minds about what may be known of them.
"""

from __future__ import annotations

import asyncio
import gc
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from agent_world import log
from fault_disk import Odds
from fault_mishaps import MISHAPS, REPORT, USUAL
from fault_network import Network
from fault_node import Node, Parts, Worker
from fault_proxy import Way
from fault_releases import Publishing, site
from fault_seeds import Random
from fault_time import LoopClock
from fault_witness import Witness

from edge.agent.install import RETRY_MOST_MS
from edge.testing.small_bundle import HERO
from edgewise.errors import EdgewiseError
from edgewise.ids import MessageId, NodeId, Producer, SubjectId
from edgewise.profile.state import Profile, encode_profile
from edgewise.request import DecideRequest, PlacementRequest
from edgewise.subjects import subject_of
from hub.ledger.ledger import Ledger
from hub.meters import Meters
from hub.rpc.distribution import Announcer, Distribution
from hub.rpc.erasure_feed import ErasureFeed
from hub.rpc.fleet import Fleet
from hub.rpc.guard import Streams
from hub.rpc.inbox import Inbox
from hub.rpc.interest import Interest
from hub.rpc.profiles import Profiles
from hub.rpc.uplink import Uplink as UplinkService

VISITORS = 3
MOST_AHEAD_MS = 10_000
"""No node's clock is that far ahead of the hub's, unless it has jumped."""
QUIET_S = 60.0
"""Simulated seconds within which everything must have come through once all faults have ended."""
FOLLOWS_S = QUIET_S + 2 * RETRY_MOST_MS / 1_000
"""A release that was refused for a cause that passes is tried again after pauses that double up to that one."""
CONVERGED_S = 10.0
"""The same for what may differ for good: what a node has counted and then lost to a failing disk."""
POLL_MS = 100
WILLS: list[tuple[str, bool, dict[str, Any]]] = [
    ("dial", True, {"dial": 0}),
    ("dial", True, {"dial": 0}),
    ("dial", False, {"dial": 1}),
    ("dial", False, {"dial": 3}),
    ("consent", True, {"consent": {"personalisation": "denied"}}),
    ("consent", False, {"consent": {"personalisation": "granted"}}),
]
"""What may be stated: of what, whether it is an opt-out, and how that is said."""


class Hub:
    """The hub's services over a ledger; its process may die, what the ledger has committed stays."""

    def __init__(self, ledger: Ledger, networks: list[Network], meters: Meters, publishing: Publishing) -> None:
        self.ledger = ledger
        self._networks = networks
        self._meters = meters
        self._publishing = publishing
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """A new process: nothing is known but what the ledger holds."""
        clock, quiet, meters = LoopClock(asyncio.get_running_loop()), log("critical"), self._meters
        threads: Any = None  # simulated loops have none
        streams = Streams(1_000, meters)
        feed = ErasureFeed(self.ledger, None, clock)
        profiles = Profiles(
            self.ledger,
            Interest(1_000, meters),
            threads,
            feed,
            writer=threads,
            streams=streams,
            meters=meters,
            log=quiet,
        )
        inbox = Inbox(
            self.ledger, clock, threads, most_bytes=1 << 20, on_stored=profiles.stored, meters=meters, log=quiet
        )
        uplink = UplinkService(inbox, streams, quiet)
        announcer = Announcer(self._publishing, POLL_MS, quiet)
        enrolment: Any = None  # every node here is enrolled
        distribution = Distribution(
            self._publishing,
            announcer,
            enrolment,
            Fleet(self.ledger, clock, threads, quiet),
            incarnation="0" * 32,
            streams=streams,
            meters=meters,
            log=quiet,
        )
        self._tasks = [asyncio.create_task(work) for work in (inbox.run(), announcer.run(), profiles.run(5 * POLL_MS))]
        for network in self._networks:
            network.find = distribution._find
            network.services = {
                "/edgewise.v1.Distribution/Watch": distribution.Watch,
                REPORT: uplink.Report,
                "/edgewise.v1.Profiles/Sync": profiles.Sync,
            }

    def kill(self) -> None:
        """SIGKILL."""
        for network in self._networks:
            network.services, network.find = {}, None
            network.cut()
        for task in self._tasks:
            task.cancel()


class World:
    """One history: what happens, and what must be true behind it."""

    def __init__(
        self,
        ledger: Ledger,
        meters: Meters,
        folder: Path,
        seed: int,
        *,
        parts: Parts | None = None,
        mishaps: Sequence[str] = USUAL,
    ) -> None:
        self.random = random = Random(seed)
        self.seed = seed
        self.mishaps = mishaps
        self.publishing = Publishing(random.randrange(3))
        self.witness = Witness(self.publishing)
        self.nodes = [
            Node(NodeId(f"n-{seed}-{index}"), folder / f"node-{index}", random, parts or Parts())
            for index in range(random.randint(1, 2))
        ]
        self.hub = Hub(ledger, [node.network for node in self.nodes], meters, self.publishing)
        self.visitors = [f"v-{seed}-{number}" for number in range(VISITORS)]
        self.sent: list[MessageId] = []
        self.acknowledged: set[MessageId] = set()
        self.happened: dict[str, int] = defaultdict(int)

    @property
    def subjects(self) -> list[SubjectId]:
        """Whom the records are about."""
        return [subject_of(site().subject_key, "anonymousId", visitor) for visitor in self.visitors]

    async def run(self) -> None:
        """Live through all of it, then come to rest."""
        self.hub.start()
        visits = [asyncio.create_task(self._visit(number)) for number in range(self.random.randint(1, 4))]
        for node in self.nodes:
            node.network.cut_odds = self.random.choice([0.0, 0.02, 0.1])
            node.network.flip_odds = self.random.choice([0.0, 0.1])
            if self.random.random() < 0.3:
                node.odds.__dict__.update(Odds(append=0.05, short=0.7, truncate=0.3, sync=0.05, folder=0.02).__dict__)
        for _ in range(self.random.randint(0, 10)):
            await asyncio.sleep(self.random.random() * 0.2)
            await self._mishap()
            for node in self.nodes:
                self.witness.bounded(node)
        self._heal()
        await asyncio.wait_for(asyncio.gather(*visits), QUIET_S)
        await self._rest()
        self.witness.explained()

    # --- visitors -----------------------------------------------------------------------------------------------------
    async def _visit(self, visit: int) -> None:
        """Send some events, each until it is acknowledged; look at pages, and say what may be known."""
        for number in range(self.random.randint(1, 8)):
            visitor = self.random.choice(self.visitors)
            message = MessageId(f"m-{self.seed}-{visit}-{number}")
            self.sent.append(message)
            while message not in self.acknowledged:
                await asyncio.sleep(self.random.random() * 0.06)
                worker = self._any_worker()
                if await self._answered(worker, worker.take(visitor, message)) and self.random.random() < 0.9:
                    self.acknowledged.add(message)  # else the answer was lost: it is sent again, maybe elsewhere
            if self.random.random() < 0.25:
                await self._state(visitor)
            for _ in range(self.random.randint(0, 2)):
                self._decide(self._any_worker(), visitor)

    def _decide(self, worker: Worker, visitor: str) -> None:
        question = DecideRequest([PlacementRequest(HERO)], anonymous_id=visitor)
        self.witness.answered(worker, visitor, *worker.decide(question))
        self.witness.bounded(worker.node)

    async def _state(self, visitor: str) -> None:
        worker = self._any_worker()
        kind, is_out, will = self.random.choice(WILLS)
        statement = self.witness.begins(visitor, kind, worker.node.id, is_out=is_out)

        async def state() -> None:
            record = await worker.state(visitor, will)
            self.witness.acknowledges(statement, record.time_ms)

        if await self._answered(worker, state()):
            # Whoever has just said no looks at the next page at once, on whichever worker.
            self._decide(self.random.choice(worker.node.workers), visitor)

    async def _answered(self, worker: Worker, work: Coroutine[Any, Any, None]) -> bool:
        """Whether a worker that may die meanwhile has said yes."""
        if not worker.is_alive:
            work.close()
            return False
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

    # --- what goes wrong ----------------------------------------------------------------------------------------------
    async def _mishap(self) -> None:
        node, what = self.random.choice(self.nodes), self.random.choice(self.mishaps)
        self.happened[what] += 1
        await MISHAPS[what](self, node)

    def _heal(self) -> None:
        self.publishing.at = self.publishing.newest
        for node in self.nodes:
            node.network.cut_odds = node.network.flip_odds = 0.0
            node.network.heal()
            node.odds.__dict__.update(Odds().__dict__)

    async def _rest(self) -> None:
        """Let all workers end in peace, and wait until everything has come through."""
        for node in self.nodes:
            await self._eventually(
                partial(self._serves_what_it_should, node), f"{node.id} follows its hub", most_s=FOLLOWS_S
            )
            for worker in node.workers:
                for visitor in self.visitors:
                    self._decide(worker, visitor)
                await self._eventually(worker.spool.is_synced, f"worker {worker.name} is synced")
                worker.desk.flush()
                worker.desk.tell()  # as it does when it leaves: what nobody has counted would wait for a successor
                worker.kill()
            await self._eventually(node.has_shipped_all, f"{node.id} has shipped all")
            node.cache.want(self.subjects)
            node.wanted_bell.set()
        known = {subject: self.hub_profile(subject) for subject in self.subjects}  # nobody adds to it any more
        await self._eventually(
            partial(self._is_converged, known), "caches hold what the hub holds", most_s=CONVERGED_S, raises=False
        )

    def _serves_what_it_should(self, node: Node) -> bool:
        """The assigned release is current, and every worker's; unless the node has refused it.

        Where the one that it went back to is damaged on its disk, workers serve what they hold: two faults at once, and
        the node does not fetch an older release again.
        """
        digest = self.publishing.step.digest
        current = node.store.current()
        if current != digest and node.store.quarantined(digest) is None:
            return False
        lives = [worker.desk.live for worker in node.workers]
        is_damaged = current != digest and any(live.refused and live.refused.digest == current for live in lives)
        return is_damaged or all(live.digest == current for live in lives)

    def _is_converged(self, known: Mapping[SubjectId, bytes | None]) -> bool:
        return all(
            profile == self.edge_profile(node, subject) for node in self.nodes for subject, profile in known.items()
        )

    async def forget(self) -> SubjectId:
        """Erase a visitor at the hub while nodes may not be heard; returns when all of them were told."""
        subject = self.random.choice(self.subjects)
        away = self.random.choice([None, *self.nodes])
        if away is not None:
            away.network.silence(*Way)
        # Later than all that a node has written whose clock is a little ahead. One that has jumped may have dated it
        # later still: the hub had stored it, so it goes all the same.
        self.hub.ledger.erase(subject, LoopClock(asyncio.get_running_loop()).now_ms() + MOST_AHEAD_MS)
        await asyncio.sleep(self.random.random() * 0.5)
        if away is not None:
            if self.random.random() < 0.5:
                away.kill_agent()
                away.start_agent()
            away.network.heal()
        await self._eventually(lambda: not any(held(node, subject) for node in self.nodes), "I8: forgotten everywhere")
        return subject

    # --- what is true -------------------------------------------------------------------------------------------------
    def hub_profile(self, subject: SubjectId) -> bytes | None:
        """Canonical, as the ledger holds it."""
        row = self.hub.ledger.profiles([subject]).get(subject)
        empty = encode_profile(Profile())
        return None if row is None or row.profile == empty else row.profile

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

    async def _eventually(
        self, holds: Callable[[], bool], what: str, *, most_s: float = QUIET_S, raises: bool = True
    ) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + most_s
        while not holds():
            if loop.time() > until:
                assert not raises, f"never: {what}"
                return
            await asyncio.sleep(0.1)

    def close(self) -> None:
        """Let go of files, and of what workers told the garbage collector to leave alone."""
        for node in self.nodes:
            node.close()
        self.hub.kill()
        gc.unfreeze()


def held(node: Node, subject: SubjectId) -> list[str]:
    """Where a node names a subject: databases of its cache that do, and files beside it.

    What LMDB has freed may still lie in its file; nobody can read it through LMDB, and the next writes take its place.
    """
    forms = (bytes.fromhex(subject), subject.encode())
    found = []
    with node.cache.file.env.begin() as txn:
        for name, database in node.cache.file.db.items():
            if any(form in key or form in value for key, value in txn.cursor(db=database) for form in forms):
                found.append(name)
    files = (path for path in sorted(node.paths.root.rglob("*")) if path.is_file() and path.name != "data.mdb")
    found += [
        str(path.relative_to(node.paths.root)) for path in files if any(form in path.read_bytes() for form in forms)
    ]
    return found
