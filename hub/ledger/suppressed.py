"""Records of people who were erased since: told by the subject, or by any identifier that they carry."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from edgewise.ids import SubjectId
from edgewise.records import DecisionRecord, EventRecord, GapRecord, PreferenceRecord, Record
from hub.ledger import canonical, tables
from hub.ledger.dialect import chunks

Erasures = Mapping[SubjectId, tuple[int, bool]]
"""Subject -> when he was erased, ms, and whether for ever."""


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


class Suppressed(NamedTuple):
    """Who, of those that some records name, was erased."""

    times_ms: Erasures
    alive: frozenset[SubjectId]
    """Those of the records' subjects who have a profile: they have come back since, or are somebody else."""

    def until_ms(self, record: Record | None) -> int | None:
        """What happened until then stays away; None where the record may be kept."""
        if not self.times_ms or record is None or isinstance(record, GapRecord):
            return None
        found = [self.times_ms[name] for name in _names(record) if name in self.times_ms]
        return max((time_ms for time_ms, forever in found if forever or record.time_ms <= time_ms), default=None)


class Forgotten(NamedTuple):
    """Records of people who were erased: they take their numbers, and nothing else of them is kept."""

    erasures: dict[SubjectId, int]
    """Subjects without a profile, whose nodes are to be told once more -> what happened until then stays away, ms."""
    marks: list[dict[str, Any]]
    """Numbers that the profiles of those who have come back are moved past: (subject, producer, seq)."""

    def write(self, connection: sa.Connection, revision: int) -> None:
        """Note what came too late, so that nodes which hold it as pending hear of it."""
        canonical.pass_by(connection, self.marks)
        for some in chunks(sorted(self.erasures)):
            columns = tables.erasures.c
            known = set(connection.execute(sa.select(columns.subject).where(columns.subject.in_(some))).scalars())
            again = sa.update(tables.erasures).where(columns.subject.in_(sorted(known)))
            connection.execute(again.values(revision=revision))
            rows = [
                {"subject": subject, "time_ms": self.erasures[SubjectId(subject)], "revision": revision}
                for subject in some
                if subject not in known
            ]
            if rows:
                connection.execute(tables.erasures.insert(), rows)


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
        if isinstance(record, EventRecord | DecisionRecord | PreferenceRecord)
        and suppressed.until_ms(record) is not None
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
