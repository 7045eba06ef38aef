"""One producer's spool in a test's folder, and what can be said of the records in it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import hub_records

from edge.node.layout import NodePaths
from edge.spool.home import SYNCED
from edge.spool.writer import SpoolWriter
from edgewise.consent import Grants
from edgewise.frames import scan
from edgewise.ids import NodeId, Producer, SubjectId, producer
from edgewise.records import EventRecord, GapRecord, PreferenceRecord, Record, decode_record

NODE = NodeId("n-test")
PRODUCER = producer(NODE, 1, 0)
NOBODY = SubjectId("00" * 16)


def event(seq: int, *, size: int = 10, name: Producer = PRODUCER) -> EventRecord:
    """A record whose payload grows with `size`."""
    return hub_records.event(
        seq,
        producer=name,
        subject=NOBODY,
        name="Product Viewed",
        time_ms=1_000 + seq,
        received_ms=1_000 + seq,
        grants=Grants(),
        touches=(),
        body=b"x" * size,
    )


def preference(seq: int, *, name: Producer = PRODUCER) -> PreferenceRecord:
    return hub_records.preference(seq, producer=name, subject=NOBODY, time_ms=1, received_ms=1, dial=0)


def writer(folder: Path, *, epoch: int = 1, worker: int = 0, **options: Any) -> SpoolWriter:
    """The spool of one of the node's processes: of another one, where it is not the first."""
    return SpoolWriter(
        NodePaths(folder).producer(epoch, worker),
        producer=producer(NODE, epoch, worker),
        **{"most_bytes": 1 << 30, **options},
    )


def kill(spool: SpoolWriter) -> None:
    """SIGKILL: nothing runs any more, and the kernel closes all files and lets go of the lock."""
    if spool._round is not None:
        spool._round.cancel()
    for descriptor in spool.descriptors:
        spool._files.close(descriptor)


def segments(folder: Path) -> list[Path]:
    return sorted((folder / "spool" / "0000000001-000").glob("*.seg"))


def records_of(spool: Path) -> list[Record]:
    """All records of all producers below a node's spool folder."""
    files = sorted(spool.glob("*/*.seg"))
    return [decode_record(found.payload) for file in files for found in scan(file.read_bytes())]


def records_in(folder: Path) -> list[Record]:
    """Those of the one producer that `writer` makes."""
    return records_of(folder / "spool")


def synced(folder: Path) -> int:
    number: int = struct.unpack("<Q", (folder / "spool" / "0000000001-000" / SYNCED).read_bytes())[0]
    return number


def declared(records: list[Record]) -> int:
    return sum(record.count for record in records if isinstance(record, GapRecord))


def assert_without_holes(records: list[Record], created: int) -> None:
    """Every number from 0 to `created` is there once: as a record, or inside a gap."""
    at = 0
    for record in records:
        first = record.first_seq if isinstance(record, GapRecord) else record.seq
        assert first == at
        at = record.seq + 1
    assert at == created
