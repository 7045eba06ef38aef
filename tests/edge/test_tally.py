"""What a seat has counted adds up over all processes that ever sat there, however each of them ended."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import msgspec
from hub_records import decision
from hypothesis import given, settings
from hypothesis import strategies as st
from spool_world import event, kill, records_of, writer

from edge.node.layout import NodePaths, ProducerKey
from edge.spool.contents import segments_of
from edge.spool.reader import SpoolReader
from edge.worker.metrics import Counts
from edge.worker.tally import encode_tally, going_on, inherited_tally, pending_records
from edgewise.frames import frame
from edgewise.ids import NodeId, SubjectId
from edgewise.records import GapRecord

STEPS = st.lists(st.sampled_from(["event", "decision", "decision", "word", "settle", "full", "room"]), max_size=40)


def kept_in(paths: NodePaths) -> int:
    return sum(not isinstance(record, GapRecord) for record in records_of(paths.spool))


async def live(paths: NodePaths, epoch: int, steps: list[str]) -> None:
    """One process: it works, speaks its word now and then, and is killed."""
    inherited = inherited_tally(paths, 0)
    spool = writer(paths.root, epoch=epoch, most_bytes=1 << 20, segment_bytes=600)
    name = spool.producer
    word = going_on(inherited, spool, epoch=epoch, stored_seq=-1, counts=Counts())
    for number, step in enumerate(["word", *steps]):
        match step:
            case "event":
                spool.append(event(spool.next_seq, size=60, name=name))
            case "decision":
                spool.append(decision(spool.next_seq, producer=name, number=number, subject=SubjectId("5" * 32)))
            case "settle":
                await spool.settle()
            case "full":
                spool._most_bytes = 0
            case "room":
                spool._most_bytes = 1 << 20
            case _:
                word = going_on(inherited, spool, epoch=epoch, stored_seq=-1, counts=Counts())
                paths.tally(0).write_bytes(encode_tally(word))
    kill(spool)


@given(lives=st.lists(STEPS, min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_created_is_what_is_kept_and_what_was_dropped_after_any_kill(lives: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        paths = NodePaths(Path(name))
        paths.create()
        for epoch, steps in enumerate(lives, start=1):
            asyncio.run(live(paths, epoch, steps))
            after, kept = inherited_tally(paths, 0), kept_in(paths)
            assert after.created == kept + after.dropped
            assert sum(after.dropped_by_lane.values()) == after.dropped
            assert pending_records(paths, {}, {}) == kept


def test_frames_that_are_no_record_known_here_keep_no_worker_from_starting(tmp_path: Path) -> None:
    paths = NodePaths(tmp_path)
    paths.create()
    asyncio.run(live(paths, 1, ["event"]))
    (segment,) = segments_of(paths.producer(1, 0))
    strange = [{"record": "gap"}, "no record", {"record": "of a later version", "seq": 1}, {"record": "gap", "lane": 7}]
    with segment.open("ab") as file:
        file.write(b"".join(frame(msgspec.msgpack.encode(content)) for content in strange))
    inherited = inherited_tally(paths, 0)
    assert (inherited.created, inherited.dropped) == (2, 0)
    assert handed_out(paths, 1) == (2, 0)


def test_what_was_durable_and_is_gone_was_created_as_much_as_the_reader_calls_lost(tmp_path: Path) -> None:
    paths = NodePaths(tmp_path)
    paths.create()
    asyncio.run(live(paths, 1, ["event", "event", "settle", "event", "settle"]))
    for segment in segments_of(paths.producer(1, 0)):
        os.truncate(segment, 0)
    assert inherited_tally(paths, 0).created == 3
    assert handed_out(paths, 1) == (3, 3)


def handed_out(paths: NodePaths, epoch: int) -> tuple[int, int]:
    """How many numbers of a dead producer the agent ships, and how many of them it calls lost."""
    reader = SpoolReader(paths.producer(epoch, 0), ProducerKey(epoch, 0), NodeId("n-test"))
    while reader.read() is not None:
        pass
    return reader.next_seq, reader.records_lost
