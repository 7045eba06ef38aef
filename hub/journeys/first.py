"""The first journey of a new site: enabled where its data are there already, and never before they were looked at.

Most sites begin without any data: then it waits, and a person enables it once `edgewise data audit` says that what it
needs is known. All other journeys wait for a person in any case.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from hub.data_audit.audit import audit
from hub.data_audit.needs import needs_of
from hub.journeys.enabling import data_gate, enable
from hub.keys import KeyFolder
from hub.ledger.ledger import open_ledger
from hub.ledger.place import FILE, SQLITE_FILE
from hub.site.loading import load_site

FIRST: Final = "homepage-banner"
_ACTIVE_DAYS: Final = 90
_NO_DATA: Final = "the hub has no data yet"


class Begun(NamedTuple):
    """What became of the first journey."""

    is_enabled: bool
    sentence: str
    """What is known of its data."""


def begin_first(site: Path, data_dir: Path, *, by: str, now_ms: int) -> Begun:
    """Look at the data of a hub's folder, and enable the first journey of `site` if what it needs is known.

    Raises what reading the site and the ledger raises.
    """
    if not any((data_dir / file).exists() for file in (FILE, SQLITE_FILE)):
        return Begun(is_enabled=False, sentence=_NO_DATA)
    contents = load_site(site)
    with open_ledger(data_dir) as ledger:
        if ledger.journey_switches():
            return Begun(is_enabled=False, sentence="people decided on journeys here before, and go on doing so")
        found = audit(
            ledger,
            FIRST,
            needs_of(FIRST, contents.journeys),
            subject_key=KeyFolder(data_dir).secrets().subject_key,
            now_ms=now_ms,
            active_days=_ACTIVE_DAYS,
            catalogue=contents.catalogue,
        )
        gate = data_gate(contents.journeys[FIRST], found)
        if gate.is_open:
            enable(ledger, FIRST, [gate], by=by, now_ms=now_ms)
    return Begun(gate.is_open, gate.sentence)
