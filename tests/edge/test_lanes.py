"""Lanes: which record is worth more, what of a full spool is left to whom, and what a killed worker has said of it."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest
from fault_disk import SyncsWhenTold
from hypothesis import given
from hypothesis import strategies as st
from spool_world import PRODUCER, assert_without_holes, declared, event, kill, preference, records_in, writer
from typing_extensions import override

from edge.node.layout import ProducerKey
from edge.spool.files import SystemFiles
from edge.spool.home import RESERVE, RESERVE_BYTES
from edge.spool.lanes import SHARE, Lane, counts_in, label_of, lane_of, lane_of_call
from edge.spool.reader import LOST, SpoolReader
from edgewise.errors import UnavailableError
from edgewise.ids import NodeId
from edgewise.records import GapRecord, PreferenceRecord, decode_record

FOLDER = Path("spool") / "0000000001-000"


class SmallDisk(SystemFiles):
    """So many bytes for segments, files and reserves together, as `statvfs` and `write` would have it."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.used_bytes = 0
        self._reserves: dict[Path, int] = {}
        self._sizes: dict[Path, int] = {}
        self._paths: dict[int, Path] = {}

    def _take(self, size_bytes: int) -> None:
        if self.used_bytes + size_bytes > self.size_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.used_bytes += size_bytes

    @override
    def create(self, path: Path, *, appends: bool) -> int:
        descriptor = super().create(path, appends=appends)
        self._paths[descriptor] = path
        self._sizes[path] = 0
        return descriptor

    @override
    def append(self, descriptor: int, data: bytes) -> int:
        self._take(len(data))
        self._sizes[self._paths[descriptor]] += len(data)
        return super().append(descriptor, data)

    @override
    def overwrite(self, descriptor: int, data: bytes) -> None:
        path = self._paths[descriptor]
        more = max(0, len(data) - self._sizes[path])
        self._take(more)
        self._sizes[path] += more
        super().overwrite(descriptor, data)

    @override
    def remove(self, path: Path) -> None:
        super().remove(path)
        self.used_bytes -= self._reserves.pop(path, 0) + self._sizes.pop(path, 0)

    @override
    def reserve(self, path: Path, size_bytes: int) -> None:
        self._take(size_bytes)
        self._reserves[path] = size_bytes
        super().reserve(path, size_bytes)

    @override
    def free_bytes(self, folder: Path) -> int:
        return self.size_bytes - self.used_bytes


@pytest.mark.parametrize(
    ("event_type", "name", "lane"),
    [
        ("track", "Order Completed", Lane.CONVERSION),
        ("track", "Offline Purchase", Lane.CONVERSION),
        ("identify", "", Lane.CONVERSION),
        ("alias", "", Lane.CONVERSION),
        ("track", "Product Viewed", Lane.EVENT),
        ("track", "Content Clicked", Lane.EVENT),
        ("track", "Something Of Our Own", Lane.EVENT),
        ("track", "Promotion Viewed", Lane.IMPRESSION),
        ("page", "Order Completed", Lane.IMPRESSION),
        ("screen", "", Lane.IMPRESSION),
    ],
)
def test_calls_have_lanes_by_what_they_say(event_type: str, name: str, lane: Lane) -> None:
    assert lane_of_call(event_type, name) is lane


def test_the_order_of_the_lanes_is_the_order_in_which_they_stop() -> None:
    assert list(SHARE) == list(Lane)
    assert list(SHARE.values()) == sorted(SHARE.values(), reverse=True)
    assert lane_of(preference(0)) is Lane.PREFERENCE
    assert lane_of(event(0)) is Lane.EVENT


@given(counts=st.dictionaries(st.sampled_from(list(Lane)), st.integers(1, 1_000), min_size=1))
def test_a_label_says_how_many_of_each_lane(counts: dict[str, int]) -> None:
    assert counts_in(label_of(counts), sum(counts.values())) == counts


@pytest.mark.parametrize("label", ["", "a+b", "event:3+exposure:x", "event:3+exposure:9"])
def test_a_label_of_another_make_is_one_lane(label: str) -> None:
    assert counts_in(label, 5) == {label: 5}


def test_a_full_disk_has_room_for_a_visitors_will_and_for_nothing_else(tmp_path: Path) -> None:
    disk = SmallDisk(RESERVE_BYTES + 8_000)

    async def run() -> None:
        spool = writer(tmp_path, files=disk, segment_bytes=1_000)
        await spool.measure()
        while spool.append(event(spool.next_seq, size=100)) is not None:
            await spool.commit()
        assert disk.used_bytes < disk.size_bytes, "the bound is what the disk takes, not what was set"
        while spool.has_room(Lane.CONVERSION):
            disk.used_bytes += 50  # somebody else's
            await spool.measure()
        disk.used_bytes = disk.size_bytes
        assert spool.append(event(spool.next_seq)) is None
        for _ in range(20):
            assert spool.append(preference(spool.next_seq)) is not None
            await spool.commit()
        assert not (tmp_path / FOLDER / RESERVE).exists()
        created, dropped = spool.next_seq, spool.dropped
        await spool.close()
        records = records_in(tmp_path)
        assert_without_holes(records, created)
        assert declared(records) == dropped
        assert sum(isinstance(record, PreferenceRecord) for record in records) == 20

    asyncio.run(run())


def test_the_reserve_is_set_aside_again_and_that_of_the_dead_is_given_back(tmp_path: Path) -> None:
    async def run() -> None:
        dead = writer(tmp_path)
        kill(dead)
        assert (tmp_path / FOLDER / RESERVE).stat().st_size == RESERVE_BYTES
        spool = writer(tmp_path, epoch=2)
        assert not (tmp_path / FOLDER / RESERVE).exists()
        kept = tmp_path / "spool" / "0000000002-000" / RESERVE
        assert spool._home is not None
        assert (spool._home.give_reserve(), spool._home.give_reserve(), kept.exists()) == (True, False, False)
        await spool.measure()
        assert kept.exists()
        await spool.close()
        assert not kept.exists()

    asyncio.run(run())


def test_on_a_disk_that_is_full_from_the_start_records_are_dropped_until_there_is_room_and_then_declared(
    tmp_path: Path,
) -> None:
    disk = SmallDisk(0)

    async def run() -> None:
        spool = writer(tmp_path, files=disk)
        for seq in range(3):
            assert spool.append(event(seq)) is None
        await spool.measure()
        assert not spool.has_room(Lane.CONVERSION)
        assert list((tmp_path / "spool").iterdir()) == []
        disk.size_bytes = 1 << 20
        await spool.measure()
        assert spool.append(event(3)) is not None
        await spool.commit(3)
        await spool.close()

    asyncio.run(run())
    records = records_in(tmp_path)
    assert_without_holes(records, 4)
    assert declared(records) == 3


def test_who_is_killed_has_said_what_he_dropped(tmp_path: Path) -> None:
    async def run() -> None:
        spool = writer(tmp_path, most_bytes=600)
        while spool.append(event(spool.next_seq, size=100)) is not None:
            pass
        kept = spool.next_seq - 1
        for _ in range(4):
            spool.append(event(spool.next_seq))
        await spool.settle()
        created = spool.next_seq
        kill(spool)
        reader = SpoolReader(tmp_path / FOLDER, ProducerKey(1, 0), NodeId("n-test"))
        batch = reader.read()
        assert batch is not None
        records = [decode_record(payload) for payload in batch.records]
        assert_without_holes(records, created)
        assert records[-1] == GapRecord(PRODUCER, kept, created - 1, "event", 5)
        assert (reader.records_lost, batch.lost, reader.read(), reader.is_exhausted) == (0, 0, None, True)

    asyncio.run(run())


def test_a_note_of_a_gap_that_is_older_than_what_was_written_since_says_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        spool = writer(tmp_path, most_bytes=600)
        while spool.append(event(spool.next_seq, size=100)) is not None:
            pass
        await spool.settle()
        spool._most_bytes = 1 << 20
        spool.append(event(spool.next_seq))
        kill(spool)
        reader = SpoolReader(tmp_path / FOLDER, ProducerKey(1, 0), NodeId("n-test"))
        batch = reader.read()
        assert batch is not None
        assert_without_holes([decode_record(payload) for payload in batch.records], spool.next_seq)
        assert reader.read() is None

    asyncio.run(run())


def test_what_is_lost_before_the_noted_gap_is_told_apart_from_it(tmp_path: Path) -> None:
    async def run() -> None:
        spool = writer(tmp_path, most_bytes=600, segment_bytes=1)
        while spool.append(event(spool.next_seq, size=100)) is not None:
            pass
        await spool.settle()
        kill(spool)
        max((tmp_path / FOLDER).glob("*.seg")).unlink()
        batch = SpoolReader(tmp_path / FOLDER, ProducerKey(1, 0), NodeId("n-test")).read()
        assert batch is not None
        records = [decode_record(payload) for payload in batch.records]
        assert_without_holes(records, spool.next_seq)
        assert [record.lane for record in records if isinstance(record, GapRecord)] == [LOST, "event"]

    asyncio.run(run())


class Counting(SyncsWhenTold):
    """How often what others wrote was made durable."""

    def __init__(self) -> None:
        super().__init__()
        self.syncs = 0

    @override
    def sync(self, descriptor: int) -> None:
        self.syncs += 1
        super().sync(descriptor)


def test_a_flood_of_repetitions_costs_two_looks_at_the_disk_and_what_is_durable_nothing(tmp_path: Path) -> None:
    disk = Counting()

    async def run() -> None:
        dead = writer(tmp_path, segment_bytes=100)
        for seq in range(5):
            dead.append(event(seq, size=100))
        spool = writer(tmp_path, epoch=2, files=disk)
        await asyncio.gather(*(spool.sync_others() for _ in range(500)))
        assert disk.syncs == 5
        await asyncio.gather(*(spool.sync_others() for _ in range(500)))
        assert disk.syncs == 5
        dead.append(event(5, size=100))
        await asyncio.gather(*(spool.sync_others() for _ in range(500)))
        assert disk.syncs == 6
        await spool.close()
        await dead.close()

    asyncio.run(run())


def test_what_another_wrote_and_a_sync_has_failed_of_is_never_answered_for(tmp_path: Path) -> None:
    disk = Counting()

    async def run() -> None:
        other = writer(tmp_path)
        other.append(event(0))
        spool = writer(tmp_path, epoch=2, files=disk)
        spool.append(event(0, name=spool.producer))
        disk.is_failing = True
        with pytest.raises(UnavailableError):
            await spool.sync_others()
        disk.is_failing = False
        for _ in range(2):
            with pytest.raises(UnavailableError):
                await spool.sync_others()
        (tmp_path / FOLDER / f"{0:020}.seg").unlink()  # stored by the hub
        await spool.sync_others()
        await spool.close()
        await other.close()

    asyncio.run(run())
