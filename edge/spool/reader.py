"""Reads one producer's spool in its sequence order, for the agent. The writer is `edge.spool.writer`.

Sequences come out without holes: where frames are damaged or gone, the missing numbers are declared by a `GapRecord`.
Of a living producer only what survives a power loss is read (`synced`); of a dead one all whole frames, because nobody
will ever number anything in its name again. A torn tail was never acknowledged to anybody: it is skipped and counted.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Final, NamedTuple

from edge.node.layout import ProducerKey
from edge.spool.contents import Head, head_of, segments_of
from edge.spool.files import Files, SystemFiles
from edge.spool.home import read_synced, read_undeclared
from edge.spool.lanes import counts_in
from edge.spool.producers import is_alive
from edgewise.frames import HEADER_BYTES, MAX_PAYLOAD_BYTES, scan
from edgewise.ids import NodeId, producer
from edgewise.records import GapRecord, encode_record

LOST: Final = "lost"
"""Lane of the gaps that are declared here."""
LEFTOVER_SUFFIX: Final = ".gone"
"""Of a folder that is stored whole and about to be deleted."""
BATCH_MOST_BYTES: Final = 1 << 20
BATCH_MOST_RECORDS: Final = 1_000
_CHUNK_BYTES: Final = BATCH_MOST_BYTES + HEADER_BYTES + MAX_PAYLOAD_BYTES
"""Holds at least one whole frame, wherever it starts."""


class Batch(NamedTuple):
    """Consecutive records of one producer."""

    first_seq: int
    last_seq: int
    records: list[bytes]
    lost: int = 0
    """How many numbers of it are gone, as the reader says in it."""


class _Segment(NamedTuple):
    first_seq: int
    path: Path
    until_seq: int | None
    """Where the next segment begins, and this one ends: a writer whose disk failed has written its last frames once
    more into the next one, and those count."""


class SpoolReader:
    """One producer's folder. `next_seq` is the first record that was not handed out yet."""

    def __init__(self, folder: Path, key: ProducerKey, node: NodeId, files: Files | None = None) -> None:
        self.folder: Final = folder
        self._files = SystemFiles() if files is None else files
        self.key: Final = key
        self.records_lost = 0
        """Numbers that were handed out as lost, each time that they were."""
        self.torn_bytes = 0
        self.is_exhausted = False
        """The producer is dead, and everything was handed out."""
        self._producer = producer(node, key.epoch, key.worker)
        self._segment_seq = -1
        self._offset = 0
        """Where to go on in the segment that begins with `_segment_seq`."""
        segments = self._segments()
        self.next_seq = segments[0].first_seq if segments else 0

    def seek(self, seq: int) -> None:
        """Hand out from this record on next; what is not here any more comes out as a gap."""
        if seq != self.next_seq:
            self.next_seq = seq
            self._segment_seq = -1
            self.is_exhausted = False

    def read(self) -> Batch | None:
        """The next records; None when there is nothing to ship now."""
        first_seq, records, size, lost = self.next_seq, list[bytes](), 0, self.records_lost
        if self.is_exhausted:
            return None
        # Asked before anything is read: who is dead now has written all that he ever will.
        alive = is_alive(self.folder)
        for payload in self._living(read_synced(self.folder)) if alive else self._dead():
            records.append(payload)
            size += len(payload)
            if size >= BATCH_MOST_BYTES or len(records) >= BATCH_MOST_RECORDS:
                break
        return Batch(first_seq, self.next_seq - 1, records, self.records_lost - lost) if records else None

    def acknowledge(self, stored_seq: int) -> None:
        """Delete what the hub has stored up to `stored_seq`: whole segments, at last a dead producer's folder."""
        if self.is_exhausted and stored_seq >= self.next_seq - 1:
            # At once out of sight: who is killed half way must not leave a part, which would be read as a loss.
            leftover = self.folder.with_name(self.folder.name + LEFTOVER_SUFFIX)
            with contextlib.suppress(OSError):
                self._files.rename(self.folder, leftover)
            remove_leftover(leftover)
            return
        for segment in self._segments():
            if segment.until_seq is not None and segment.until_seq <= stored_seq + 1:
                self._files.remove(segment.path)

    @property
    def is_gone(self) -> bool:
        """Whether `acknowledge` has removed everything."""
        return not self.folder.exists()

    # --- in order ----------------------------------------------------------------------------------------------------
    # Each generator moves `next_seq` before it yields, so that it may be left at any time.
    def _living(self, synced: int) -> Iterator[bytes]:
        yield from self._records(self._segments(), synced)

    def _dead(self) -> Iterator[bytes]:
        segments = self._segments()
        yield from self._records(segments, None)
        if (synced := read_synced(self.folder)) > self.next_seq:
            yield self._gap(synced - 1)
        dropped = read_undeclared(self.folder)
        if dropped is not None and dropped.producer == self._producer and dropped.seq >= self.next_seq:
            if dropped.first_seq > self.next_seq:
                yield self._gap(dropped.first_seq - 1)
            head = Head("gap", dropped.seq, dropped.first_seq, dropped.lane)
            yield self._passed(head, encode_record(dropped))
        if segments:
            read_bytes = self._offset if segments[-1].first_seq == self._segment_seq else 0
            self.torn_bytes += max(0, segments[-1].path.stat().st_size - read_bytes)
        self.is_exhausted = True

    def _records(self, segments: list[_Segment], synced: int | None) -> Iterator[bytes]:
        if segments and segments[0].first_seq > self.next_seq and _is_below(segments[0].first_seq, synced):
            yield self._gap(segments[0].first_seq - 1)
        for segment in segments:
            if segment.until_seq is not None and segment.until_seq <= self.next_seq:
                continue
            yield from self._records_of(segment, synced)
            if segment.until_seq is None or not _is_below(segment.until_seq, synced):
                return
            if segment.until_seq > self.next_seq:
                yield self._gap(segment.until_seq - 1)

    def _records_of(self, segment: _Segment, synced: int | None) -> Iterator[bytes]:
        if segment.first_seq != self._segment_seq:
            self._segment_seq, self._offset = segment.first_seq, 0
        while True:
            start = self._offset
            for frame in scan(_read(segment.path, start)):
                head = head_of(frame.payload)
                if head is not None and head.seq >= self.next_seq:
                    ends = segment.until_seq is not None and head.seq >= segment.until_seq
                    if ends or not _is_below(head.seq + 1, synced):
                        return
                    if max(head.first_seq, 0) > self.next_seq or (head.first_seq < 0 and head.seq > self.next_seq):
                        yield self._gap((head.first_seq if head.first_seq >= 0 else head.seq) - 1)
                    self._offset = start + frame.end
                    yield self._passed(head, frame.payload)
                else:
                    # Older than what is wanted; or whole, but no record: its number is missed at the next one.
                    self._offset = start + frame.end
            if self._offset == start:
                return

    def _passed(self, head: Head, payload: bytes) -> bytes:
        """The record, as it is; of a gap that the hub knows in part, the rest."""
        if 0 <= head.first_seq < self.next_seq:
            label = "+".join(sorted(counts_in(head.lane, head.seq - head.first_seq + 1)))
            gap = GapRecord(self._producer, self.next_seq, head.seq, label, head.seq - self.next_seq + 1)
            payload = encode_record(gap)
        self.next_seq = head.seq + 1
        return payload

    def _gap(self, last_seq: int) -> bytes:
        count = last_seq - self.next_seq + 1
        gap = GapRecord(self._producer, self.next_seq, last_seq, LOST, count)
        self.records_lost += count
        self.next_seq = last_seq + 1
        return encode_record(gap)

    # --- files -------------------------------------------------------------------------------------------------------
    def _segments(self) -> list[_Segment]:
        found = [(int(path.stem), path) for path in segments_of(self.folder)]
        ends = [first for first, _ in found[1:]]
        return [_Segment(first, path, until) for (first, path), until in zip_longest(found, ends)]


def remove_leftover(folder: Path) -> None:
    """Delete a folder that was put out of sight, as far as it lets itself be deleted."""
    shutil.rmtree(folder, ignore_errors=True)


def _is_below(seq: int, synced: int | None) -> bool:
    """Whether everything before `seq` may be shipped."""
    return synced is None or seq <= synced


def _read(segment: Path, offset: int) -> bytes:
    try:
        with segment.open("rb") as file:
            file.seek(offset)
            return file.read(_CHUNK_BYTES)
    except FileNotFoundError:
        return b""
