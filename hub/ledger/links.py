"""Links and statements as rows: what new records say of identity, and what is known around some subjects.

Subjects that name nobody but themselves, which are nearly all, cost one look at their record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from edgewise.identifiers import PREVIOUS, base_kind
from edgewise.ids import SubjectId
from edgewise.records import EventRecord
from hub.identity.resolve import Link, Statement
from hub.identity.rules import DEFAULT_RULES, IdentityRules
from hub.ledger import tables
from hub.ledger.dialect import among, upsert_all

Nodes = frozenset[SubjectId]
_rules = msgspec.json.Decoder(IdentityRules)
_COLUMNS = Link._fields


def links_in(events: Iterable[EventRecord]) -> dict[tuple[SubjectId, SubjectId, str], Link]:
    """What records say of identity, each link once, with the earliest who says so."""
    found: dict[tuple[SubjectId, SubjectId, str], Link] = {}
    for event in events:
        identifiers, subject = event.identifiers, event.subject
        if not identifiers or not subject or (len(identifiers) == 1 and subject in identifiers.values()):
            continue
        own = [name for name, each in identifiers.items() if each == subject]
        own_kind = min(map(base_kind, own), key=lambda kind: (kind == PREVIOUS, kind), default="")
        for name, identifier in identifiers.items():
            if identifier == subject:
                continue
            link = Link(subject, own_kind, identifier, base_kind(name), event.time_ms, event.producer, event.vouched)
            key = (subject, identifier, link.kind)
            found[key] = _earlier(found[key], link) if key in found else link
    return found


class Learnt(NamedTuple):
    """A link that is new, or older or better vouched for than it was."""

    link: Link
    before: Link | None


def learn(connection: sa.Connection, events: Iterable[EventRecord]) -> list[Learnt]:
    """Write down the links of new records; returns what was not known, or not so early."""
    found = links_in(events)
    if not found:
        return []
    known = {(link.subject, link.identifier, link.kind): link for link in _known(connection, found.values())}
    news = []
    for key, link in found.items():
        before = known.get(key)
        link = link if before is None else _earlier(before, link)  # noqa: PLW2901
        if link != before:
            news.append(Learnt(link, before))
    upsert_all(
        connection,
        tables.links,
        [learnt.link._asdict() for learnt in news],
        update=("subject_kind", "first_ms", "source", "vouched"),
    )
    return news


def rules_in_force(connection: sa.Connection) -> IdentityRules:
    """The newest rules, or the built-in ones."""
    columns = tables.identity_rules.c
    query = sa.select(columns.document).order_by(columns.revision.desc()).limit(1)
    document = connection.execute(query).scalar_one_or_none()
    return DEFAULT_RULES if document is None else _rules.decode(document)


def statements_about(connection: sa.Connection, subjects: Sequence[SubjectId]) -> list[Statement]:
    """Every statement that names one of them, in order."""
    columns = tables.identity_statements.c
    found: set[Statement] = set()
    for column in (columns.left_subject, columns.right_subject):
        query = sa.select(columns.position, columns.kind, columns.left_subject, columns.right_subject)
        rows = connection.execute(query.where(among(connection, column, subjects)))
        found.update(Statement(*row) for row in rows)
    return sorted(found)


def people_among(connection: sa.Connection, subjects: Collection[SubjectId]) -> dict[SubjectId, SubjectId]:
    """Subject -> person, for those that have a row."""
    columns = tables.persons.c
    found: dict[SubjectId, SubjectId] = {}
    if subjects:
        where = among(connection, columns.subject, sorted(subjects))
        rows = connection.execute(sa.select(columns.subject, columns.person).where(where))
        found.update((SubjectId(subject), SubjectId(person)) for subject, person in rows)
    return found


def members_of_all(connection: sa.Connection, subjects: Collection[SubjectId]) -> set[SubjectId]:
    """The subjects, with everybody who is one person with one of them."""
    columns = tables.persons.c
    if not subjects or connection.execute(sa.select(columns.subject).limit(1)).first() is None:
        return set(subjects)
    members = set(subjects)
    if persons := sorted(set(people_among(connection, subjects).values())):
        where = among(connection, columns.person, persons)
        members.update(connection.execute(sa.select(columns.subject).where(where)).scalars())
    return members


def _earlier(one: Link, other: Link) -> Link:
    first = min(one, other, key=lambda link: (link.first_ms, link.source))
    return first._replace(subject_kind=max(one.subject_kind, other.subject_kind), vouched=one.vouched or other.vouched)


def _known(connection: sa.Connection, links: Collection[Link]) -> Iterator[Link]:
    """Rows of the same subjects and identifiers."""
    columns = tables.links.c
    subjects = sorted({link.subject for link in links})
    identifiers = sorted({link.identifier for link in links})
    query = sa.select(*(columns[name] for name in _COLUMNS)).where(
        among(connection, columns.subject, subjects), among(connection, columns.identifier, identifiers)
    )
    yield from map(Link._make, connection.execute(query))


def links_at(connection: sa.Connection, nodes: Sequence[SubjectId], rules: IdentityRules) -> Iterator[Link]:
    """Every link with one end in `nodes` that may join people; one with both comes twice."""
    columns, where = tables.links.c, _that_link(rules)
    if not nodes:
        return
    for column in (columns.subject, columns.identifier):
        query = sa.select(*(columns[name] for name in _COLUMNS)).where(among(connection, column, nodes), *where)
        yield from map(Link._make, connection.execute(query))


def crowds(connection: sa.Connection, nodes: Sequence[SubjectId], rules: IdentityRules) -> dict[SubjectId, int]:
    """Crowded nodes -> by how many links they are, counted in the index."""
    columns = tables.links.c
    count = sa.func.count()
    where = _that_link(rules)
    least = min([rules.of("").most_people, *(each.most_people for each in rules.kinds)])
    named = (
        sa.select(columns.identifier, columns.kind, count)
        .where(among(connection, columns.identifier, nodes), *where)
        .group_by(columns.identifier, columns.kind)
        .having(count > least)
    )
    naming = (
        sa.select(columns.subject, count)
        .where(among(connection, columns.subject, nodes), *where)
        .group_by(columns.subject)
        .having(count > rules.most_identifiers)
    )
    found: dict[SubjectId, int] = {}
    for node, kind, links in connection.execute(named):
        over = links - rules.of(kind).most_people
        if over > 0:
            found[node] = max(over, found.get(node, 0))
    for node, links in connection.execute(naming):
        found[node] = max(links - rules.most_identifiers, found.get(node, 0))
    return found


def may_join(link: Link, rules: IdentityRules) -> bool:
    """Whether a link can join people by the rules; any other is as if it were not there. As `_that_link` in SQL."""
    return rules.of(link.kind).links_people and (link.vouched or rules.browsers_link)


def _that_link(rules: IdentityRules) -> list[sa.ColumnElement[bool]]:
    columns = tables.links.c
    silent_kinds = [each.kind for each in rules.kinds if not each.links_people]
    return [columns.kind.not_in(silent_kinds), *([] if rules.browsers_link else [columns.vouched])]
