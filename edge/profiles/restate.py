"""What visitors stated here, stated once more to a profile cache that may have forgotten it.

A cache may be lost, or come back from a power loss as it was a while ago. Then the hub is asked; but its answer may be
older than what lies in this node's spool and waits to be shipped, and a visitor who has just opted out would be known
again. Statements are durable in the spool before they are acknowledged, and stay there until the hub has them: so they
are taken from there, once a boot, before anybody is answered. Applying one again changes nothing.

The supervisor runs it as `python -m edge.profiles.restate --settings JSON`, before it starts workers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edge.log import start_log
from edge.node.layout import SEGMENT_SUFFIX
from edge.profiles.cache import ProfileCache
from edge.profiles.cache_file import boot_id
from edge.settings import decode_settings
from edgewise.errors import MALFORMED, EdgewiseError
from edgewise.frames import scan
from edgewise.records import ANONYMOUS, PreferenceRecord, decode_record

RESTATED: Final = b"restated"
"""A mark: the boot under which this was done to this very file. It is lost with what it speaks of."""
_TAG: Final = b"\xaapreference"
_TAG_WITHIN: Final = 32
"""A record's kind is the first thing in its payload; a spool may hold millions of other kinds."""


def main(arguments: Sequence[str]) -> int:
    """Do it for one node; exit code 1 where it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m edge.profiles.restate")
    parser.add_argument("--settings", required=True, help="JSON, as the supervisor writes it")
    settings = decode_settings(parser.parse_args(arguments).settings)
    log, paths = start_log("restate", settings.log_level), settings.paths
    try:
        cache = ProfileCache.open(paths.profiles, map_bytes=settings.profile_map_bytes)
        try:
            count = restate(cache, paths.spool, boot_id())
        finally:
            cache.close()
    except (EdgewiseError, OSError) as failed:
        log.critical("what visitors have stated cannot be read from the spool", detail=str(failed))
        return 1
    if count:
        log.info("what visitors stated was read from the spool", statements=count)
    return 0


def restate(cache: ProfileCache, spool: Path, boot: str) -> int:
    """Apply the statements of all producers of a node, unless that was done under this boot; returns how many.

    Raises:
        CacheError: they cannot be kept. Nobody must be answered then, because what he stated might not hold.
        OSError: the spool cannot be read; likewise.
    """
    with cache.file.env.begin() as txn:
        if txn.get(RESTATED, db=cache.file.db["marks"]) == boot.encode():
            return 0
    count = 0
    for segment in sorted(spool.rglob(f"*{SEGMENT_SUFFIX}")):
        for record in _statements(segment.read_bytes()):
            cache.state(record.subject, record)
            count += 1
    cache.write(lambda txn: txn.put(RESTATED, boot.encode(), db=cache.file.db["marks"]))
    return count


def _statements(segment: bytes) -> list[PreferenceRecord]:
    found = []
    for frame in scan(segment):
        if _TAG in frame.payload[:_TAG_WITHIN]:
            try:
                record = decode_record(frame.payload)
            except MALFORMED:
                continue  # written by another version: the hub will say what it made of it
            if isinstance(record, PreferenceRecord) and record.subject != ANONYMOUS:
                found.append(record)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
