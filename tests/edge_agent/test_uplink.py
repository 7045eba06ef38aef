"""The spool reaches the hub exactly once, whatever the connection, the agent, the workers and the hub do meanwhile."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent_world import log, patiently, settings_of
from hypothesis import given
from hypothesis import strategies as st

from edge.agent.link import Link
from edge.agent.state import AgentState
from edge.agent.uplink import Uplink
from edge.node.doorbell import Doorbell
from edge.node.epochs import next_epoch, node_id
from edge.node.layout import NodePaths, doorbell_address
from edge.settings import EdgeSettings
from edge.spool.writer import SpoolWriter
from edge.testing.fake_hub import FakeHub, Fault, ProducerKey, eventually
from edge.testing.signed_site import SignedSite
from edgewise.clock import SystemClock
from edgewise.consent import Grants
from edgewise.ids import MessageId, SubjectId, producer
from edgewise.records import EventRecord, GapRecord

SITE = SignedSite("shop")


class Worker:
    """A process that records, as far as the spool sees it."""

    def __init__(self, paths: NodePaths, index: int) -> None:
        self.node = node_id(paths)
        self.epoch = next_epoch(paths)
        self.index = index
        self.folder = paths.producer(self.epoch, index)
        self.records: list[EventRecord] = []
        self.spool = SpoolWriter(
            self.folder,
            producer=producer(self.node, self.epoch, index),
            most_bytes=1 << 30,
            segment_bytes=400,
            on_synced=self.ring,
        )

    @property
    def key(self) -> ProducerKey:
        return (self.node, self.epoch, self.index)

    def append(self) -> None:
        record = EventRecord(
            producer=self.spool.producer,
            seq=self.spool.next_seq,
            subject=SubjectId("00" * 16),
            message_id=MessageId(f"m-{self.epoch}-{self.spool.next_seq}"),
            type="track",
            name="Product Viewed",
            time_ms=1,
            received_ms=1,
            grants=Grants(),
        )
        assert self.spool.append(record) is not None
        self.records.append(record)

    def ring(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
            bell.sendto(b"s", doorbell_address(self.node))

    def kill(self) -> None:
        """SIGKILL: the kernel lets go of the lock, nothing else happens."""
        os.close(self.spool._lock)


class Shipping:
    """The agent's uplink, alone."""

    def __init__(self, settings: EdgeSettings) -> None:
        paths, clock = settings.paths, SystemClock()
        self.state = AgentState(paths, clock, site="shop", root_fingerprint=None, hub="", log=log())
        self.link = Link(settings, self.state, draw=lambda: 0.5, log=log())
        self.bell = Doorbell(node_id(paths))
        self.uplink = Uplink(
            settings, node_id(paths), bell=self.bell.spool, state=self.state, clock=clock, draw=lambda: 0.5, log=log()
        )
        self.task = asyncio.create_task(self.link.keep("uplink", self.uplink.session))

    async def stop(self) -> None:
        self.link.stopping.set()
        self.uplink.finish()
        await self.task
        await self.link.close()
        self.bell.close()


@asynccontextmanager
async def shipping(folder: Path, hub: FakeHub, **values: int) -> AsyncIterator[Shipping]:
    NodePaths(folder).create()
    started = Shipping(settings_of(folder, hub.address, reconnect_ms=10, reconnect_most_ms=20, **values))
    yield started
    await started.stop()


def test_what_is_synced_arrives_within_milliseconds_and_is_deleted(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(SITE) as hub, shipping(tmp_path, hub) as ship:
            worker = Worker(NodePaths(tmp_path), 0)
            loop = asyncio.get_running_loop()
            delays = []
            for count in range(1, 21):
                worker.append()
                await worker.spool.commit()
                synced_at = loop.time()
                await eventually(lambda count=count: len(hub.records.get(worker.key, [])) == count)  # type: ignore[misc]
                delays.append(loop.time() - synced_at)
            assert hub.records[worker.key] == worker.records
            # Without the doorbell it would be 25 ms in the middle; the test itself looks every 10 ms.
            assert sorted(delays)[len(delays) // 2] < 0.025
            await eventually(lambda: len(list(worker.folder.glob("*.seg"))) == 1)
            worker.kill()
            await eventually(lambda: not worker.folder.exists())
            assert ship.state.records_stored == 20

    patiently(story())


def test_a_new_agent_goes_on_where_the_hub_says(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(SITE) as hub:
            async with shipping(tmp_path, hub):
                worker = Worker(NodePaths(tmp_path), 0)
                for _ in range(10):
                    worker.append()
                await worker.spool.commit()
                await eventually(lambda: hub.marks.get(worker.key) == 9)
            for _ in range(5):
                worker.append()
            await worker.spool.commit()
            async with shipping(tmp_path, hub):
                await eventually(lambda: hub.marks[worker.key] == 14)
            assert hub.records[worker.key] == worker.records

    patiently(story())


def test_a_restored_hub_is_told_what_is_left_and_what_is_lost(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(SITE) as hub, shipping(tmp_path, hub) as ship:
            worker = Worker(NodePaths(tmp_path), 0)
            for _ in range(40):
                worker.append()
            await worker.spool.commit()
            await eventually(lambda: hub.marks.get(worker.key) == 39)
            await eventually(lambda: len(list(worker.folder.glob("*.seg"))) == 1)
            # Back to a backup of an hour ago.
            hub.marks[worker.key] = 4
            del hub.records[worker.key][5:]
            worker.append()
            await worker.spool.commit()
            await eventually(lambda: hub.marks[worker.key] == 40)
            assert hub.sequences(worker.key) == list(range(41))
            declared = [record for record in hub.records[worker.key] if isinstance(record, GapRecord)]
            assert [(record.lane, record.first_seq) for record in declared] == [("lost", 5)]
            assert ship.state.records_lost == declared[0].count

    patiently(story())


def test_two_starts_of_one_worker_never_share_a_number(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(SITE) as hub, shipping(tmp_path, hub):
            first = Worker(NodePaths(tmp_path), 0)
            first.append()
            first.append()
            first.kill()  # before anything was synced
            second = Worker(NodePaths(tmp_path), 0)
            second.append()
            await second.spool.commit()
            await eventually(lambda: len(hub.records) == 2)
            assert (first.epoch, second.epoch) == (1, 2)
            assert hub.records[first.key] == first.records
            assert hub.records[second.key] == second.records

    patiently(story())


FAULTS = [fault for fault in Fault if fault is not Fault.SAY_NOTHING]  # that one would cost its timeout each time
Step = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 1), st.integers(1, 9)),
    st.tuples(st.just("commit"), st.integers(0, 1), st.just(0)),
    st.tuples(st.just("kill"), st.integers(0, 1), st.just(0)),
    st.tuples(st.just("restart agent"), st.just(0), st.just(0)),
    st.tuples(st.just("restart hub"), st.just(0), st.just(0)),
    st.tuples(st.just("breathe"), st.just(0), st.just(0)),
)


class History:
    """Two workers, their agent and their hub, to which things happen."""

    def __init__(self, folder: Path, hub: FakeHub) -> None:
        self.paths = NodePaths(folder)
        self.paths.create()
        self.hub = hub
        self.settings = settings_of(folder, hub.address, reconnect_ms=10, reconnect_most_ms=20)
        self.ship = Shipping(self.settings)
        self.workers = [Worker(self.paths, 0), Worker(self.paths, 1)]
        self.ever = list(self.workers)

    async def happens(self, step: str, index: int, count: int) -> None:
        match step:
            case "append":
                for _ in range(count):
                    self.workers[index].append()
            case "commit":
                await self.workers[index].spool.commit()
            case "kill":
                self.workers[index].kill()
                self.workers[index] = Worker(self.paths, index)
                self.ever.append(self.workers[index])
            case "restart agent":
                await self.ship.stop()
                self.ship = Shipping(self.settings)
            case "restart hub":
                await self.hub.stop()
                await self.hub.start(self.hub.port)
            case _:
                await asyncio.sleep(0)

    async def ends(self) -> None:
        for worker in self.workers:
            await worker.spool.commit()
            worker.kill()
        await eventually(lambda: not list(self.paths.spool.iterdir()))
        await self.ship.stop()


@given(
    steps=st.lists(Step, max_size=25),
    faults=st.lists(st.sampled_from(FAULTS), max_size=12),
)
def test_every_record_is_stored_once_and_in_order(steps: list[tuple[str, int, int]], faults: list[Fault]) -> None:
    async def story(folder: Path) -> None:
        async with FakeHub(SITE, faults=faults) as hub:
            history = History(folder, hub)
            for step, index, count in steps:
                await history.happens(step, index, count)
            await history.ends()
            for worker in history.ever:
                assert hub.records.get(worker.key, []) == worker.records

    with tempfile.TemporaryDirectory() as folder:
        patiently(story(Path(folder)))


def test_a_hub_that_says_nothing_is_asked_anew(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(SITE, faults=[Fault.SAY_NOTHING]) as hub, shipping(tmp_path, hub, answer_timeout_ms=100):
            worker = Worker(NodePaths(tmp_path), 0)
            worker.append()
            await worker.spool.commit()
            await eventually(lambda: hub.records.get(worker.key) == worker.records)

    patiently(story())
