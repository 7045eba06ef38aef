"""A worker's spool: numbered records in append-only segments, shipped and deleted by the agent.

    spool/EPOCH-WORKER/   0000…00.seg, 0000…4711.seg, …   frames (`edgewise.frames`), named by their first sequence
                          lock, synced, undeclared, reserve  (`edge.spool.home`)

One write a record, never an fsync inside a request: whoever must not acknowledge before a record is durable awaits
`commit`, and all who wait share one fdatasync. Sequences have no holes: what was numbered and could not be kept is
declared by a `GapRecord`, so that at any time

    created = stored by the hub + declared dropped + in the spool.

When it fills up, records are dropped by their lane (`edge.spool.lanes`). On a disk that is full from the start the
folder is made once there is room; until then what is numbered is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import sys
from collections import Counter, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from edge.node.layout import segment_name
from edge.spool.contents import segments_bytes
from edge.spool.files import Files, SystemFiles
from edge.spool.home import Home
from edge.spool.lanes import SHARE, Lane, counts_in, label_of, lane_of
from edge.spool.others import Others, take_exception
from edge.spool.segment import Segment, Written
from edgewise.errors import UnavailableError
from edgewise.frames import MAX_PAYLOAD_BYTES, frame
from edgewise.ids import Producer
from edgewise.records import DecisionRecord, EventRecord, GapRecord, PreferenceRecord, encode_record

SEGMENT_BYTES: Final = 4 << 20
PREFERENCE_RESERVE_BYTES: Final = 1 << 20
"""How far preferences may go beyond the bound: a visitor's will is never dropped for want of room."""
UNSYNCED_BYTES: Final = 8 << 20
"""How much may wait for a disk that does not sync. It is kept in memory, too, to be written again elsewhere."""
REMEMBERED_GAPS: Final = 10_000
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class SpoolFullError(UnavailableError):
    """There is no room for a record that its sender can send again."""


class SpoolWriter:
    """Appends the records of one producer. Belongs to one event loop; only the fdatasync runs in a thread."""

    def __init__(
        self,
        folder: Path,
        *,
        producer: Producer,
        most_bytes: int,
        segment_bytes: int = SEGMENT_BYTES,
        on_synced: Callable[[], None] = lambda: None,
        files: Files | None = None,
    ) -> None:
        """Make the producer's folder and hold it.

        `most_bytes` bounds the whole spool folder of the node, as far as `measure` knows it. `on_synced` is called
        after each successful commit. `files` are the system calls, an argument so that their failures can be proven.
        On a full disk it goes without a folder until there is room.

        Raises:
            FileExistsError: the folder was used before; an epoch is never used twice.
            OSError: the folder cannot be made, and not for want of room.
        """
        self.producer: Final = producer
        self._folder = folder
        self._most_bytes = most_bytes
        self._disk_bytes = sys.maxsize
        """What there is and what the disk still takes, as last measured; until then it is taken for endless."""
        self._segment_bytes = segment_bytes
        self._on_synced = on_synced
        self._files = files = SystemFiles() if files is None else files
        self._others = Others(folder, files)
        self._segments: list[Segment] = []
        """Open files, the last one is written to."""
        self._written: deque[Written] = deque()
        self._unsynced_bytes = 0
        self._new_names = False
        self._next_seq = 0
        self._dropped: Counter[str] = Counter()
        self._gap: tuple[int, dict[str, int]] | None = None
        """First sequence of what was dropped and is not yet declared, and how many of each lane."""
        self._declared: deque[tuple[int, int]] = deque(maxlen=REMEMBERED_GAPS)
        """Last sequence and count of the gaps that were written down, for `dropped_above`."""
        self._lost_below = 0
        """Above every sequence that was taken and then lost to a failing disk."""
        self._measured_bytes = 0
        self._appended_bytes = 0
        self._disk_full = False
        self._round: asyncio.Task[None] | None = None
        self._home: Home | None = None
        self._move_in()

    # --- figures ------------------------------------------------------------------------------------------------------
    @property
    def next_seq(self) -> int:
        """The number that the next record must carry; also how many were created."""
        return self._next_seq

    @property
    def dropped(self) -> int:
        """Records that were numbered and dropped; each is declared by a gap record, or about to be."""
        return self._dropped.total()

    @property
    def dropped_by_lane(self) -> Mapping[str, int]:
        """The same, lane by lane (`edge.spool.lanes`)."""
        return self._dropped

    def dropped_above(self, seq: int) -> int:
        """How many of the numbers above `seq` were dropped: of what the hub has not covered, the part that is gone."""
        undeclared = 0 if self._gap is None else sum(self._gap[1].values())
        return undeclared + sum(count for last_seq, count in self._declared if last_seq > seq)

    @property
    def spooled_bytes(self) -> int:
        """Bytes in the node's spool folder: as last measured, and what this producer has written since."""
        return self._measured_bytes + self._appended_bytes

    @property
    def descriptors(self) -> list[int]:
        """Files that are open now: what the kernel closes when the process is killed."""
        held = [] if self._home is None else self._home.descriptors
        return [*held, *(segment.descriptor for segment in self._segments)]

    def is_synced(self) -> bool:
        """Whether nothing waits for a commit."""
        return not self._written and self._gap is None

    async def measure(self) -> None:
        """Look at what others wrote and the agent deleted, and give a full disk another chance."""
        before = self._appended_bytes
        measured, free_bytes = await asyncio.to_thread(self._look)
        self._measured_bytes = measured
        self._disk_bytes = measured + free_bytes
        self._appended_bytes -= before
        self._disk_full = False
        if self._home is not None:
            self._home.keep_reserve()

    def _look(self) -> tuple[int, int]:
        return segments_bytes(self._folder.parent), self._files.free_bytes(self._folder.parent)

    # --- writing ------------------------------------------------------------------------------------------------------
    def append(self, record: EventRecord | DecisionRecord | PreferenceRecord) -> bytes | None:
        """Write one record and return its payload; None when it was dropped, which a gap record then declares.

        Raises:
            ValueError: the record is not the next one of this producer.
        """
        if record.seq != self._next_seq or record.producer != self.producer:
            raise ValueError(f"record {record.producer} {record.seq}, expected {self.producer} {self._next_seq}")
        lane, payload = lane_of(record), encode_record(record)
        kept = len(payload) <= MAX_PAYLOAD_BYTES and self.has_room(lane) and self._put(record.seq, lane, frame(payload))
        self._next_seq += 1
        if kept:
            return payload
        self._dropped[lane] += 1
        first, lanes = self._gap or (record.seq, {})
        self._gap = first, {**lanes, lane: lanes.get(lane, 0) + 1}
        return None

    def has_room(self, lane: Lane = Lane.EVENT) -> bool:
        """Whether a record of this lane may be written now; where not, its sender should send it again, if he can."""
        if lane is Lane.PREFERENCE:
            reserve_bytes = PREFERENCE_RESERVE_BYTES
            return (
                self.spooled_bytes < self._most_bytes + reserve_bytes
                and self._unsynced_bytes < UNSYNCED_BYTES + reserve_bytes
            )
        most_bytes = SHARE[lane] * min(self._most_bytes, self._disk_bytes)
        return not self._disk_full and self.spooled_bytes < most_bytes and self._unsynced_bytes < UNSYNCED_BYTES

    def _put(self, seq: int, lane: Lane, framed: bytes) -> bool:
        """Write one record behind the gap before it; a visitor's will also into the room that is kept for it."""
        written = Written(seq, seq, lane, framed, is_gap=False)
        if self._declare_gap() and self._write(written):
            return True
        if lane is not Lane.PREFERENCE or self._home is None or not self._home.give_reserve():
            return False
        return self._declare_gap() and self._write(written)

    def _declare_gap(self) -> bool:
        """Write down what was dropped since the last record; True when nothing is left to declare."""
        if self._gap is None:
            return True
        gap = self._undeclared()
        assert gap is not None
        if not self._write(Written(gap.first_seq, gap.seq, gap.lane, frame(encode_record(gap)), is_gap=True)):
            return False
        self._gap = None
        self._declared.append((gap.seq, gap.count))
        return True

    def _undeclared(self) -> GapRecord | None:
        if self._gap is None:
            return None
        first, lanes = self._gap
        last = self._next_seq - 1
        return GapRecord(self.producer, first, last, label_of(lanes), last - first + 1)

    def _move_in(self) -> bool:
        """Make the folder, unless that was done; False while the disk is full."""
        if self._home is None and not self._disk_full:
            try:
                self._home = Home(self._folder, self._files)
            except OSError as failed:
                if failed.errno not in FULL:
                    raise
                self._disk_full = True
        return self._home is not None

    def _write(self, written: Written) -> bool:
        try:
            if not self._move_in():
                return False
            newest = self._segments[-1] if self._segments else None
            if newest is None or newest.is_torn or newest.size_bytes >= self._segment_bytes:
                self._segments.append(Segment(self._folder / segment_name(written.first_seq), self._files))
                self._new_names = True
            self._segments[-1].append(written.framed)
        except OSError:
            self._disk_full = True
            return False
        self._appended_bytes += len(written.framed)
        self._unsynced_bytes += len(written.framed)
        self._written.append(written)
        return True

    # --- durability ---------------------------------------------------------------------------------------------------
    async def commit(self, since: int | None = None) -> None:
        """Return once everything that was appended before is durable. All who wait share one fdatasync.

        `since` is the first sequence that the caller answers for, where something was awaited since it was appended:
        a round of somebody else's may have lost it meanwhile. Without it, what waits now is answered for.

        Raises:
            UnavailableError: the disk fails; nothing that was appended since the last commit may be acknowledged.
        """
        appended = self._next_seq
        if since is None:
            since = self._written[0].first_seq if self._written else appended
        # A round that was already under way may have begun before the last append: then another one is needed.
        while self._written and self._written[0].seq < appended:
            if self._round is None or self._round.done():
                self._round = asyncio.ensure_future(self._run_round())
                self._round.add_done_callback(take_exception)
            await asyncio.shield(self._round)
        if since < self._lost_below:
            # What is lost does not wait any more, so that nothing above has failed on its behalf.
            raise UnavailableError("the spool cannot be made durable: what was written to it does not fit on the disk")

    async def sync_others(self) -> None:
        """Make durable what other processes of the node have written, those that died before they could, too.

        For whoever answers for a record that is not this producer's: a repetition of what another worker took.

        Raises:
            UnavailableError: the disk fails.
        """
        try:
            await self._others.sync()
        except OSError as failed:
            raise UnavailableError(f"the spool cannot be made durable: {failed.strerror}") from failed

    async def _run_round(self) -> None:
        try:
            await self._sync_once()
        except OSError:
            # One more try in a new file; in the old one a later success would prove nothing (see the fsync reports
            # on PostgreSQL, 2018, wiki.postgresql.org/wiki/Fsync_Errors).
            self._start_over()
            try:
                await self._sync_once()
            except OSError as failed:
                self._start_over()
                raise UnavailableError(f"the spool cannot be made durable: {failed.strerror}") from failed

    async def _sync_once(self) -> None:
        if not self._written:
            return
        syncing = [(segment, segment.size_bytes) for segment in self._segments]
        frames = len(self._written)
        new_names, self._new_names = self._new_names, False
        await asyncio.get_running_loop().run_in_executor(
            None, self._sync_files, [segment.descriptor for segment, _ in syncing], new_names
        )
        for segment, size_bytes in syncing:
            segment.durable_bytes = size_bytes
        # An outgrown one may have grown once more while the sync was under way: then it takes part in the next.
        for segment in [each for each in self._segments[:-1] if each.durable_bytes == each.size_bytes]:
            self._files.close(segment.descriptor)
            self._segments.remove(segment)
        synced = self._written[frames - 1].seq + 1
        for _ in range(frames):
            self._unsynced_bytes -= len(self._written.popleft().framed)
        assert self._home is not None
        self._home.tell_synced(synced)
        self._on_synced()

    def _sync_files(self, descriptors: list[int], new_names: bool) -> None:  # noqa: FBT001  # positional for a thread
        for descriptor in descriptors:
            self._files.sync(descriptor)
        if new_names:
            self._files.sync_folder(self._folder)

    def _start_over(self) -> None:
        """Write what is not durable into a new segment, under the same numbers; what does not fit becomes a gap."""
        for segment in self._segments:
            segment.abandon()
        self._segments.clear()
        if self._home is not None:
            self._home.give_reserve()  # a disk that takes writes and finds no room for them at the sync
        waiting, self._written = list(self._written), deque()
        self._unsynced_bytes = 0
        for position, lost in enumerate(waiting):
            if not self._write(lost):
                self._lose(waiting[position:])
                return

    def _lose(self, waiting: list[Written]) -> None:
        """Give up the last frames that were written. Gaps among them dissolve into the one that begins here."""
        lanes = Counter(self._gap[1] if self._gap else {})
        for lost in waiting:
            counts = counts_in(lost.lanes, lost.seq - lost.first_seq + 1)
            lanes.update(counts)
            if not lost.is_gap:
                self._dropped.update(counts)
        self._gap = waiting[0].first_seq, dict(lanes)
        while self._declared and self._declared[-1][0] >= waiting[0].first_seq:
            self._declared.pop()
        self._lost_below = waiting[-1].seq + 1

    async def settle(self) -> None:
        """Declare what was dropped, if there is room for that, and commit; to be called now and then.

        Raises:
            UnavailableError: as `commit`.
        """
        if self._gap is not None and self.has_room(Lane.EXPOSURE):
            self._declare_gap()  # not above: one record every time would take the room that is left for conversions
        if self._home is not None:
            self._home.tell_gap(self._undeclared())
        await self.commit()

    def turn_over(self) -> bool:
        """Begin a new segment, so that the one before may be deleted as soon as the hub has it; True if so.

        Not while something waits to be durable or declared, and not behind a segment with nothing in it. Otherwise what
        visitors did would stay on the disk of a quiet node for as long as it is quiet, although the hub has it.
        """
        if self._written or self._gap is not None or not self._segments or not self._segments[-1].size_bytes:
            return False
        try:
            fresh = Segment(self._folder / segment_name(self._next_seq), self._files)
        except OSError:
            return False
        for segment in self._segments:
            self._files.close(segment.descriptor)
        self._segments = [fresh]
        self._new_names = True
        return True

    async def close(self) -> None:
        """Write down what is left to declare, make all durable as far as the disk lets us, and let go of the folder."""
        self._declare_gap()
        with contextlib.suppress(UnavailableError):
            await self.commit()
        for segment in self._segments:
            self._files.close(segment.descriptor)
        if self._home is not None:
            self._home.tell_gap(self._undeclared())
            self._home.close()
