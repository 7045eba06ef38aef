"""A worker's spool: numbered records in append-only segments, shipped and deleted by the agent.

    spool/EPOCH-WORKER/   0000…00.seg, 0000…4711.seg, …   frames (`edgewise.frames`), named by their first sequence
                          synced                           u64, little endian: records below it survive a power loss
                          lock                             held while this process lives (`edge.spool.producers`)

One write a record, never an fsync inside a request: whoever must not acknowledge before a record is durable awaits
`commit`, and all who wait share one fdatasync. Sequences have no holes: what was numbered and could not be kept is
declared by a `GapRecord`, so that at any time

    created = stored by the hub + declared dropped + in the spool.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from edge.node.layout import SEGMENT_SUFFIX, producer_of, segment_name
from edge.spool.files import Files, SystemFiles
from edge.spool.producers import hold
from edgewise.errors import UnavailableError
from edgewise.frames import MAX_PAYLOAD_BYTES, frame
from edgewise.ids import Producer
from edgewise.records import DecisionRecord, EventRecord, GapRecord, PreferenceRecord, Record, encode_record

SEGMENT_BYTES: Final = 4 << 20
PREFERENCE_RESERVE_BYTES: Final = 1 << 20
"""How far preferences may go beyond the bound: a visitor's will is never dropped for want of room."""
UNSYNCED_BYTES: Final = 8 << 20
"""How much may wait for a disk that does not sync. It is kept in memory, too, to be written again elsewhere."""
SYNCED: Final = "synced"

_u64 = struct.Struct("<Q")


class SpoolFullError(UnavailableError):
    """There is no room for a record that its sender can send again."""


class _Written(NamedTuple):
    """A frame that is in a file and not yet durable. `first_seq` differs from `seq` for a gap only."""

    first_seq: int
    seq: int
    lanes: str
    framed: bytes
    is_gap: bool


class _Segment:
    """One open file. `durable_bytes` of its `size_bytes` have been synced."""

    def __init__(self, path: Path, files: Files) -> None:
        self.path = path
        self._files = files
        # One that is there already was given up before any of it counted, and did not let itself be removed or cut.
        files.remove(path)
        self.descriptor = files.create(path, appends=True)
        self.size_bytes = 0
        self.durable_bytes = 0
        self.is_torn = False
        """Part of a frame is left at its end, and would hide whatever followed."""

    def append(self, framed: bytes) -> None:
        """Raises OSError; then nothing of `framed` counts."""
        written_bytes = 0
        try:
            written_bytes = self._files.append(self.descriptor, framed)
        finally:
            if written_bytes != len(framed):
                self.is_torn = True
                self._files.truncate(self.descriptor, self.size_bytes)
                self.is_torn = False
        if written_bytes != len(framed):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size_bytes += len(framed)

    def abandon(self) -> None:
        """Keep only what is durable. A failed sync is not tried again: the kernel may already call it done."""
        with contextlib.suppress(OSError):
            self._files.truncate(self.descriptor, self.durable_bytes)
        if not self.durable_bytes:
            with contextlib.suppress(OSError):
                self._files.remove(self.path)
        self._files.close(self.descriptor)


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

        Raises:
            FileExistsError: the folder was used before; an epoch is never used twice.
        """
        self.producer: Final = producer
        self._folder = folder
        self._most_bytes = most_bytes
        self._segment_bytes = segment_bytes
        self._on_synced = on_synced
        self._files = files = SystemFiles() if files is None else files
        self._lock = hold(folder, files)
        self._synced_file = files.create(folder / SYNCED, appends=False)
        files.overwrite(self._synced_file, _u64.pack(0))
        self._segments: list[_Segment] = []
        """Open files, the last one is written to."""
        self._written: deque[_Written] = deque()
        self._unsynced_bytes = 0
        self._new_names = False
        self._next_seq = 0
        self._dropped = 0
        self._gap: tuple[int, set[str]] | None = None
        """First sequence and the lanes of what was dropped and is not yet declared."""
        self._lost_below = 0
        """Above every sequence that was taken and then lost to a failing disk."""
        self._measured_bytes = 0
        self._appended_bytes = 0
        self._disk_full = False
        self._round: asyncio.Task[None] | None = None

    # --- figures ------------------------------------------------------------------------------------------------------
    @property
    def next_seq(self) -> int:
        """The number that the next record must carry; also how many were created."""
        return self._next_seq

    @property
    def dropped(self) -> int:
        """Records that were numbered and dropped; each is declared by a gap record, or about to be."""
        return self._dropped

    @property
    def spooled_bytes(self) -> int:
        """Bytes in the node's spool folder: as last measured, and what this producer has written since."""
        return self._measured_bytes + self._appended_bytes

    def is_synced(self) -> bool:
        """Whether nothing waits for a commit."""
        return not self._written and self._gap is None

    def has_room(self) -> bool:
        """Whether a record that its sender can send again should be taken now."""
        return not self._disk_full and self._fits(reserve_bytes=0)

    async def measure(self) -> None:
        """Look at what others wrote and the agent deleted, and give a full disk another chance."""
        before = self._appended_bytes
        measured = await asyncio.to_thread(_folder_bytes, self._folder.parent)
        self._measured_bytes = measured
        self._appended_bytes -= before
        self._disk_full = False

    # --- writing ------------------------------------------------------------------------------------------------------
    def append(self, record: EventRecord | DecisionRecord | PreferenceRecord) -> bytes | None:
        """Write one record and return its payload; None when it was dropped, which a gap record then declares.

        Raises:
            ValueError: the record is not the next one of this producer.
        """
        if record.seq != self._next_seq or record.producer != self.producer:
            raise ValueError(f"record {record.producer} {record.seq}, expected {self.producer} {self._next_seq}")
        lane, payload = _lane(record), encode_record(record)
        reserve_bytes = PREFERENCE_RESERVE_BYTES if isinstance(record, PreferenceRecord) else 0
        kept = (
            len(payload) <= MAX_PAYLOAD_BYTES
            and self._fits(reserve_bytes=reserve_bytes)
            and self._declare_gap()
            and self._write(_Written(record.seq, record.seq, lane, frame(payload), is_gap=False))
        )
        self._next_seq += 1
        if kept:
            return payload
        self._dropped += 1
        first, lanes = self._gap or (record.seq, set())
        self._gap = first, lanes | {lane}
        return None

    def _fits(self, *, reserve_bytes: int) -> bool:
        return self.spooled_bytes < self._most_bytes + reserve_bytes and self._unsynced_bytes < UNSYNCED_BYTES

    def _declare_gap(self) -> bool:
        """Write down what was dropped since the last record; True when nothing is left to declare."""
        if self._gap is None:
            return True
        first, lanes = self._gap
        last = self._next_seq - 1
        gap = GapRecord(self.producer, first, last, "+".join(sorted(lanes)), last - first + 1)
        if not self._write(_Written(first, last, gap.lane, frame(encode_record(gap)), is_gap=True)):
            return False
        self._gap = None
        return True

    def _write(self, written: _Written) -> bool:
        try:
            newest = self._segments[-1] if self._segments else None
            if newest is None or newest.is_torn or newest.size_bytes >= self._segment_bytes:
                self._segments.append(_Segment(self._folder / segment_name(written.first_seq), self._files))
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
                self._round.add_done_callback(_take_exception)
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
            await asyncio.get_running_loop().run_in_executor(None, _sync_others, self._folder, self._files)
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
        # Not vital: whoever takes over from a dead process trusts the frames, not this number.
        with contextlib.suppress(OSError):
            self._files.overwrite(self._synced_file, _u64.pack(synced))
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
        waiting, self._written = list(self._written), deque()
        self._unsynced_bytes = 0
        for position, lost in enumerate(waiting):
            if not self._write(lost):
                self._lose(waiting[position:])
                return

    def _lose(self, waiting: list[_Written]) -> None:
        """Give up the last frames that were written. Gaps among them dissolve into the one that begins here."""
        _, lanes = self._gap or (0, set())
        self._dropped += sum(not lost.is_gap for lost in waiting)
        self._gap = waiting[0].first_seq, lanes.union(*(lost.lanes.split("+") for lost in waiting))
        self._lost_below = waiting[-1].seq + 1

    async def settle(self) -> None:
        """Declare what was dropped, if there is room for that, and commit; to be called now and then.

        Raises:
            UnavailableError: as `commit`.
        """
        if self._gap is not None and self._fits(reserve_bytes=0):
            self._declare_gap()
        await self.commit()

    async def close(self) -> None:
        """Write down what is left to declare, make all durable as far as the disk lets us, and let go of the folder."""
        self._declare_gap()
        with contextlib.suppress(UnavailableError):
            await self.commit()
        for descriptor in (*(segment.descriptor for segment in self._segments), self._synced_file, self._lock):
            self._files.close(descriptor)


def _take_exception(ended: asyncio.Task[None]) -> None:
    """It has been raised in all who waited, if anybody did."""
    if not ended.cancelled():
        ended.exception()


def _lane(record: Record) -> str:
    match record:
        case PreferenceRecord():
            return "preference"
        case EventRecord():
            return "event"
        case DecisionRecord():
            return "exposure"
        case GapRecord():
            return record.lane


def _sync_others(own: Path, files: Files) -> None:
    """A segment that is durable already costs microseconds; what is gone meanwhile is stored."""
    for folder in own.parent.iterdir():
        if folder == own or producer_of(folder.name) is None:
            continue
        for segment in folder.glob(f"*{SEGMENT_SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                descriptor = files.open(segment)
                try:
                    files.sync(descriptor)
                finally:
                    files.close(descriptor)
        with contextlib.suppress(FileNotFoundError):
            files.sync_folder(folder)


def _folder_bytes(spool: Path) -> int:
    """Bytes of all segments of all producers; what is deleted meanwhile counts nothing."""
    total = 0
    for segment in spool.glob(f"*/*{SEGMENT_SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):
            total += segment.stat().st_size
    return total
