"""The transaction that takes people out of the ledger.

Numbers stay taken: a producer's mark does not move back, so nothing is asked for again. Which tables name a person, and
by which columns, is said here and nowhere else; a test holds it against all tables there are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from edgewise.ids import SubjectId
from edgewise.records import EventRecord, decode_record, encode_record
from hub.ledger import canonical, grouping, links, tables
from hub.ledger.code_leases import unname_mails
from hub.ledger.dialect import chunks, upsert
from hub.ledger.lake import mark_stale
from hub.ledger.records import columns_of, whole
from hub.ledger.suppressed import is_deed_of, without_identifiers
from hub.ledger.writing import POSITION, take

NAMING: Final = ("subject", "identifier", "left_subject", "right_subject")
"""Columns that hold a subject, in whichever table they stand."""
KEPT: Final = frozenset({"audit", "erasures", "erasure_requests", "mail_suppressed"})
"""Tables that name subjects and are not emptied of them: the audit is redacted, the others say who was erased, and who
must not be written to should his address come back with an import."""
IDENTITY: Final = frozenset({"links", "identity_statements", "persons"})
"""Emptied by `grouping.forget`, which also computes again who the people around are."""
RECORDS: Final = (tables.events, tables.decisions, tables.preferences)
OF_WHO_CAME_BACK: Final = frozenset({"profiles", "duplicates", "passed_marks"})
"""Kept of somebody who has come back since: without a time of their own, and what his profile is folded from."""
COUNTED: Final = frozenset({"events", "decisions", "preferences", "duplicates", "rewards", "dead_letters", "profiles"})
_CONTENT: Final = ("record", "payload", "profile", "preferences", "fields")
_SUBJECT: Final = re.compile(rb"(?=([0-9a-f]{32}))")
REDACTED: Final = "erased"
NAMED: Final = "events of others"
"""What `erase` calls events that stay, without an identifier of the erased."""


class Removed(msgspec.Struct, frozen=True):
    """What was taken out of one place."""

    rows: int = 0
    bytes: int = 0
    """Of their contents, as far as they have any beside their keys."""
    files: int = 0

    def __add__(self, other: Removed) -> Removed:
        return Removed(self.rows + other.rows, self.bytes + other.bytes, self.files + other.files)


def personal_tables() -> Iterator[tuple[sa.Table, list[sa.Column[Any]]]]:
    """Tables that are emptied of a person, and the columns that name him."""
    for table in tables.metadata.sorted_tables:
        columns = [table.c[name] for name in NAMING if name in table.c]
        if columns and table.name not in KEPT:
            yield table, columns


def erase(
    connection: sa.Connection, subjects: Sequence[SubjectId], time_ms: int, *, forever: bool, keeps_later: bool
) -> dict[str, Removed]:
    """Take subjects out of every table; by table what went, those of which nothing did left out.

    `keeps_later`: what happened after `time_ms` stays, and those subjects' profiles are folded anew from it.
    """
    until_ms = time_ms if keeps_later and not forever else None
    mark_stale(connection, subjects)
    gone = {"rewards": _erase_rewards(connection, subjects, until_ms)}
    kept = _kept_later(connection, subjects, until_ms)
    revision = take(connection, POSITION, 1)
    elsewhere = _erase_named_elsewhere(connection, subjects, until_ms, gone)
    unname_mails(connection, _mails(connection, subjects))
    for table, columns in personal_tables():
        if table.name in IDENTITY:
            gone[table.name] = Removed(_count(connection, table, columns, subjects))
            continue
        is_timed = until_ms is not None and "time_ms" in table.c
        where = [table.c.time_ms <= until_ms] if is_timed else []
        left_alone = kept if table.name in OF_WHO_CAME_BACK else set()
        for some in chunks([subject for subject in subjects if subject not in left_alone]):
            for column in columns:
                removed = _delete(connection, table, column.in_(some), *where)
                gone[table.name] = gone.get(table.name, Removed()) + removed
    grouping.forget(connection, subjects, revision)
    _learn_again(connection, kept, revision)
    gone["dead_letters"] = _erase_dead_letters(connection, subjects)
    gone["audit"] = _redact_audit(connection, frozenset(subjects))
    for name, removed in gone.items():
        if removed.rows and name in COUNTED:
            take(connection, name, -removed.rows)
    rows = [{"subject": subject, "time_ms": time_ms, "revision": revision, "forever": forever} for subject in subjects]
    upsert(connection, tables.erasures, rows, update=("time_ms", "revision", "forever"))
    canonical.refold(connection, sorted(kept | elsewhere), revision=revision, now_ms=time_ms)
    return {name: removed for name, removed in gone.items() if removed != Removed()}


def _mails(connection: sa.Connection, subjects: Sequence[SubjectId]) -> list[str]:
    """Keys of all mails to a person in the outbox."""
    columns = tables.mail_outbox.c
    found: list[str] = []
    for some in chunks(subjects):
        named = sa.or_(columns.subject.in_(some), columns.identifier.in_(some))
        found += connection.execute(sa.select(columns.key).where(named)).scalars()
    return found


def _kept_later(connection: sa.Connection, subjects: Sequence[SubjectId], until_ms: int | None) -> set[SubjectId]:
    """Who has come back since: something of his stays, so his profile is folded anew instead of deleted."""
    kept: set[SubjectId] = set()
    if until_ms is None:
        return kept
    for table in RECORDS:
        columns = table.c
        for some in chunks(subjects):
            query = sa.select(columns.subject).distinct().where(columns.subject.in_(some), columns.time_ms > until_ms)
            kept.update(connection.execute(query).scalars())
    return kept


def _learn_again(connection: sa.Connection, kept: Collection[SubjectId], revision: int) -> None:
    """Whom those who came back are linked with, from what they have said since."""
    events: list[EventRecord] = []
    for some in chunks(sorted(kept)):
        query = sa.select(*columns_of(tables.events)).where(tables.events.c.subject.in_(some))
        for _, payload in whole(connection, connection.execute(query).all()):
            record = decode_record(payload)
            if isinstance(record, EventRecord):
                events.append(record)
    learnt = links.learn(connection, events)
    if learnt:
        touched = {node for link, _ in learnt for node in (link.subject, link.identifier)}
        grouping.regroup(connection, touched, revision, learnt=learnt)


def named_elsewhere(
    connection: sa.Connection, subjects: Sequence[SubjectId]
) -> Iterator[tuple[int, bytes, EventRecord]]:
    """(position, payload, event) of events of other subjects that name one of these by an identifier."""
    meant = set(subjects)
    columns = tables.links.c
    around: set[SubjectId] = set()
    for some in chunks(subjects):
        found = connection.execute(sa.select(columns.subject).distinct().where(columns.identifier.in_(some)))
        around.update(map(SubjectId, found.scalars()))
    for subject in sorted(around - meant):
        query = sa.select(*columns_of(tables.events)).where(tables.events.c.subject == subject)
        for position, payload in whole(connection, connection.execute(query).all(), subject=subject):
            record = decode_record(payload)
            if isinstance(record, EventRecord) and not meant.isdisjoint(record.identifiers.values()):
                yield position, payload, record


def _erase_named_elsewhere(
    connection: sa.Connection, subjects: Sequence[SubjectId], until_ms: int | None, gone: dict[str, Removed]
) -> set[SubjectId]:
    """Events of other subjects that name this person by an identifier, as `is_deed_of` says.

    His visits on a device that he shares go; what somebody else did stays without the identifier. Returns whose profile
    has to be folded anew.
    """
    meant = set(subjects)
    changed: set[SubjectId] = set()
    events, rewards = tables.events.c, tables.rewards.c
    for position, payload, record in named_elsewhere(connection, subjects):
        if until_ms is not None and record.time_ms > until_ms:
            continue
        if record.subject not in changed:
            changed.add(record.subject)
            mark_stale(connection, [record.subject])
        if not is_deed_of(record, meant):
            kept = encode_record(without_identifiers(record, meant))
            changed_row = sa.update(tables.events).where(events.position == position)
            connection.execute(changed_row.values(record=kept, partition=None))
            gone[NAMED] = gone.get(NAMED, Removed()) + Removed(1, len(payload) - len(kept))
            continue
        removed = _delete(connection, tables.events, events.position == position)
        gone["events"] = gone.get("events", Removed()) + removed
        if record.decision_id is not None:
            outcome = (rewards.decision_id == record.decision_id, rewards.message_id == record.message_id)
            gone["rewards"] += _delete(connection, tables.rewards, *outcome)
    return changed


def _count(
    connection: sa.Connection, table: sa.Table, columns: Sequence[sa.Column[Any]], subjects: Sequence[SubjectId]
) -> int:
    """Rows that name one of the subjects, by any of the columns; each once."""
    keys = list(table.primary_key.columns)
    found: set[Any] = set()
    for column in columns:
        for some in chunks(subjects):
            found.update(tuple(row) for row in connection.execute(sa.select(*keys).where(column.in_(some))))
    return len(found)


def _delete(connection: sa.Connection, table: sa.Table, *where: sa.ColumnElement[bool]) -> Removed:
    size: sa.ColumnElement[int] = sa.literal(0)
    for column in (table.c[name] for name in _CONTENT if name in table.c):
        content = column if isinstance(column.type, sa.LargeBinary) else sa.cast(column, sa.Text)
        size = size + sa.func.coalesce(sa.func.length(content), 0)
    held = connection.execute(sa.select(sa.func.coalesce(sa.func.sum(size), 0)).where(*where)).scalar_one()
    return Removed(connection.execute(sa.delete(table).where(*where)).rowcount, int(held))


def _erase_rewards(connection: sa.Connection, subjects: Sequence[SubjectId], until_ms: int | None) -> Removed:
    """Outcomes of his decisions, and what his own events brought to decisions that name nobody."""
    gone = Removed()
    rewards = tables.rewards.c
    for some in chunks(subjects):
        for table, column in ((tables.decisions, rewards.decision_id), (tables.events, rewards.message_id)):
            where: list[sa.ColumnElement[bool]] = [table.c.subject.in_(some)]
            if until_ms is not None:
                where.append(table.c.time_ms <= until_ms)
            if table is tables.events:
                rows = connection.execute(
                    sa.select(table.c.decision_id, table.c.message_id).where(*where, table.c.decision_id.is_not(None))
                ).all()
                for pair in rows:
                    gone += _delete(
                        connection,
                        tables.rewards,
                        rewards.decision_id == pair.decision_id,
                        rewards.message_id == pair.message_id,
                    )
                continue
            ids = list(connection.execute(sa.select(table.c.decision_id).where(*where)).scalars())
            for part in chunks(ids):
                gone += _delete(connection, tables.rewards, column.in_(part))
    return gone


def _erase_dead_letters(connection: sa.Connection, subjects: Sequence[SubjectId]) -> Removed:
    """Payloads that nobody could read, but in which a subject can be found. Looks at each: they are few."""
    meant = {subject.encode() for subject in subjects}
    columns = tables.dead_letters.c
    named = [
        (row.producer, row.seq, len(row.payload))
        for row in connection.execute(sa.select(columns.producer, columns.seq, columns.payload))
        if not meant.isdisjoint(_SUBJECT.findall(row.payload))
    ]
    for producer, seq, _ in named:
        connection.execute(sa.delete(tables.dead_letters).where(columns.producer == producer, columns.seq == seq))
    return Removed(len(named), sum(size for _, _, size in named))


def _redact_audit(connection: sa.Connection, subjects: Collection[SubjectId]) -> Removed:
    """Deeds about a person stay (who, what, when); whom they were about does not."""
    columns = tables.audit.c
    redacted = 0
    rows = connection.execute(
        sa.select(columns.seq, columns.subject, columns.detail).where(
            sa.or_(*(columns.what.like(deed) for deed in ("profile %", "link%", "mail %")))
        )
    ).all()
    for row in rows:
        said = f"{row.subject} {msgspec.json.encode(row.detail).decode()}"
        if any(subject in said for subject in subjects):
            connection.execute(
                sa.update(tables.audit).where(columns.seq == row.seq).values(subject=REDACTED, detail={REDACTED: True})
            )
            redacted += 1
    return Removed(redacted)
