"""What a worker has counted, kept from one process at its seat to the next: `run/tally-INDEX.json`.

Counters must never fall, or whoever reads them takes it for a restart; and what was created must equal what was
stored, dropped or is spooled over all processes that ever were, not only over those that live.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path

import msgspec

from edge.node.layout import NodePaths, ProducerKey, producer_of
from edge.spool.contents import head_of, records_tagged, segments_of
from edge.spool.home import read_synced, read_undeclared
from edge.spool.lanes import counts_in
from edge.spool.writer import SpoolWriter
from edge.worker.metrics import Counts
from edgewise.errors import MALFORMED
from edgewise.frames import scan
from edgewise.records import GapRecord


class Tally(msgspec.Struct, frozen=True):
    """One worker's counters since the node's folder was made."""

    epoch: int = 0
    """Of the process that wrote this."""
    epoch_created: int = 0
    """Records that this process has numbered."""
    created: int = 0
    """Records that it and its predecessors have numbered."""
    dropped: int = 0
    dropped_by_lane: dict[str, int] = {}
    """The same, lane by lane (`edge.spool.lanes`)."""
    dropped_unstored: int = 0
    """Of the records that this process has dropped: those whose numbers the hub has not covered yet."""
    counts: Counts = msgspec.field(default_factory=Counts)


def read_tally(file: Path) -> Tally:
    """All zero where there is none."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Tally)
    except (OSError, *MALFORMED):
        return Tally()


def encode_tally(tally: Tally) -> bytes:
    """The file's content."""
    return msgspec.json.encode(tally)


def read_tallies(paths: NodePaths) -> dict[int, Tally]:
    """All workers' by index, also of workers that the node does not run any more."""
    return {int(file.stem.removeprefix("tally-")): read_tally(file) for file in paths.run.glob("tally-*.json")}


def going_on(before: Tally, spool: SpoolWriter, *, epoch: int, stored_seq: int, counts: Counts) -> Tally:
    """What a process has counted on top of what it inherited; the hub has stored its records up to `stored_seq`."""
    return Tally(
        epoch=epoch,
        epoch_created=spool.next_seq,
        created=before.created + spool.next_seq,
        dropped=before.dropped + spool.dropped,
        dropped_by_lane=dict(Counter(before.dropped_by_lane) + Counter(spool.dropped_by_lane)),
        dropped_unstored=spool.dropped_above(stored_seq),
        counts=counts,
    )


def inherited_tally(paths: NodePaths, index: int) -> Tally:
    """What a new process goes on from.

    A predecessor that was killed has numbered and dropped records after its last word; its spool says how many, as
    long as the agent has not shipped and deleted it.
    """
    last = read_tally(paths.tally(index))
    if not last.epoch:
        return last
    folder = paths.producer(last.epoch, index)
    numbered, dropped = max(numbered_in(folder), last.epoch_created), Counter(last.dropped_by_lane)
    dropped.update(_dropped_since(folder, last.epoch_created))
    return msgspec.structs.replace(
        last,
        created=last.created + numbered - last.epoch_created,
        dropped=last.dropped + dropped.total() - sum(last.dropped_by_lane.values()),
        dropped_by_lane=dict(dropped),
    )


def numbered_in(folder: Path) -> int:
    """How many records a producer has numbered, as far as its last segment, its last gap and its last sync show."""
    segments = segments_of(folder)
    undeclared = read_undeclared(folder)
    # What was durable and is gone was numbered, too: the reader calls it lost.
    numbered = max(read_synced(folder), 0 if undeclared is None else undeclared.seq + 1)
    with contextlib.suppress(FileNotFoundError):
        if segments:
            numbered = max(numbered, _numbered_until(segments[-1], segments[-1].stat().st_size))
    return numbered


@lru_cache(maxsize=64)
def _numbered_until(segment: Path, _size_bytes: int) -> int:
    """By size, because a dead producer's segment is looked at again whenever somebody asks for the status."""
    numbered = int(segment.stem)
    for frame in scan(segment.read_bytes()):
        head = head_of(frame.payload)
        numbered = numbered if head is None else head.seq + 1
    return numbered


@lru_cache(maxsize=1_024)
def _gaps_in(segment: Path, _size_bytes: int) -> tuple[GapRecord, ...]:
    """By size, as above."""
    return tuple(records_tagged(segment, GapRecord))


def _dropped_since(folder: Path, seq: int) -> Counter[str]:
    """What a producer has dropped of the numbers from `seq` on, lane by lane."""
    dropped, until = Counter[str](), seq
    segments = segments_of(folder)
    # The one before the last that begins below `seq` ends there, or in the next.
    for segment, following in zip_longest(segments, segments[1:]):
        if following is not None and int(following.stem) <= seq:
            continue
        with contextlib.suppress(FileNotFoundError):
            for gap in _gaps_in(segment, segment.stat().st_size):
                if gap.seq >= until:
                    dropped.update(_part_of(gap, until))
                    until = gap.seq + 1
    undeclared = read_undeclared(folder)
    if undeclared is not None and undeclared.seq >= until:
        dropped.update(_part_of(undeclared, until))
    return dropped


def _part_of(gap: GapRecord, first_seq: int) -> dict[str, int]:
    if first_seq <= gap.first_seq:
        return counts_in(gap.lane, gap.count)
    # The rest of it was counted; of which lanes it was nobody has written down.
    label = min(counts_in(gap.lane, gap.count))
    return {label: gap.seq - first_seq + 1}


def pending_records(
    paths: NodePaths, living: Mapping[ProducerKey, tuple[int, int]], stored_seqs: Mapping[str, int]
) -> int:
    """How many records the hub has not stored yet, of all producers whose spool is still here.

    `living` says of each running producer how far it has numbered, and how many of what is not stored it has dropped;
    of all others their spool says both.
    """
    total = 0
    for folder in paths.spool.iterdir():
        key = producer_of(folder.name)
        if key is None:
            continue
        stored_seq = stored_seqs.get(folder.name, -1)
        # What is not here any more was stored; of the oldest segment that is, a part may be.
        if segments := segments_of(folder):
            stored_seq = max(stored_seq, int(segments[0].stem) - 1)
        if key in living:
            numbered, dropped = living[key]
        else:
            numbered, dropped = numbered_in(folder), _dropped_since(folder, stored_seq + 1).total()
        total += max(0, numbered - dropped - stored_seq - 1)
    return total
