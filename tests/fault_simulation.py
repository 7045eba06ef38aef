"""Nodes and their hub in simulated time, by seed: the real spool, uplink, profile cache, sync and ledger.

What is simulated is the network, the disk under the spools, the threads, and who dies when. Visitors send each event
until some worker has acknowledged it, to whichever worker answers, as a browser or a shop's server does.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from agent_world import log
from fault_disk import Odds
from fault_network import Network
from fault_node import Node, Worker
from fault_seeds import Random
from fault_time import LoopClock

from edgewise.errors import EdgewiseError
from edgewise.ids import MessageId, NodeId, Producer, SubjectId
from edgewise.profile.state import Profile, encode_profile
from hub.ledger.ledger import Ledger
from hub.meters import Meters
from hub.rpc.guard import Streams
from hub.rpc.inbox import Inbox
from hub.rpc.interest import Interest
from hub.rpc.profiles import Profiles
from hub.rpc.uplink import Uplink as UplinkService

SUBJECTS = 3
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
