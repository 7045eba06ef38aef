"""People in the ledger: whose subjects belong together, their merged profiles, and what persons state of them.

A profile row is a *part*, folded from one subject's own records, and identity never touches it. A person's profile is
merged from the parts when it is read, so that taking a merge back leaves nothing to clean up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec
import sqlalchemy as sa

from edgewise.errors import MALFORMED, InputError
from edgewise.ids import SubjectId
from edgewise.profile.merge import merge
from edgewise.profile.preferences import (
    Preferences,
    decode_preferences,
    encode_preferences,
    merge_preferences,
)
from edgewise.profile.state import Profile, decode_profile, encode_profile
from hub.identity.resolve import MERGE, UNMERGE, Link, pair_of, resolve
from hub.identity.rules import IdentityRules
from hub.ledger import tables
from hub.ledger.canonical import rebuild
from hub.ledger.dialect import Storage, chunks
from hub.ledger.grouping import Component, load_component, regroup
from hub.ledger.links import Nodes, people_among, rules_in_force
from hub.ledger.registry import append
from hub.ledger.rows import AuditEntry, StoredProfile
from hub.ledger.writing import POSITION, take

LinkRow = Link
PAGE: Final = 5_000


class StatementRow(NamedTuple):
    """What a person stated of two subjects."""

    position: int
    time_ms: int
    kind: str
    """`merge` or `unmerge`."""
    left: SubjectId
    right: SubjectId
    who: str
    reason: str


class PeopleRows:
    """Part of `Ledger`."""

    storage: Storage

    def members_of(self, subject: SubjectId) -> tuple[SubjectId, ...]:
        """Every subject of the person whose subject this is, with itself, sorted.

        Also those without a profile: the hash of an e-mail address that only joins two others.
        """
        return self.people_of([subject])[subject]

    def vouched_members_of(self, subject: SubjectId) -> tuple[SubjectId, ...]:
        """As `members_of`, but joined only by what servers, imports and people say.

        For what a visitor may ask of himself over the web: a browser may claim to belong to any user, and must not get
        or erase by that what is another's.
        """
        with self.storage.reading() as connection:
            rules = msgspec.structs.replace(rules_in_force(connection), browsers_link=False)
            component = load_component(connection, [subject], rules)
        people = resolve(component.links, component.statements, rules, crowded=component.crowded)
        return next((person for person in people if subject in person), (subject,))

    def people_of(self, subjects: Collection[SubjectId]) -> dict[SubjectId, tuple[SubjectId, ...]]:
        """Subject -> all subjects of its person, sorted."""
        with self.storage.reading() as connection:
            return _people(connection, subjects)

    def person_of(self, subject: SubjectId) -> SubjectId:
        """What the person is called: one of its subjects, the same while others join."""
        with self.storage.reading() as connection:
            return people_among(connection, [subject]).get(subject, subject)

    def person_profiles(self, subjects: Sequence[SubjectId]) -> dict[SubjectId, StoredProfile]:
        """Subject -> its person's profile and preferences, merged over all parts; people without a part are left out.

        For a subject without links that is its profile as it is stored, byte for byte.
        """
        with self.storage.reading() as connection:
            people = _people(connection, subjects)
            parts = _parts(connection, sorted({member for members in people.values() for member in members}))
            merged: dict[tuple[SubjectId, ...], StoredProfile | None] = {}
            for members in people.values():
                if members not in merged:
                    merged[members] = _merged(connection, [(each, parts[each]) for each in members if each in parts])
        return {subject: whole for subject, members in people.items() if (whole := merged[members]) is not None}

    def state_merge(self, left: SubjectId, right: SubjectId, *, who: str, reason: str, now_ms: int) -> Nodes:
        """State that two subjects are one person; returns the subjects whose person has other members now.

        Raises InputError for a subject with itself.
        """
        with self.storage.writing() as connection:
            return state(connection, MERGE, left, right, who=who, reason=reason, now_ms=now_ms)

    def state_unmerge(self, left: SubjectId, right: SubjectId, *, who: str, reason: str, now_ms: int) -> Nodes:
        """Take back that two subjects are one person; where nobody had stated it, state that they are two.

        Returns the subjects whose person has other members now. Raises InputError for a subject with itself.
        """
        with self.storage.writing() as connection:
            return state(connection, UNMERGE, left, right, who=who, reason=reason, now_ms=now_ms)

    def links(self) -> Iterator[LinkRow]:
        """Every link, sorted by subject, identifier and kind; page by page."""
        columns = tables.links.c
        key = sa.tuple_(columns.subject, columns.identifier, columns.kind)
        after = ("", "", "")
        while True:
            query = (
                sa.select(*(columns[name] for name in Link._fields))
                .where(key > sa.tuple_(*after))
                .order_by(columns.subject, columns.identifier, columns.kind)
                .limit(PAGE)
            )
            with self.storage.reading() as connection:
                rows = [Link._make(row) for row in connection.execute(query)]
            yield from rows
            if len(rows) < PAGE:
                return
            after = (rows[-1].subject, rows[-1].identifier, rows[-1].kind)

    def link_kinds(self) -> list[str]:
        """Kinds of identifiers that any record named beside its subject, sorted; looks at every link."""
        columns = tables.links.c
        with self.storage.reading() as connection:
            found = {
                kind
                for column in (columns.kind, columns.subject_kind)
                for kind in connection.execute(sa.select(column).distinct()).scalars()
            }
        return sorted(found - {""})

    def joined_at(self, subject: SubjectId) -> int:
        """The position at which somebody last joined or left the person; 0: nobody ever did."""
        columns = tables.persons.c
        query = sa.select(columns.revision).where(columns.subject == subject)
        with self.storage.reading() as connection:
            return connection.execute(query).scalar_one_or_none() or 0

    def once_joined(self, subjects: Sequence[SubjectId]) -> set[SubjectId]:
        """Those of `subjects` that belonged together with others at some time."""
        with self.storage.reading() as connection:
            return set(people_among(connection, subjects))

    def persons(self) -> dict[SubjectId, SubjectId]:
        """Subject -> person, of everybody who was ever linked."""
        columns = tables.persons.c
        with self.storage.reading() as connection:
            rows = connection.execute(sa.select(columns.subject, columns.person))
            return {SubjectId(subject): SubjectId(person) for subject, person in rows}

    def component_of(self, subject: SubjectId) -> Component:
        """All links and statements that decide who a subject is, also those that join nobody."""
        with self.storage.reading() as connection:
            return load_component(connection, [subject], rules_in_force(connection))

    def statements(self, subjects: Collection[SubjectId] | None = None) -> list[StatementRow]:
        """What was stated, oldest first; with `subjects` only what names one of them."""
        columns = tables.identity_statements.c
        query = sa.select(tables.identity_statements).order_by(columns.position)
        with self.storage.reading() as connection:
            rows = [StatementRow(*row) for row in connection.execute(query)]
        return [row for row in rows if subjects is None or row.left in subjects or row.right in subjects]

    def identity_rules(self) -> IdentityRules:
        """The rules in force."""
        with self.storage.reading() as connection:
            return rules_in_force(connection)

    def use_rules(self, rules: IdentityRules, *, now_ms: int, audit: AuditEntry) -> Nodes:
        """Put rules in force and compute every person again; returns the subjects whose person changed.

        Rules that are in force already change nothing.
        """
        with self.storage.writing() as connection:
            if rules == rules_in_force(connection):
                return frozenset()
            revision = take(connection, POSITION, 1)
            connection.execute(
                tables.identity_rules.insert(), {"revision": revision, "document": msgspec.json.encode(rules)}
            )
            append(connection, audit, now_ms)
            return regroup(connection, _every_node(connection), revision)


def stated_by(connection: sa.Connection, members: Collection[SubjectId]) -> Preferences:
    """What all subjects of a person have stated together, read within a transaction."""
    said = Preferences()
    for subject, part in sorted(_parts(connection, sorted(members)).items()):
        try:
            theirs = decode_preferences(part.preferences)
        except MALFORMED:
            theirs = decode_preferences(rebuild(connection, subject)[1])
        said = merge_preferences(said, theirs)
    return said


def state(
    connection: sa.Connection, kind: str, left: SubjectId, right: SubjectId, *, who: str, reason: str, now_ms: int
) -> Nodes:
    """Write down a statement of a person; returns the subjects whose person has other members now.

    Raises InputError for a subject with itself.
    """
    if left == right:
        raise InputError(f"subject {left} twice; expected two")
    left, right = pair_of(left, right)
    position = take(connection, POSITION, 1)
    row = StatementRow(position, now_ms, kind, left, right, who, reason)
    connection.execute(
        tables.identity_statements.insert(),
        {
            "position": position,
            "time_ms": now_ms,
            "kind": kind,
            "left_subject": left,
            "right_subject": right,
            "who": who,
            "reason": reason,
        },
    )
    detail = {"with": right, "reason": reason}
    append(connection, AuditEntry(who, f"profile {kind}", left, detail), row.time_ms)
    return regroup(connection, {left, right}, position)


def _people(connection: sa.Connection, subjects: Collection[SubjectId]) -> dict[SubjectId, tuple[SubjectId, ...]]:
    person = people_among(connection, subjects)
    columns = tables.persons.c
    members: dict[SubjectId, list[SubjectId]] = {}
    for some in chunks(sorted(set(person.values()))):
        query = sa.select(columns.person, columns.subject).where(columns.person.in_(some))
        for name, subject in connection.execute(query):
            members.setdefault(name, []).append(subject)
    return {
        subject: tuple(sorted(members[person[subject]])) if subject in person else (subject,) for subject in subjects
    }


def _parts(connection: sa.Connection, subjects: Sequence[SubjectId]) -> dict[SubjectId, StoredProfile]:
    found: dict[SubjectId, StoredProfile] = {}
    for some in chunks(subjects):
        rows = connection.execute(sa.select(tables.profiles).where(tables.profiles.c.subject.in_(some)))
        found.update((row.subject, StoredProfile(*row[1:])) for row in rows)
    return found


def _merged(connection: sa.Connection, parts: Sequence[tuple[SubjectId, StoredProfile]]) -> StoredProfile | None:
    """The parts, sorted by subject, as one."""
    if len(parts) < 2:  # noqa: PLR2004  # of one part, its own bytes
        return parts[0][1] if parts else None
    profile, preferences = Profile(), Preferences()
    for subject, part in parts:
        theirs, said = _decoded(connection, subject, part)
        profile, preferences = merge(profile, theirs), merge_preferences(preferences, said)
    return StoredProfile(
        encode_profile(profile),
        encode_preferences(preferences),
        max(part.updated_ms for _, part in parts),
        max(part.revision for _, part in parts),
    )


def _decoded(connection: sa.Connection, subject: SubjectId, part: StoredProfile) -> tuple[Profile, Preferences]:
    try:
        return decode_profile(part.profile), decode_preferences(part.preferences)
    except MALFORMED:
        # damaged, or of another format: the records are the truth
        profile, preferences = rebuild(connection, subject)
        return decode_profile(profile), decode_preferences(preferences)


def _every_node(connection: sa.Connection) -> set[SubjectId]:
    links, said, persons = tables.links.c, tables.identity_statements.c, tables.persons.c
    nodes: set[SubjectId] = set()
    for column in (links.subject, links.identifier, said.left_subject, said.right_subject, persons.subject):
        nodes.update(connection.execute(sa.select(column).distinct()).scalars())
    return nodes
