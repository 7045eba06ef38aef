"""What lies in spool folders, for all who look at them and neither write nor ship.

Their segments in order, how much that is, and the records of one kind.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from edge.node.layout import SEGMENT_SUFFIX
from edgewise.errors import MALFORMED
from edgewise.frames import scan
from edgewise.records import DecisionRecord, EventRecord, GapRecord, PreferenceRecord, decode_record

TAGGED_BYTES: Final = 24
"""A record's tag stands at its beginning: whatever is of another kind is passed over undecoded."""

R = TypeVar("R", EventRecord, DecisionRecord, PreferenceRecord, GapRecord)


class Head(msgspec.Struct):
    """As much of a record as shipping and counting it take."""

    record: str
    seq: int
    first_seq: int = -1
    lane: str = ""


_heads = msgspec.msgpack.Decoder(Head)


def head_of(payload: bytes) -> Head | None:
    """None where a frame is whole and no record. One of a kind that is not known here has a head, too."""
    try:
        return _heads.decode(payload)
    except MALFORMED:
        return None


def segments_of(folder: Path) -> list[Path]:
    """A producer's segments in the order of their sequences; none where the folder is gone."""
    try:
        found = [path for path in folder.iterdir() if path.suffix == SEGMENT_SUFFIX and path.stem.isdecimal()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(found, key=lambda path: int(path.stem))


def segments_bytes(spool: Path) -> int:
    """Bytes of all segments of all producers; what is deleted meanwhile counts nothing."""
    total = 0
    for segment in spool.glob(f"*/*{SEGMENT_SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):
            total += segment.stat().st_size
    return total


def records_tagged(segment: Path, kind: type[R]) -> Iterator[R]:
    """A segment's records of one kind. What is whole and no record known here is passed over, as the reader does.

    Raises:
        FileNotFoundError: it was shipped meanwhile.
    """
    tag = msgspec.msgpack.encode(kind.__struct_config__.tag)
    for frame in scan(segment.read_bytes()):
        if tag in frame.payload[:TAGGED_BYTES]:
            with contextlib.suppress(*MALFORMED):
                record = decode_record(frame.payload)
                if isinstance(record, kind):
                    yield record
