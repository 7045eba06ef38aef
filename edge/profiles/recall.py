"""What visitors have stated, read back from the spool after the cache was lost.

A statement is durable in the spool before it is acknowledged, and stays there until the hub has it. So what the spool
does not hold is the hub's to tell; and where nothing was ever shipped, the spool holds everything.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.node.layout import SEGMENT_SUFFIX, producer_of
from edgewise.errors import MALFORMED
from edgewise.frames import scan
from edgewise.records import PreferenceRecord, decode_record

_TAG: Final = b"\xaapreference"
_TAGGED: Final = 24
"""A record's tag stands at its beginning: whatever is no statement is passed over undecoded."""


def statements_in(spool: Path) -> Iterator[PreferenceRecord]:
    """All statements of all producers, each producer's in its order."""
    folders = sorted(folder for folder in spool.iterdir() if producer_of(folder.name) is not None)
    for folder in folders:
        for segment in sorted(folder.glob(f"*{SEGMENT_SUFFIX}")):
            with contextlib.suppress(FileNotFoundError):  # shipped meanwhile
                yield from _statements_of(segment)


def _statements_of(segment: Path) -> Iterator[PreferenceRecord]:
    for frame in scan(segment.read_bytes()):
        if _TAG in frame.payload[:_TAGGED]:
            with contextlib.suppress(*MALFORMED):
                record = decode_record(frame.payload)
                if isinstance(record, PreferenceRecord):
                    yield record
