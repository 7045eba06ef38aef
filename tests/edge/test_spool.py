"""The spool: numbering without holes, group commit, declared gaps, torn tails, failing disks."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spool_world import (
    NODE,
    assert_without_holes,
    declared,
    event,
    preference,
    records_in,
    segments,
    synced,
    writer,
)
from typing_extensions import override

from edge.node.layout import NodePaths, ProducerKey
from edge.spool.files import SystemFiles
from edge.spool.producers import is_alive
from edge.spool.reader import SpoolReader
from edgewise.errors import UnavailableError
from edgewise.frames import scan
from edgewise.records import EventRecord, GapRecord, Record, decode_record


class Disk(SystemFiles):
    """One whose failures to sync are planned."""

    def __init__(self) -> None:
        self.calls = 0
        self.failing: set[int] = set()

    @override
    def sync(self, descriptor: int) -> None:
        self.calls += 1
        if self.calls in self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(descriptor)


class FullingUp(SystemFiles):
    """As delayed allocation does it: the write is taken, the sync finds no room, and no new file takes a byte."""

    def __init__(self, full_when: Callable[[int], None]) -> None:
        self.is_failing = True
        self._full_when = full_when

    @override
    def sync(self, descriptor: int) -> None:
        if self.is_failing:
            self._full_when(0)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().sync(descriptor)


def test_records_come_back_in_order_and_are_announced_only_when_durable(tmp_path: Path) -> None:
    rung: list[int] = []

    async def run() -> None:
        spool = writer(tmp_path, on_synced=lambda: rung.append(synced(tmp_path)))
        for seq in range(5):
            assert spool.append(event(seq)) is not None
        assert synced(tmp_path) == 0
        assert not spool.is_synced()
        await spool.commit()
        assert spool.is_synced()
        await spool.close()

    asyncio.run(run())
    assert rung == [5]
    assert [record.seq for record in records_in(tmp_path)] == [0, 1, 2, 3, 4]


def test_a_number_is_used_once_and_none_is_left_out(tmp_path: Path) -> None:
    async def run() -> None:
        spool = writer(tmp_path)
        spool.append(event(0))
        for wrong in (0, 2):
            with pytest.raises(ValueError, match="expected n-test/1/0 1"):
                spool.append(event(wrong))
        await spool.close()

    asyncio.run(run())


def test_the_folder_is_held_while_the_producer_lives(tmp_path: Path) -> None:
    async def run() -> None:
        spool = writer(tmp_path)
        folder = tmp_path / "spool" / "0000000001-000"
        assert is_alive(folder)
        with pytest.raises(FileExistsError):
            writer(tmp_path)
        await spool.close()
        assert not is_alive(folder)

    asyncio.run(run())


def test_all_who_wait_share_one_sync(tmp_path: Path) -> None:
    disk = Disk()

    async def run() -> None:
        spool = writer(tmp_path, files=disk)

        async def click(seq: int) -> int:
            spool.append(event(seq))
            await spool.commit()
            return synced(tmp_path)

        durable = await asyncio.gather(*(click(seq) for seq in range(100)))
        assert all(upto > seq for seq, upto in enumerate(durable))
        await spool.close()

    asyncio.run(run())
    assert disk.calls <= 3


def test_who_commits_in_the_moment_in_which_a_sync_ends_gets_one_of_his_own(tmp_path: Path) -> None:
    """The sync has ended, whoever waited for it has not been told yet: nobody may wait for it any more."""

    async def run() -> None:
        late: list[asyncio.Task[None]] = []

        async def click() -> None:
            spool.append(event(spool.next_seq))
            await spool.commit()

        def click_again() -> None:
            if not late:
                late.append(asyncio.ensure_future(click()))

        spool = writer(tmp_path, on_synced=click_again)
        await click()
        async with asyncio.timeout(5):
            await late[0]
        assert synced(tmp_path) == 2
        await spool.close()

    asyncio.run(run())


def test_segments_roll_and_none_is_lost_between_them(tmp_path: Path) -> None:
    async def run() -> None:
        spool = writer(tmp_path, segment_bytes=1_000)
        for seq in range(50):
            spool.append(event(seq, size=100))
            if seq % 7 == 0:
                await spool.commit()
        await spool.close()

    asyncio.run(run())
    assert len(segments(tmp_path)) > 5
    assert segments(tmp_path)[0].name == f"{0:020}.seg"
    for file in segments(tmp_path):
        first = next(scan(file.read_bytes()))
        assert decode_record(first.payload).seq == int(file.stem)
    assert_without_holes(records_in(tmp_path), 50)
    assert synced(tmp_path) == 50


def test_beyond_the_bound_records_are_dropped_and_declared_but_never_a_visitors_will(tmp_path: Path) -> None:
    async def run() -> tuple[int, int]:
        spool = writer(tmp_path, most_bytes=2_000)
        kept = [spool.append(event(seq, size=200)) is not None for seq in range(30)]
        assert True in kept
        assert False in kept
        assert not spool.has_room()
        assert spool.append(preference(30)) is not None
        await spool.commit()
        assert_without_holes(records_in(tmp_path), 31)
        # The agent ships and deletes; then there is room again.
        for file in segments(tmp_path)[:-1]:
            file.unlink()
        segments(tmp_path)[-1].write_bytes(b"")
        await spool.measure()
        assert spool.has_room()
        created, dropped = spool.next_seq, spool.dropped
        assert dropped == kept.count(False)
        await spool.close()
        return created, dropped

    created, dropped = asyncio.run(run())
    assert (created, dropped > 0) == (31, True)


@given(
    sizes=st.lists(st.integers(0, 400), min_size=1, max_size=60),
    most_bytes=st.integers(500, 20_000),
    commits=st.sets(st.integers(0, 59)),
    drains=st.sets(st.integers(0, 59)),
    failures=st.sets(st.integers(1, 40)),
)
def test_created_is_in_the_spool_or_shipped_or_declared_dropped(
    sizes: list[int], most_bytes: int, commits: set[int], drains: set[int], failures: set[int]
) -> None:
    """Conservation under any mix of full spools, syncs that fail, and an agent that ships what is durable."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        disk = Disk()
        disk.failing = failures

        async def run() -> None:
            spool = writer(folder, most_bytes=most_bytes, segment_bytes=700, files=disk)
            shipped: list[Record] = []

            def ship() -> None:
                """As the agent does: whole segments below the last one, as far as they are durable."""
                for file in segments(folder)[:-1]:
                    found = [decode_record(each.payload) for each in scan(file.read_bytes())]
                    if found[-1].seq >= synced(folder):
                        return
                    shipped.extend(found)
                    file.unlink()

            for position, size in enumerate(sizes):
                spool.append(event(spool.next_seq, size=size))
                if position in commits:
                    try:
                        await spool.commit()
                    except UnavailableError:
                        continue
                if position in drains:
                    ship()
                    await spool.measure()
            disk.failing = set()
            ship()
            await spool.measure()
            created, dropped = spool.next_seq, spool.dropped
            await spool.close()
            everything = shipped + records_in(folder)
            assert_without_holes(everything, created)
            assert declared(everything) == dropped
            kept = sum(isinstance(record, EventRecord) for record in everything)
            assert created == kept + dropped == len(sizes)

        asyncio.run(run())


@pytest.mark.parametrize("failing", [{1}, {2}, {1, 3}])
def test_a_failed_sync_is_not_trusted_again_and_what_was_not_durable_is_written_elsewhere(
    tmp_path: Path, failing: set[int]
) -> None:
    disk = Disk()
    disk.failing = failing

    async def run() -> None:
        spool = writer(tmp_path, files=disk)
        for seq in range(4):
            spool.append(event(seq))
            await spool.commit()
            assert synced(tmp_path) == seq + 1
        await spool.close()

    asyncio.run(run())
    assert_without_holes(records_in(tmp_path), 4)
    assert disk.calls == 4 + len(failing)


def test_nothing_is_acknowledged_while_the_disk_fails_and_all_is_kept_for_when_it_recovers(tmp_path: Path) -> None:
    disk = Disk()
    disk.failing = {2, 3, 4, 5}

    async def run() -> None:
        spool = writer(tmp_path, files=disk)
        spool.append(event(0))
        await spool.commit()
        spool.append(event(1))
        for _ in range(2):
            with pytest.raises(UnavailableError, match="cannot be made durable"):
                await spool.commit()
        assert synced(tmp_path) == 1
        await spool.commit()
        assert synced(tmp_path) == 2
        await spool.close()

    asyncio.run(run())
    assert_without_holes(records_in(tmp_path), 2)


class Torn(SystemFiles):
    """While it fails, half of a frame is written, and cannot be cut off again."""

    is_failing = False

    @override
    def append(self, descriptor: int, data: bytes) -> int:
        return super().append(descriptor, data[: len(data) // 2] if self.is_failing else data)

    @override
    def truncate(self, descriptor: int, size_bytes: int) -> None:
        if self.is_failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().truncate(descriptor, size_bytes)


@pytest.mark.parametrize("whole", [0, 2])
def test_a_frame_that_can_be_neither_written_nor_cut_off_hides_nothing_that_follows(tmp_path: Path, whole: int) -> None:
    disk = Torn()

    async def run() -> None:
        spool = writer(tmp_path, files=disk)
        for seq in range(whole):
            assert spool.append(event(seq)) is not None
        disk.is_failing = True
        assert spool.append(event(whole)) is None
        disk.is_failing = False
        await spool.measure()
        assert spool.append(event(whole + 1)) is not None
        await spool.close()

    asyncio.run(run())
    records = records_in(tmp_path)
    assert_without_holes(records, whole + 2)
    assert declared(records) == 1


class Held(SystemFiles):
    """A sync takes until it is let go, and makes durable what had been written when it began."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.let_go = threading.Event()
        self.durable_bytes: dict[int, int] = {}

    @override
    def sync(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        self.began.set()
        assert self.let_go.wait(10)
        self.durable_bytes[status.st_ino] = status.st_size


def test_what_a_segment_takes_during_its_last_sync_is_synced_after_it_was_outgrown(tmp_path: Path) -> None:
    disk = Held()

    async def run() -> None:
        spool = writer(tmp_path, files=disk, segment_bytes=400)
        spool.append(event(0))
        first = asyncio.create_task(spool.commit())
        assert await asyncio.to_thread(disk.began.wait, 10)
        spool.append(event(1, size=500))
        spool.append(event(2))
        disk.let_go.set()
        await first
        await spool.commit()
        assert synced(tmp_path) == 3
        assert len(segments(tmp_path)) == 2
        for file in segments(tmp_path):
            assert disk.durable_bytes[file.stat().st_ino] == file.stat().st_size
        await spool.close()

    asyncio.run(run())


def test_what_a_worker_wrote_and_did_not_live_to_sync_is_synced_by_whoever_answers_for_it(tmp_path: Path) -> None:
    """A repetition of its message reached another worker: the acknowledgement is that one's."""
    disk = Held()
    disk.let_go.set()

    async def run() -> None:
        dead = writer(tmp_path, segment_bytes=100)
        for seq in range(3):
            dead.append(event(seq, size=100))
        other = writer(tmp_path, epoch=2, worker=1, files=disk)
        await other.commit()
        assert not disk.durable_bytes
        await other.sync_others()
        assert len(segments(tmp_path)) == 3
        for file in segments(tmp_path):
            assert disk.durable_bytes[file.stat().st_ino] == file.stat().st_size
        await other.close()
        await dead.close()

    asyncio.run(run())


def test_a_full_disk_is_declared_and_left_behind(tmp_path: Path, full_when: Callable[[int], None]) -> None:
    async def run() -> None:
        spool = writer(tmp_path)
        spool.append(event(0, size=100))
        full_when(300)
        lost = [spool.append(event(seq, size=400)) for seq in range(1, 4)]
        assert lost == [None, None, None]
        assert not spool.has_room()
        full_when(1 << 30)
        await spool.measure()
        await spool.settle()
        assert spool.append(event(4)) is not None
        await spool.close()

    asyncio.run(run())
    records = records_in(tmp_path)
    assert_without_holes(records, 5)
    assert declared(records) == 3
    assert [record.lane for record in records if isinstance(record, GapRecord)] == ["event"]


def test_what_a_failed_sync_loses_for_want_of_room_is_not_acknowledged(
    tmp_path: Path, full_when: Callable[[int], None]
) -> None:
    disk = FullingUp(full_when)

    async def run() -> None:
        spool = writer(tmp_path, files=disk)
        assert spool.append(event(0)) is not None
        with pytest.raises(UnavailableError, match="does not fit"):
            await spool.commit()
        assert spool.dropped == 1
        disk.is_failing = False
        full_when(1 << 30)
        await spool.close()

    asyncio.run(run())
    records = records_in(tmp_path)
    assert_without_holes(records, 1)
    assert declared(records) == 1


def test_a_loss_in_a_round_of_somebody_else_is_told_to_whoever_answers_for_the_record(
    tmp_path: Path, full_when: Callable[[int], None]
) -> None:
    disk = FullingUp(full_when)

    async def run() -> None:
        spool = writer(tmp_path, files=disk)
        assert spool.append(event(0)) is not None
        with pytest.raises(UnavailableError):
            await spool.settle()
        disk.is_failing = False
        full_when(1 << 30)
        await spool.measure()
        assert spool.append(event(1)) is not None
        with pytest.raises(UnavailableError, match="does not fit"):
            await spool.commit(since=0)
        await spool.commit(since=1)
        await spool.close()

    asyncio.run(run())
    records = records_in(tmp_path)
    assert_without_holes(records, 2)
    assert declared(records) == 1


@pytest.fixture
def full_when() -> object:
    """Sets the largest size that a file of this process may have: beyond it, writes fail as on a full disk."""
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_tail_torn_at_any_byte_hides_nothing_before_it(tmp_path: Path) -> None:
    async def run() -> None:
        spool = writer(tmp_path)
        for seq in range(3):
            spool.append(event(seq, size=20))
        await spool.close()

    asyncio.run(run())
    whole = segments(tmp_path)[0].read_bytes()
    ends = [found.end for found in scan(whole)]
    assert len(ends) == 3
    for cut in range(len(whole) + 1):
        kept = list(scan(whole[:cut]))
        assert [found.end for found in kept] == [end for end in ends if end <= cut]
        garbled = whole[:cut] + bytes(255 - byte for byte in whole[cut : cut + 1]) + whole[cut + 1 :]
        survivors = list(scan(garbled))
        assert [found.end for found in survivors][: len(kept)] == [found.end for found in kept]
        assert cut == len(whole) or len(survivors) == len(kept)


def test_a_quiet_node_lets_go_of_what_the_hub_has(tmp_path: Path) -> None:
    """A new segment begins when asked to, so that the one before may be deleted; nothing is lost between the two."""

    async def story() -> None:
        spool = writer(tmp_path)
        assert not spool.turn_over()  # there is nothing to let go of
        spool.append(event(0))
        assert not spool.turn_over()  # it is not durable yet
        await spool.commit()
        assert spool.turn_over()
        assert not spool.turn_over()  # the new one is empty
        assert len(segments(tmp_path)) == 2
        reader = SpoolReader(NodePaths(tmp_path).producer(1, 0), ProducerKey(1, 0), NODE)
        batch = reader.read()
        assert batch is not None
        assert (batch.first_seq, batch.last_seq, batch.lost) == (0, 0, 0)
        reader.acknowledge(0)
        (left,) = segments(tmp_path)
        assert left.read_bytes() == b""
        spool.append(event(1))
        await spool.commit()
        batch = reader.read()
        assert batch is not None
        assert (batch.first_seq, batch.last_seq, batch.lost) == (1, 1, 0)
        await spool.close()
        assert SpoolReader(NodePaths(tmp_path).producer(1, 0), ProducerKey(1, 0), NODE).next_seq == 1

    asyncio.run(story())
