"""The spool reaches the hub exactly once, whatever the connection, the agent, the workers and the hub do meanwhile."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from agent_world import patiently, settings_of
from hypothesis import given
from hypothesis import strategies as st
from uplink_world import Shipping, Worker, shipping

from edge.node.layout import NodePaths
from edge.spool.reader import LEFTOVER_SUFFIX
from edge.testing.fake_hub import FakeHub, Fault, eventually
from edge.testing.signed_site import SignedSite
from edge.worker.tally import Tally, encode_tally, inherited_tally
from edgewise.records import GapRecord

SITE = SignedSite("shop")


def test_what_is_synced_arrives_within_milliseconds_and_is_deleted(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(SITE) as hub, shipping(tmp_path, hub.address) as ship:
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


def test_a_killed_workers_spool_stays_until_its_successor_has_counted_it(tmp_path: Path) -> None:
    async def story() -> None:
        paths = NodePaths(tmp_path)
        async with FakeHub(SITE) as hub, shipping(tmp_path, hub.address):
            worker = Worker(paths, 0)
            paths.tally(0).write_bytes(encode_tally(Tally(epoch=worker.epoch, epoch_created=3, created=13)))
            for _ in range(5):
                worker.append()
            await worker.spool.commit()
            await eventually(lambda: hub.marks.get(worker.key) == 4)
            worker.kill()
            # Another one is stored and deleted meanwhile, so the agent has come by.
            other = Worker(paths, 1)
            other.append()
            await other.spool.commit()
            other.kill()
            await eventually(lambda: not other.folder.exists())
            assert worker.folder.exists()
            inherited = inherited_tally(paths, 0)
            assert inherited.created == 15
            successor = Worker(paths, 0)
            word = Tally(epoch=successor.epoch, created=inherited.created)
            paths.tally(0).write_bytes(encode_tally(word))
            await eventually(lambda: not worker.folder.exists())
            successor.kill()

    patiently(story())


def test_a_new_agent_goes_on_where_the_hub_says(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(SITE) as hub:
            async with shipping(tmp_path, hub.address):
                worker = Worker(NodePaths(tmp_path), 0)
                for _ in range(10):
                    worker.append()
                await worker.spool.commit()
                await eventually(lambda: hub.marks.get(worker.key) == 9)
            for _ in range(5):
                worker.append()
            await worker.spool.commit()
            async with shipping(tmp_path, hub.address):
                await eventually(lambda: hub.marks[worker.key] == 14)
            assert hub.records[worker.key] == worker.records

    patiently(story())


def test_a_new_agent_repeats_nothing_and_calls_nothing_lost_that_the_hub_has(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(SITE) as hub:
            async with shipping(tmp_path, hub.address):
                worker = Worker(NodePaths(tmp_path), 0)
                for _ in range(40):
                    worker.append()
                await worker.spool.commit()
                await eventually(lambda: len(list(worker.folder.glob("*.seg"))) == 1)
            # As after a power loss: a segment that was deleted has come back, those behind it have not.
            first = worker.folder / f"{0:020}.seg"
            first.write_bytes(b"")
            worker.kill()
            came = len(hub.batches)
            async with shipping(tmp_path, hub.address) as ship:
                await eventually(lambda: not worker.folder.exists())
                assert ship.state.records_lost == 0
            assert hub.records[worker.key] == worker.records
            assert [len(batch) for batch in hub.batches[came:]] == [0], "it was asked, and nothing else"

    patiently(story())


def test_what_an_agent_that_was_killed_had_begun_to_delete_goes(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(SITE) as hub:
            NodePaths(tmp_path).create()
            leftover = tmp_path / "spool" / f"0000000001-000{LEFTOVER_SUFFIX}"
            leftover.mkdir()
            (leftover / f"{0:020}.seg").write_bytes(b"stored long ago")
            async with shipping(tmp_path, hub.address):
                await eventually(lambda: not leftover.exists())
            assert not hub.records

    patiently(story())


def test_a_restored_hub_is_told_what_is_left_and_what_is_lost(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(SITE) as hub, shipping(tmp_path, hub.address) as ship:
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
            # The hub knows before the node has heard of it.
            await eventually(lambda: ship.state.records_lost == declared[0].count)

    patiently(story())


def test_two_starts_of_one_worker_never_share_a_number(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(SITE) as hub, shipping(tmp_path, hub.address):
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
        async with (
            FakeHub(SITE, faults=[Fault.SAY_NOTHING]) as hub,
            shipping(tmp_path, hub.address, answer_timeout_ms=100),
        ):
            worker = Worker(NodePaths(tmp_path), 0)
            worker.append()
            await worker.spool.commit()
            await eventually(lambda: hub.records.get(worker.key) == worker.records)

    patiently(story())
