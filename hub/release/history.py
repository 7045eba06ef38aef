"""Which releases nodes were really told to run: what the audit intended, as far as the signed assignment followed.

A promotion is written down before it has its effect, so the last entry of a process that died may have none. Every
entry also says what was live when it was written: an entry came true if the next one, or the assignment of now, finds
its release live.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final, NamedTuple

from edgewise.ids import BundleVersion
from hub.ledger.rows import AuditRow

PROMOTE: Final = "release promote"
ROLLBACK: Final = "release rollback"
VERSION: Final = "version"
BEFORE: Final = "before"
"""The release that was live when the entry was written; not there when the assignment could not be read."""


class History(NamedTuple):
    """What was live."""

    ran: frozenset[BundleVersion]
    """Every release that nodes were ever told to run."""
    before: tuple[BundleVersion, ...]
    """Those that a rollback walks along, the next one last: promotions push, rollbacks pop."""


def history(entries: Sequence[AuditRow], live: BundleVersion | None) -> History:
    """From the entries of promotions and rollbacks, oldest first."""
    stack: list[BundleVersion] = []
    ran = set() if live is None else {live}
    for entry, later in zip_longest(entries, entries[1:]):
        version = BundleVersion(entry.detail[VERSION])
        found = live if later is None else later.detail.get(BEFORE, version)
        if found != version:
            continue
        ran.add(version)
        if entry.what == ROLLBACK and version in stack:
            del stack[stack.index(version) :]
        if stack[-1:] != [version]:
            stack.append(version)
    if stack[-1:] == [live]:
        stack.pop()
    return History(frozenset(ran), tuple(stack))
