"""The job that deletes what is too old: in bounded steps, so that a hub goes on storing between two of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from edgewise.errors import UnavailableError
from edgewise.profile.state import DAY_MS
from hub.durable import replace_file
from hub.ledger.ledger import Ledger
from hub.rights.reject_files import reject_files, without_old_rows
from hub.rights.retention import Cutoffs, Retention

AT_ONCE: Final = 2_000
"""Rows looked at in one step: some tens of milliseconds in which nothing else is stored."""


class Retained(msgspec.Struct, kw_only=True):
    """What one run deleted, or would delete."""

    events: int = 0
    fields: int = 0
    """Single traits and properties of events that stay."""
    profiles: int = 0
    """How often a profile was folded anew."""
    decisions: int = 0
    contacts: int = 0
    contact_fields: int = 0
    dead_letters: int = 0
    reject_files: int = 0
    reject_rows: int = 0

    @property
    def total(self) -> int:
        """Everything that went."""
        counts: tuple[int, ...] = msgspec.structs.astuple(self)
        return sum(counts) - self.profiles


def steps(
    ledger: Ledger, retention: Retention, data_dir: Path, retained: Retained, *, now_ms: int, dry_run: bool = False
) -> Iterator[None]:
    """One run, a step at a time; what it comes to is counted in `retained`.

    Raises UnavailableError when something cannot be written; a later run goes on.
    """
    cutoffs = Cutoffs(retention, now_ms)
    if not dry_run:
        ledger.note_limits(cutoffs)
    position: int | None = 0
    while position is not None:
        expired = ledger.expire_events(
            cutoffs, after_position=position, at_once=AT_ONCE, now_ms=now_ms, dry_run=dry_run
        )
        retained.events += expired.events
        retained.fields += expired.fields
        retained.profiles += expired.subjects
        position = expired.position
        yield
    before_ms = cutoffs.before_ms(retention.site.decisions_days)
    while before_ms is not None:
        gone = ledger.expire_decisions(before_ms, at_once=AT_ONCE, now_ms=now_ms, dry_run=dry_run)
        retained.decisions += gone
        yield
        if dry_run or gone < AT_ONCE:
            break
    if any(partition.is_stale for partition in ledger.lake.partitions()):
        ledger.lake.rewrite()
        yield
    contacts_ms = cutoffs.contacts_ms(ledger.contact_sources())
    retained.contacts, retained.contact_fields = ledger.expire_contacts(*contacts_ms, dry_run=dry_run)
    yield
    letters_ms = now_ms - retention.site.dead_letters_days * DAY_MS
    retained.dead_letters = ledger.expire_dead_letters(letters_ms, dry_run=dry_run)
    yield
    if not dry_run:
        ledger.unname_mails_gone()
        yield
    rejects_ms = now_ms - retention.site.rejects_days * DAY_MS
    retained.reject_files, retained.reject_rows = _old_rejects(data_dir, rejects_ms, dry_run=dry_run)


def _old_rejects(data_dir: Path, before_ms: int, *, dry_run: bool) -> tuple[int, int]:
    """How many files went, and how many rows of files that others are still added to."""
    files = rows = 0
    for path in reject_files(data_dir):
        try:
            if path.stat().st_mtime * 1_000 < before_ms:
                files += 1
                if not dry_run:
                    path.unlink(missing_ok=True)
                continue
            content, gone = without_old_rows(path.read_bytes(), before_ms)
            if gone and not dry_run:
                replace_file(path, content, mode=0o600)
            rows += gone
        except FileNotFoundError:
            continue  # an import that refused nothing takes its file away
        except OSError as refused:
            raise UnavailableError(f"{path}: cannot be deleted: {refused.strerror}") from None
    return files, rows
