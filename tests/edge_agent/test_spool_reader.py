"""What comes out of a spool: every record once, in order, and every number that is missing declared."""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.node.layout import ProducerKey, segment_name
from edge.spool.producers import hold
from edge.spool.reader import BATCH_MOST_RECORDS, LOST, SpoolReader
from edgewise.consent import Grants
from edgewise.frames import frame, scan
from edgewise.ids import MessageId, NodeId, Producer, SubjectId
from edgewise.records import EventRecord, GapRecord, Record, decode_record, encode_record

NODE = NodeId("n-test")
KEY = ProducerKey(1, 0)
PRODUCER = Producer("n-test/1/0")


def event(seq: int, size: int = 10) -> EventRecord:
    return EventRecord(
        producer=PRODUCER,
        seq=seq,
        subject=SubjectId("00" * 16),
        message_id=MessageId(f"m-{seq}"),
        type="track",
        name="Product Viewed",
        time_ms=seq,
        received_ms=seq,
        grants=Grants(),
        body=b"x" * size,
    )


def gap(first_seq: int, last_seq: int, lane: str = "exposure") -> GapRecord:
    return GapRecord(PRODUCER, first_seq, last_seq, lane, last_seq - first_seq + 1)


def framed(*records: Record) -> bytes:
    return b"".join(frame(encode_record(record)) for record in records)


class Spool:
    """A producer's folder, written by hand."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "spool" / "0000000001-000"
        self.held = hold(self.folder)

    def segment(self, first_seq: int, content: bytes) -> Path:
        path = self.folder / segment_name(first_seq)
        path.write_bytes(content)
        return path

    def sync(self, until: int) -> None:
        (self.folder / "synced").write_bytes(struct.pack("<Q", until))

    def die(self) -> None:
        os.close(self.held)

    def reader(self) -> SpoolReader:
        return SpoolReader(self.folder, KEY, NODE)


def drained(reader: SpoolReader) -> list[Record]:
    found: list[Record] = []
    while (batch := reader.read()) is not None:
        assert batch.first_seq == (found[-1].seq + 1 if found else batch.first_seq)
        found += map(decode_record, batch.records)
        assert found[-1].seq == batch.last_seq
    return found


def numbers(records: Sequence[Record]) -> list[int]:
    """Every number that a list of records stands for."""
    found: list[int] = []
    for record in records:
        found += range(record.first_seq if isinstance(record, GapRecord) else record.seq, record.seq + 1)
    return found


def lost(records: Sequence[Record]) -> list[int]:
    return numbers([record for record in records if isinstance(record, GapRecord) and record.lane == LOST])


def test_of_a_living_producer_only_what_is_durable_comes_out(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.segment(0, framed(*map(event, range(5))))
    reader = spool.reader()
    assert reader.read() is None
    spool.sync(3)
    assert drained(reader) == [event(0), event(1), event(2)]
    assert reader.read() is None
    spool.sync(5)
    assert drained(reader) == [event(3), event(4)]
    assert not reader.is_exhausted


def test_of_a_dead_producer_everything_whole_comes_out_and_the_folder_goes(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.segment(0, framed(*map(event, range(5))))
    spool.sync(3)
    reader = spool.reader()
    spool.die()
    assert drained(reader) == [event(seq) for seq in range(5)]
    assert reader.is_exhausted
    reader.acknowledge(3)
    assert not reader.is_gone
    reader.acknowledge(4)
    assert reader.is_gone


def test_a_producer_that_died_before_its_first_record_leaves_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.die()
    reader = spool.reader()
    assert reader.read() is None
    reader.acknowledge(-1)
    assert reader.is_gone


def test_stored_segments_are_deleted_but_never_the_one_that_is_written_to(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    files = [spool.segment(first, framed(*map(event, range(first, first + 10)))) for first in (0, 10, 20)]
    spool.sync(30)
    reader = spool.reader()
    assert numbers(drained(reader)) == list(range(30))
    reader.acknowledge(8)
    assert all(file.exists() for file in files)
    reader.acknowledge(9)
    assert [file.exists() for file in files] == [False, True, True]
    reader.acknowledge(29)
    assert [file.exists() for file in files] == [False, False, True]


def test_gaps_pass_as_they_are(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.segment(0, framed(event(0), gap(1, 4), event(5)))
    spool.segment(6, framed(gap(6, 9), event(10)))
    spool.sync(11)
    records = drained(spool.reader())
    assert records == [event(0), gap(1, 4), event(5), gap(6, 9), event(10)]


def test_a_gap_that_the_hub_knows_in_part_is_passed_as_the_rest(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.segment(0, framed(event(0), gap(1, 4), event(5)))
    spool.sync(6)
    reader = spool.reader()
    reader.seek(3)
    assert drained(reader) == [gap(3, 4), event(5)]


def test_frames_that_were_written_again_into_a_new_segment_come_out_once(tmp_path: Path) -> None:
    """As `edge.spool.writer` does after a failed fdatasync: the old file may still show what was not durable."""
    spool = Spool(tmp_path)
    spool.segment(0, framed(*map(event, range(6)))[:-3])
    spool.segment(3, framed(*map(event, range(3, 8))))
    spool.sync(8)
    assert drained(spool.reader()) == [event(seq) for seq in range(8)]


def test_a_hub_that_was_restored_gets_what_is_left_and_the_rest_as_a_gap(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.segment(10, framed(*map(event, range(10, 15))))
    spool.sync(15)
    reader = spool.reader()
    assert numbers(drained(reader)) == list(range(10, 15))
    reader.seek(4)
    records = drained(reader)
    assert records[0] == gap(4, 9, LOST)
    assert numbers(records) == list(range(4, 15))
    assert reader.records_lost == 6


def test_a_hub_that_knows_more_than_this_agent_is_not_told_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.segment(0, framed(*map(event, range(10))))
    spool.sync(10)
    reader = spool.reader()
    reader.seek(7)
    assert numbers(drained(reader)) == [7, 8, 9]


def test_a_segment_that_vanished_is_declared(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.segment(0, framed(*map(event, range(3))))
    spool.segment(3, framed(*map(event, range(3, 6)))).unlink()
    spool.segment(6, framed(*map(event, range(6, 9))))
    spool.sync(9)
    records = drained(spool.reader())
    assert numbers(records) == list(range(9))
    assert lost(records) == [3, 4, 5]


def test_a_whole_frame_that_is_no_record_is_declared_and_stops_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.segment(0, framed(event(0)) + frame(b"\xc1 not msgpack") + framed(event(2)))
    spool.sync(3)
    records = drained(spool.reader())
    assert (numbers(records), lost(records)) == ([0, 1, 2], [1])


def test_damage_in_the_open_segment_waits_until_it_is_closed(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    content = framed(*map(event, range(4)))
    frames = list(scan(content))
    damaged = bytearray(content)
    damaged[frames[1].start + 12] ^= 1
    spool.segment(0, bytes(damaged))
    spool.sync(4)
    reader = spool.reader()
    assert drained(reader) == [event(0)]
    spool.segment(4, framed(event(4)))
    spool.sync(5)
    records = drained(reader)
    assert (numbers(records), lost(records)) == ([1, 2, 3, 4], [1, 2, 3])


def test_batches_are_bounded(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    count = BATCH_MOST_RECORDS + 10
    spool.segment(0, framed(*map(event, range(count))))
    spool.segment(count, framed(*(event(seq, size=400_000) for seq in range(count, count + 7))))
    spool.sync(count + 7)
    reader = spool.reader()
    sizes = []
    while (batch := reader.read()) is not None:
        sizes.append(len(batch.records))
    assert sizes == [BATCH_MOST_RECORDS, 13, 3, 1]


@pytest.mark.parametrize("cut_bytes", range(len(framed(event(3)))))
def test_a_torn_tail_is_skipped_and_counted_at_every_byte(tmp_path: Path, cut_bytes: int) -> None:
    spool = Spool(tmp_path)
    whole, last = framed(*map(event, range(3))), framed(event(3))
    spool.segment(0, whole + last[:cut_bytes])
    spool.sync(2)
    spool.die()
    reader = spool.reader()
    assert drained(reader) == [event(0), event(1), event(2)]
    assert reader.torn_bytes == cut_bytes
    reader.acknowledge(2)
    assert reader.is_gone


@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    data=st.data(),
    lives=st.booleans(),
)
def test_whatever_is_flipped_every_number_comes_out_once(lengths: list[int], data: st.DataObject, lives: bool) -> None:  # noqa: FBT001
    """One damaged byte costs at most the rest of its segment; nothing is made up, nothing is passed over in silence."""
    with tempfile.TemporaryDirectory() as root:
        spool = Spool(Path(root))
        first, files, contents = 0, [], []
        for length in lengths:
            contents.append(framed(*map(event, range(first, first + length))))
            files.append(spool.segment(first, contents[-1]))
            first += length
        spool.sync(first)
        hit = data.draw(st.integers(0, len(files) - 1))
        at = data.draw(st.integers(0, len(contents[hit]) - 1))
        bit = data.draw(st.integers(0, 7))
        content = bytearray(contents[hit])
        content[at] ^= 1 << bit
        files[hit].write_bytes(content)
        if not lives:
            spool.die()
        records = drained(spool.reader())
        if lives:
            os.close(spool.held)
        starts = [sum(lengths[:index]) for index in range(len(lengths) + 1)]
        whole = starts[hit] + sum(found.end <= at for found in scan(contents[hit]))
        # The open segment of a living producer is waited for.
        expected = whole if lives and hit == len(files) - 1 else first
        assert numbers(records) == list(range(expected))
        assert lost(records) == list(range(whole, min(expected, starts[hit + 1])))
        assert [record for record in records if not isinstance(record, GapRecord)] == [
            event(seq) for seq in range(expected) if seq not in lost(records)
        ]
