"""Records of people who were erased since: told by the subject, or by an identifier that they carry.

An event of somebody else that names an identifier of the erased is no deed of the erased for that: people share
telephones and addresses. It goes only where `is_deed_of` says so; else it stays without that identifier. The rule looks
at the event and nothing else, so it comes to the same for what is stored and for what arrives later, in any order.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa

from edgewise.identifiers import ANONYMOUS_ID, PREVIOUS, USER, base_kind
from edgewise.ids import SubjectId
from edgewise.records import DecisionRecord, EventRecord, GapRecord, PreferenceRecord, Record
from hub.ledger import canonical, tables
from hub.ledger.dialect import chunks

Erasures = Mapping[SubjectId, tuple[int, bool]]
"""Subject -> when he was erased, ms, and whether for ever."""
_USERS: Final = frozenset({USER, PREVIOUS})


def erasures_of(connection: sa.Connection, subjects: Collection[SubjectId]) -> Erasures:
    """Those of the subjects that were erased."""
    columns = tables.erasures.c
    found: dict[SubjectId, tuple[int, bool]] = {}
    for some in chunks(sorted(set(subjects))):
        query = sa.select(columns.subject, columns.time_ms, columns.forever).where(columns.subject.in_(some))
        found.update({row.subject: (row.time_ms, row.forever) for row in connection.execute(query)})
    return found


def is_erased(erasures: Erasures, subjects: Iterable[SubjectId], time_ms: int) -> bool:
    """Whether what names these subjects, and happened then, stays away."""
    found = (erasures[subject] for subject in subjects if subject in erasures)
    return any(forever or time_ms <= until_ms for until_ms, forever in found)


def is_deed_of(event: EventRecord, erased: Container[SubjectId]) -> bool:
    """Whether an event of another subject goes with the erased.

    It does where it names a user id of theirs, or where a device did it that named no user at all, so that the
    identifier of the erased is the only person in it.
    """
    kinds = {base_kind(name) for name, each in event.identifiers.items() if each in erased}
    if not _USERS.isdisjoint(kinds):
        return True
    own = {base_kind(name) for name, each in event.identifiers.items() if each == event.subject}
    return bool(kinds) and ANONYMOUS_ID in own and _USERS.isdisjoint(map(base_kind, event.identifiers))


def without_identifiers(event: EventRecord, erased: Container[SubjectId]) -> EventRecord:
    """The event, but for the identifiers of the erased."""
    kept = {name: each for name, each in event.identifiers.items() if each not in erased}
    return msgspec.structs.replace(event, identifiers=kept)


class Suppressed(NamedTuple):
    """Who, of those that some records name, was erased."""

    times_ms: Erasures
    alive: frozenset[SubjectId]
    """Those of the subjects of such records who have a profile: they have come back since, or are somebody else."""

    def drops(self, record: Record | None) -> bool:
        """Whether the record stays away."""
        erased = self._named(record)
        if not erased or record is None or isinstance(record, GapRecord):
            return False
        return record.subject in erased or (isinstance(record, EventRecord) and is_deed_of(record, erased))

    def drops_subject(self, record: EventRecord | DecisionRecord | PreferenceRecord) -> bool:
        """Whether its own subject was erased since it happened, not only somebody whom it names."""
        return record.subject in self._named(record)

    def kept(self, record: EventRecord) -> EventRecord:
        """What is kept of an event that does not stay away; the same object where nobody in it was erased."""
        erased = self._named(record)
        return without_identifiers(record, erased) if erased else record

    def _named(self, record: Record | None) -> frozenset[SubjectId]:
        """Whom the record names of those who were erased since it happened."""
        if not self.times_ms or record is None or isinstance(record, GapRecord):
            return frozenset()
        return frozenset(name for name in _names(record) if is_erased(self.times_ms, [name], record.time_ms))


class Forgotten(NamedTuple):
    """Records of people who were erased: they take their numbers, and nothing else of them is kept."""

    erased: set[SubjectId]
    """Subjects without a profile, whose nodes are to be told once more."""
    marks: list[dict[str, Any]]
    """Numbers that the profiles of those who have come back are moved past: (subject, producer, seq)."""

    def write(self, connection: sa.Connection, revision: int) -> None:
        """Note what came too late, so that nodes which hold it as pending hear of it."""
        canonical.pass_by(connection, self.marks)
        for some in chunks(sorted(self.erased)):
            again = sa.update(tables.erasures).where(tables.erasures.c.subject.in_(some))
            connection.execute(again.values(revision=revision))


def suppressed_among(connection: sa.Connection, records: Sequence[Record | None]) -> Suppressed:
    """Look up everybody whom the records name; one look where nobody was ever erased."""
    nobody = Suppressed({}, frozenset())
    if connection.execute(sa.select(tables.erasures.c.subject).limit(1)).scalar_one_or_none() is None:
        return nobody
    named = {name for record in records if record is not None for name in _names(record)}
    times_ms = erasures_of(connection, named)
    if not times_ms:
        return nobody
    suppressed = Suppressed(times_ms, frozenset())
    subjects = {
        record.subject
        for record in records
        if isinstance(record, EventRecord | DecisionRecord | PreferenceRecord) and suppressed.drops(record)
    }
    alive: set[SubjectId] = set()
    for some in chunks(sorted(subjects)):
        query = sa.select(tables.profiles.c.subject).where(tables.profiles.c.subject.in_(some))
        alive.update(connection.execute(query).scalars())
    return Suppressed(times_ms, frozenset(alive))


def _names(record: Record) -> tuple[SubjectId, ...]:
    match record:
        case EventRecord():
            return (record.subject, *record.identifiers.values())
        case DecisionRecord() | PreferenceRecord():
            return (record.subject,)
        case GapRecord():
            return ()
