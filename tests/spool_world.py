"""One producer's spool in a test's folder, and what can be said of the records in it."""

from __future__ import annotations

import struct
from pathlib import Path

from edge.spool.home import SYNCED
from edge.spool.writer import SpoolWriter
from edgewise.consent import Grants
from edgewise.frames import scan
from edgewise.ids import MessageId, Producer, SubjectId
from edgewise.records import EventRecord, GapRecord, PreferenceRecord, Record, decode_record

PRODUCER = Producer("n-test/1/0")


def event(seq: int, *, size: int = 10, name: Producer = PRODUCER) -> EventRecord:
    """A record whose payload grows with `size`."""
    return EventRecord(
        producer=name,
        seq=seq,
        subject=SubjectId("00" * 16),
        message_id=MessageId(f"{name}:{seq}"),
        type="track",
        name="Product Viewed",
        time_ms=1_000 + seq,
        received_ms=1_000 + seq,
        grants=Grants(),
        body=b"x" * size,
    )


def preference(seq: int, *, name: Producer = PRODUCER) -> PreferenceRecord:
    return PreferenceRecord(producer=name, seq=seq, subject=SubjectId("00" * 16), time_ms=1, received_ms=1, dial=0)


def writer(folder: Path, **options: object) -> SpoolWriter:
    arguments: dict[str, object] = {"most_bytes": 1 << 30, **options}
    return SpoolWriter(folder / "spool" / "0000000001-000", producer=PRODUCER, **arguments)  # type: ignore[arg-type]


def segments(folder: Path) -> list[Path]:
    return sorted((folder / "spool" / "0000000001-000").glob("*.seg"))


def records_in(folder: Path) -> list[Record]:
    return [decode_record(found.payload) for file in segments(folder) for found in scan(file.read_bytes())]


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
