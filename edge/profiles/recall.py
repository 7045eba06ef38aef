"""What visitors have stated, read back from the spool after the cache was lost.

A statement is durable in the spool before it is acknowledged, and stays there until the hub has it. So what the spool
does not hold is the hub's to tell; and where nothing was ever shipped, the spool holds everything.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from edge.node.layout import producer_of
from edge.spool.contents import records_tagged, segments_of
from edgewise.ids import SubjectId
from edgewise.records import PreferenceRecord


def statements_in(spool: Path) -> Iterator[PreferenceRecord]:
    """All statements of all producers that no erasure has taken back, each producer's in its order.

    Producers come one after the other, and an erasure that one wrote is also about what another had written before:
    so the spool is read twice, first for the erasures.
    """
    erased_ms: dict[SubjectId, int] = {}
    for record in _all_in(spool):
        if record.erasure:
            erased_ms[record.subject] = max(record.time_ms, erased_ms.get(record.subject, 0))
    for record in _all_in(spool):
        if record.erasure or record.time_ms > erased_ms.get(record.subject, -1):
            yield record


def _all_in(spool: Path) -> Iterator[PreferenceRecord]:
    folders = sorted(folder for folder in spool.iterdir() if producer_of(folder.name) is not None)
    for folder in folders:
        for segment in segments_of(folder):
            with contextlib.suppress(FileNotFoundError):  # shipped meanwhile
                yield from records_tagged(segment, PreferenceRecord)
