"""What a worker has counted, kept from one process to the next: `run/tally-INDEX.json`.

Counters must never fall, or whoever reads them takes it for a restart; and what was created must equal what was
stored, dropped or is spooled over all processes that ever were, not only over those that live.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge.durable import replace_file
from edge.layout import SEGMENT_SUFFIX, NodePaths
from edge.metrics import Counts
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
    return paths.run / f"tally-{index}.json"


def read_tally(file: Path) -> Tally:
    """All zero where there is none."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Tally)
    except (OSError, msgspec.DecodeError):
        return Tally()


def write_tally(file: Path, tally: Tally) -> None:
    """Replace it."""
    replace_file(file, msgspec.json.encode(tally), durable=False)


def read_tallies(paths: NodePaths) -> dict[int, Tally]:
    """All workers' by index, also of workers that the node does not run any more."""
    return {int(file.stem.removeprefix("tally-")): read_tally(file) for file in paths.run.glob("tally-*.json")}


def inherited_tally(paths: NodePaths, index: int) -> Tally:
    """What a new process goes on from.

    A predecessor that was killed has numbered records after its last word; its spool says how many, as long as the
    agent has not shipped and deleted it.
    """
    last = read_tally(tally_file(paths, index))
    segments = sorted(paths.producer(last.epoch, index).glob(f"*{SEGMENT_SUFFIX}")) if last.epoch else []
    numbered = last.epoch_created
    for segment in segments[-1:]:
        for frame in scan(segment.read_bytes()):
            numbered = max(numbered, decode_record(frame.payload).seq + 1)
    return msgspec.structs.replace(last, created=last.created + numbered - last.epoch_created)
