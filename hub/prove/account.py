"""The hub's ledger held against the visitors' journal: what was lost, what counts twice, whether the sums agree.

The rules are those of `hub.ledger.tables`: every number that a producer gave out lies in exactly one table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from edgewise.events import Kind
from edgewise.profile.state import decode_profile
from edgewise.subjects import subject_of
from hub.keys import KeyFolder
from hub.ledger import tables
from hub.ledger.ledger import Ledger, open_ledger
from hub.prove.figure import NONE, Figure, Must
from hub.prove.journal import Journal

UNRECORDED: Final = "answered decisions without a record"


class Account(NamedTuple):
    """What a ledger says at the end, everything shipped."""

    stored: Counter[str]
    """Message id -> how often it is stored."""
    decisions: set[str]
    created: int
    """Numbers given out by all producers, as far as the hub has heard of them."""
    misplaced: int
    """Numbers that are in no table, or in two."""
    dropped: int
    """Numbers that were declared lost."""
    dead_letters: int
    counted: Mapping[str, int]
    """Visitor -> events that his canonical profile counts."""


def take_account(hub_dir: Path, journal: Journal) -> Account:
    """Read the ledger of a hub that has stopped, or has nothing left to store."""
    key = KeyFolder(hub_dir).secrets().subject_key
    visitors = {*journal.acknowledged.values(), *journal.unknown.values()}
    subjects = {visitor: subject_of(key, "anonymousId", visitor) for visitor in visitors}
    with open_ledger(hub_dir) as ledger:
        profiles = ledger.profiles(list(subjects.values()))
        totals = ledger.totals()
        created, misplaced = _conserved(ledger)
        return Account(
            stored=Counter(event.message_id for _, event in ledger.events()),
            decisions={decision.decision_id for _, decision in ledger.decisions()},
            created=created,
            misplaced=misplaced,
            dropped=totals.dropped,
            dead_letters=totals.dead_letters,
            counted={
                visitor: _events_of(profiles[subject].profile)
                for visitor, subject in subjects.items()
                if subject in profiles
            },
        )


def lost_and_doubled(account: Account, journal: Journal) -> list[Figure]:
    """What the visitors would complain about."""
    lost = sum(message not in account.stored for message in journal.acknowledged)
    twice = sum(count - 1 for count in account.stored.values())
    stored_of = Counter(
        visitor for message, visitor in (journal.acknowledged | journal.unknown).items() if message in account.stored
    )
    miscounted = sum(abs(account.counted.get(visitor, 0) - stored_of[visitor]) for visitor in stored_of)
    unknown = len(account.stored.keys() - journal.acknowledged.keys() - journal.unknown.keys())
    return [
        Figure("events acknowledged", len(journal.acknowledged), must=Must(">=", 1)),
        Figure("acknowledged events lost", lost, must=NONE),
        Figure("events stored twice, or that nobody sent", twice + unknown, must=NONE),
        Figure("events counted twice or not at all in a profile", miscounted, must=NONE),
        Figure("answered decisions", len(journal.decided), must=Must(">=", 1)),
        Figure(UNRECORDED, len(journal.decided - account.decisions), must=NONE),
    ]


def conserved(account: Account, status: Mapping[str, Any]) -> list[Figure]:
    """Whether created = stored + declared dropped + in spool, as the ledger counts and as the drained node says."""
    spool = status["spool"]
    return [
        Figure("records created", account.created),
        Figure("records declared dropped", account.dropped),
        Figure("numbers in no table of the ledger, or in two", account.misplaced, must=NONE),
        Figure("records that the ledger could not use", account.dead_letters, must=NONE),
        Figure("records left in the spool", spool["pending"], must=NONE),
        Figure("created, node's /status against the ledger", abs(spool["created"] - account.created), must=NONE),
    ]


def _events_of(profile: bytes) -> int:
    decoded = decode_profile(profile)
    return sum(count for _, count in decoded.counts.get(Kind.VIEW, []))


def _conserved(ledger: Ledger) -> tuple[int, int]:
    places: dict[str, Counter[int]] = {}
    with ledger.storage.reading() as connection:
        for table in tables.NUMBERED:
            for producer, seq in connection.execute(sa.select(table.c.producer, table.c.seq)):
                places.setdefault(producer, Counter())[seq] += 1
    for gap in ledger.gaps():
        places.setdefault(gap.producer, Counter()).update(range(gap.first_seq, gap.last_seq + 1))
    created = misplaced = 0
    for row in ledger.producers():
        numbers = places.pop(row.producer, Counter())
        created += row.stored_seq + 1
        expected = Counter(range(row.stored_seq + 1))
        misplaced += ((numbers - expected) + (expected - numbers)).total()
    return created, misplaced + sum(numbers.total() for numbers in places.values())
