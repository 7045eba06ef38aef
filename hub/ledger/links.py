"""Links, and whose subject each is: learnt and computed again inside the transaction that stores the records.

Only what a transaction touches is computed: the connected component of a new link, or of a statement. Subjects that
name nobody but themselves, which are nearly all, cost one look at their record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from edgewise.identifiers import PREVIOUS, base_kind
from edgewise.ids import SubjectId
from edgewise.records import EventRecord
from hub.identity.resolve import Link, Statement, resolve
from hub.identity.rules import DEFAULT_RULES, IdentityRules
from hub.ledger import tables
from hub.ledger.dialect import chunks, upsert

Nodes = frozenset[SubjectId]
_rules = msgspec.json.Decoder(IdentityRules)
_COLUMNS = Link._fields


class Component(NamedTuple):
    """All that decides who some subjects are."""

    links: list[Link]
    statements: list[Statement]
    crowded: Nodes
    """Nodes at which the search stopped: they join nobody, and most of their links were not read."""
    nodes: set[SubjectId]


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


def learn(connection: sa.Connection, events: Iterable[EventRecord]) -> list[Link]:
    """Write down the links of new records; returns those that were not known, or not so early."""
    found = links_in(events)
    if not found:
        return []
    known = {(link.subject, link.identifier, link.kind): link for link in _known(connection, found.values())}
    news = []
    for key, link in found.items():
        before = known.get(key)
        link = link if before is None else _earlier(before, link)  # noqa: PLW2901
        if link != before:
            news.append(link)
    upsert(
        connection,
        tables.links,
        [link._asdict() for link in news],
        update=("subject_kind", "first_ms", "source", "vouched"),
    )
    return news


def regroup(
    connection: sa.Connection, touched: Collection[SubjectId], revision: int, *, added: Iterable[Link] = ()
) -> Nodes:
    """Compute again who the touched subjects are, and everybody whom that may concern.

    `added` are links that are new: a node that only they made crowded had joined people before. Returns the subjects
    whose person has other members now.
    """
    rules = rules_in_force(connection)
    component = load_component(connection, touched, rules, added)
    before = people_among(connection, component.nodes)
    groups = resolve(component.links, component.statements, rules, crowded=component.crowded)
    grouped = {node for group in groups for node in group}
    groups += [(node,) for node in sorted(component.nodes - grouped)]
    changed: set[SubjectId] = set()
    rows = []
    members_before: dict[SubjectId, set[SubjectId]] = {}
    for node, person in before.items():
        members_before.setdefault(person, set()).add(node)
    names = _names(connection, groups, before)
    for group, name in zip(groups, names, strict=True):
        for node in group:
            if node not in before and len(group) == 1:
                continue  # nothing joins it to anybody: it needs no row
            is_as_before = members_before.get(before.get(node, node), {node}) == set(group)
            if not is_as_before:
                changed.add(node)
            if not is_as_before or before.get(node) != name:
                rows.append({"subject": node, "person": name, "revision": revision})
    upsert(connection, tables.persons, rows, update=("person", "revision"))
    return frozenset(changed)


def forget(connection: sa.Connection, subjects: Sequence[SubjectId], revision: int) -> Nodes:
    """Take subjects out of identity for good: links, statements, persons. Returns whose person changed by that.

    Whoever was one person with them is news, also where he stays with all others: a node may hold their part with his.
    """
    companions = members_of_all(connection, subjects).difference(subjects)
    around: set[SubjectId] = set(companions)
    for some in chunks(list(subjects)):
        links, said = tables.links, tables.identity_statements
        for table, left, right in (
            (links, links.c.subject, links.c.identifier),
            (said, said.c.left_subject, said.c.right_subject),
        ):
            where = sa.or_(left.in_(some), right.in_(some))
            for row in connection.execute(sa.select(left, right).where(where)):
                around.update(map(SubjectId, row))
            connection.execute(sa.delete(table).where(where))
    for some in chunks(list(subjects)):
        connection.execute(sa.delete(tables.persons).where(tables.persons.c.subject.in_(some)))
    changed = regroup(connection, around.difference(subjects), revision)
    remaining = people_among(connection, companions)
    rows = [{"subject": subject, "person": person, "revision": revision} for subject, person in remaining.items()]
    upsert(connection, tables.persons, rows, update=("revision",))
    return changed | companions


def rules_in_force(connection: sa.Connection) -> IdentityRules:
    """The newest rules, or the built-in ones."""
    columns = tables.identity_rules.c
    query = sa.select(columns.document).order_by(columns.revision.desc()).limit(1)
    document = connection.execute(query).scalar_one_or_none()
    return DEFAULT_RULES if document is None else _rules.decode(document)


def load_component(
    connection: sa.Connection, seeds: Collection[SubjectId], rules: IdentityRules, added: Iterable[Link] = ()
) -> Component:
    """Everything that is connected with `seeds`, through nodes that join people, or did before `added` were added."""
    fresh: Counter[SubjectId] = Counter(node for link in added for node in {link.subject, link.identifier})
    counts_for_something = _that_link(rules)
    links: dict[tuple[SubjectId, SubjectId, str], Link] = {}
    statements: dict[int, Statement] = {}
    crowded: set[SubjectId] = set()
    seen: set[SubjectId] = set()
    frontier = set(seeds) | members_of_all(connection, list(seeds))
    while frontier:
        seen |= frontier
        counts = _crowds(connection, sorted(frontier), rules)
        crowded |= counts.keys()
        open_nodes = sorted(node for node in frontier if node not in counts or counts[node] - fresh[node] <= 0)
        reached: set[SubjectId] = set()
        for link in _links_at(connection, open_nodes, counts_for_something):
            links[link.subject, link.identifier, link.kind] = link
            reached.update((link.subject, link.identifier))
        for statement in statements_about(connection, sorted(frontier)):
            statements[statement.position] = statement
            reached.update((statement.left, statement.right))
        frontier = reached - seen
    return Component(list(links.values()), list(statements.values()), frozenset(crowded), seen)


def statements_about(connection: sa.Connection, subjects: Sequence[SubjectId]) -> list[Statement]:
    """Every statement that names one of them, in order."""
    columns = tables.identity_statements.c
    found: set[Statement] = set()
    for some in chunks(subjects):
        for column in (columns.left_subject, columns.right_subject):
            query = sa.select(columns.position, columns.kind, columns.left_subject, columns.right_subject)
            found.update(Statement(*row) for row in connection.execute(query.where(column.in_(some))))
    return sorted(found)


def people_among(connection: sa.Connection, subjects: Collection[SubjectId]) -> dict[SubjectId, SubjectId]:
    """Subject -> person, for those that have a row."""
    columns = tables.persons.c
    found: dict[SubjectId, SubjectId] = {}
    for some in chunks(sorted(subjects)):
        rows = connection.execute(sa.select(columns.subject, columns.person).where(columns.subject.in_(some)))
        found.update((SubjectId(subject), SubjectId(person)) for subject, person in rows)
    return found


def members_of_all(connection: sa.Connection, subjects: Collection[SubjectId]) -> set[SubjectId]:
    """The subjects, with everybody who is one person with one of them."""
    columns = tables.persons.c
    if not subjects or connection.execute(sa.select(columns.subject).limit(1)).first() is None:
        return set(subjects)
    members = set(subjects)
    for some in chunks(sorted(set(people_among(connection, subjects).values()))):
        members.update(connection.execute(sa.select(columns.subject).where(columns.person.in_(some))).scalars())
    return members


def _earlier(one: Link, other: Link) -> Link:
    first = min(one, other, key=lambda link: (link.first_ms, link.source))
    return first._replace(subject_kind=max(one.subject_kind, other.subject_kind), vouched=one.vouched or other.vouched)


def _known(connection: sa.Connection, links: Iterable[Link]) -> Iterator[Link]:
    """Rows of the same subjects and identifiers."""
    columns = tables.links.c
    by_subject: dict[SubjectId, list[SubjectId]] = {}
    for link in links:
        by_subject.setdefault(link.subject, []).append(link.identifier)
    for some in chunks(sorted(by_subject)):
        identifiers = sorted({each for subject in some for each in by_subject[SubjectId(subject)]})
        for few in chunks(identifiers):
            where = (columns.subject.in_(some), columns.identifier.in_(few))
            yield from map(
                Link._make, connection.execute(sa.select(*(columns[name] for name in _COLUMNS)).where(*where))
            )


def _that_link(rules: IdentityRules) -> list[sa.ColumnElement[bool]]:
    """The links that may join people by the rules; all others are as if they were not there."""
    columns = tables.links.c
    silent_kinds = [each.kind for each in rules.kinds if not each.links_people]
    return [columns.kind.not_in(silent_kinds), *([] if rules.browsers_link else [columns.vouched])]


def _links_at(
    connection: sa.Connection, nodes: Sequence[SubjectId], where: Sequence[sa.ColumnElement[bool]]
) -> Iterator[Link]:
    columns = tables.links.c
    for some in chunks(nodes):
        for column in (columns.subject, columns.identifier):
            query = sa.select(*(columns[name] for name in _COLUMNS))
            rows = connection.execute(query.where(column.in_(some), *where))
            yield from map(Link._make, rows)


def _crowds(connection: sa.Connection, nodes: Sequence[SubjectId], rules: IdentityRules) -> dict[SubjectId, int]:
    """Crowded nodes -> by how many links they are, counted in the index."""
    columns = tables.links.c
    count = sa.func.count()
    where = _that_link(rules)
    least = min([rules.of("").most_people, *(each.most_people for each in rules.kinds)])
    found: dict[SubjectId, int] = {}
    for some in chunks(nodes):
        named = (
            sa.select(columns.identifier, columns.kind, count)
            .where(columns.identifier.in_(some), *where)
            .group_by(columns.identifier, columns.kind)
            .having(count > least)
        )
        for node, kind, links in connection.execute(named):
            over = links - rules.of(kind).most_people
            if over > 0:
                found[node] = max(over, found.get(node, 0))
        naming = (
            sa.select(columns.subject, count)
            .where(columns.subject.in_(some), *where)
            .group_by(columns.subject)
            .having(count > rules.most_identifiers)
        )
        for node, links in connection.execute(naming):
            found[node] = max(links - rules.most_identifiers, found.get(node, 0))
    return found


def _names(
    connection: sa.Connection, groups: Sequence[tuple[SubjectId, ...]], before: dict[SubjectId, SubjectId]
) -> list[SubjectId]:
    """What each person is called: as before, if it still has that member; else after its first member with a profile.

    So a person keeps the name while members join. Of two who become one, the smaller hash stays.
    """
    used = set(before.values())
    nameless = [node for group in groups if len(group) > 1 and not used.intersection(group) for node in group]
    have_profiles: set[SubjectId] = set()
    columns = tables.profiles.c
    for some in chunks(nameless):
        have_profiles.update(connection.execute(sa.select(columns.subject).where(columns.subject.in_(some))).scalars())
    return [min(group, key=lambda node: (node not in used, node not in have_profiles, node)) for group in groups]
