"""What a worker has counted, kept from one process at its seat to the next: `run/tally-INDEX.json`.

Counters must never fall, or whoever reads them takes it for a restart; and what was created must equal what was
stored, dropped or is spooled over all processes that ever were, not only over those that live.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import msgspec

from edge.node.layout import SEGMENT_SUFFIX, NodePaths, ProducerKey, producer_of
from edge.worker.metrics import Counts
from edgewise.errors import MALFORMED
from edgewise.frames import scan
from edgewise.records import decode_record


class Tally(msgspec.Struct, frozen=True):
    """One worker's counters since the node's folder was made."""

    epoch: int = 0
    """Of the process that wrote this."""
    epoch_created: int = 0
    """Records that this process has numbered."""
    created: int = 0
    """Records that it and its predecessors have numbered."""
    dropped: int = 0
    counts: Counts = msgspec.field(default_factory=Counts)


def tally_file(paths: NodePaths, index: int) -> Path:
    """Where worker `index` keeps it."""
    return paths.tally(index)


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


def inherited_tally(paths: NodePaths, index: int) -> Tally:
    """What a new process goes on from.

    A predecessor that was killed has numbered records after its last word; its spool says how many, as long as the
    agent has not shipped and deleted it.
    """
    last = read_tally(tally_file(paths, index))
    spooled = numbered_in(paths.producer(last.epoch, index)) if last.epoch else 0
    numbered = max(spooled, last.epoch_created)
    return msgspec.structs.replace(last, created=last.created + numbered - last.epoch_created)


def numbered_in(folder: Path) -> int:
    """How many records a producer has numbered, as far as its last segment shows."""
    segments = sorted(folder.glob(f"*{SEGMENT_SUFFIX}"))
    if not segments:
        return 0
    try:
        return _numbered_until(segments[-1], segments[-1].stat().st_size)
    except FileNotFoundError:
        return 0


@lru_cache(maxsize=64)
def _numbered_until(segment: Path, _size_bytes: int) -> int:
    """By size, because a dead producer's segment is looked at again whenever somebody asks for the status."""
    numbered = int(segment.stem)
    for frame in scan(segment.read_bytes()):
        numbered = decode_record(frame.payload).seq + 1
    return numbered


def unstored_records(paths: NodePaths, living: Mapping[ProducerKey, int], stored_seqs: Mapping[str, int]) -> int:
    """How many numbers the hub has not covered yet, of all producers whose spool is still here.

    `living` says how far each running producer has numbered; of all others their spool says it.
    """
    total = 0
    for folder in paths.spool.iterdir():
        key = producer_of(folder.name)
        if key is None:
            continue
        numbered = living.get(key)
        if numbered is None:
            numbered = numbered_in(folder)
        # What is not here any more was stored; of the oldest segment that is, a part may be.
        oldest = min((int(segment.stem) for segment in folder.glob(f"*{SEGMENT_SUFFIX}")), default=numbered)
        total += max(0, numbered - max(oldest, stored_seqs.get(folder.name, -1) + 1))
    return total
