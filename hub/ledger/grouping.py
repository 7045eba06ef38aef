"""Whose subject each is, computed again inside the transaction that touched it (`hub.identity.resolve` says how).

The connected component of what was touched is always enough. Mostly much less is: components of raw links grow without
bound (people who share an address with people who share a device), while persons are bounded by the rules' limits. So
new links are first looked at among the persons whom they touch (`_nearby`), and only where that cannot tell is the
whole component loaded.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from edgewise.ids import SubjectId
from hub.identity.resolve import Link, Statement, kinds_of, resolve
from hub.identity.rules import USER, IdentityRules
from hub.ledger import tables
from hub.ledger.dialect import among, chunks, upsert_all
from hub.ledger.links import (
    Learnt,
    Nodes,
    crowds,
    links_at,
    may_join,
    members_of_all,
    people_among,
    rules_in_force,
    statements_about,
)

Group = tuple[SubjectId, ...]


class Component(NamedTuple):
    """All that decides who some subjects are."""

    links: list[Link]
    statements: list[Statement]
    crowded: Nodes
    """Nodes at which the search stopped: they join nobody, and most of their links were not read."""
    nodes: set[SubjectId]


class _Nearby(NamedTuple):
    """What can be told without the whole component."""

    groups: list[Group]
    unsure: set[SubjectId]
    """Touched subjects of which it cannot."""


def regroup(
    connection: sa.Connection, touched: Collection[SubjectId], revision: int, *, learnt: Sequence[Learnt] = ()
) -> Nodes:
    """Compute again who the touched subjects are, and everybody whom that may concern.

    `learnt` says what is new, where nothing else is. Returns the subjects whose person has other members now.
    """
    rules = rules_in_force(connection)
    groups: list[Group] = []
    if learnt:
        learnt = [each for each in learnt if may_join(each.link, rules)]
        nearby = _nearby(connection, learnt, rules)
        groups, touched = nearby.groups, nearby.unsure
    if touched:
        component = load_component(connection, touched, rules, learnt)
        groups = [group for group in groups if component.nodes.isdisjoint(group)]
        groups += resolve(component.links, component.statements, rules, crowded=component.crowded)
        groups += [(node,) for node in component.nodes.difference(*groups)]
    return _write(connection, groups, revision)


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
    upsert_all(connection, tables.persons, rows, update=("revision",))
    return changed | companions


def load_component(
    connection: sa.Connection, seeds: Collection[SubjectId], rules: IdentityRules, learnt: Iterable[Learnt] = ()
) -> Component:
    """Everything that is connected with `seeds`, through nodes that join people, or did before `learnt`."""
    fresh: Counter[SubjectId] = Counter(node for link, _ in learnt for node in {link.subject, link.identifier})
    links: dict[tuple[SubjectId, SubjectId, str], Link] = {}
    statements: dict[int, Statement] = {}
    crowded: set[SubjectId] = set()
    seen: set[SubjectId] = set()
    frontier = set(seeds) | members_of_all(connection, list(seeds))
    while frontier:
        seen |= frontier
        counts = crowds(connection, sorted(frontier), rules)
        crowded |= counts.keys()
        open_nodes = sorted(node for node in frontier if node not in counts or counts[node] - fresh[node] <= 0)
        reached: set[SubjectId] = set()
        for link in links_at(connection, open_nodes, rules):
            links[link.subject, link.identifier, link.kind] = link
            reached.update((link.subject, link.identifier))
        for statement in statements_about(connection, sorted(frontier)):
            statements[statement.position] = statement
            reached.update((statement.left, statement.right))
        frontier = reached - seen
    return Component(list(links.values()), list(statements.values()), frozenset(crowded), seen)


def _nearby(connection: sa.Connection, learnt: Sequence[Learnt], rules: IdentityRules) -> _Nearby:
    """Resolve new links among the persons whom they touch.

    That is right for persons who were joined by links alone, where the new links change neither the kind of a node nor
    whether it joins anybody, and every person from before comes out whole. For then each set in the run over everything
    contains, at every step, the set that it was before the new links came; so whatever was passed over between persons
    is passed over again (counts only grow), and what joined them joins them still.
    """
    touched = {node for link, _ in learnt for node in (link.subject, link.identifier)}
    members = members_of_all(connection, touched)
    person = people_among(connection, members)
    fresh: Counter[SubjectId] = Counter(node for link, _ in learnt for node in {link.subject, link.identifier})
    over = crowds(connection, sorted(touched), rules)
    around = {
        (link.subject, link.identifier, link.kind): link
        for link in links_at(connection, sorted(members.difference(over)), rules)
    }
    links = list(around.values())
    doubtful = {node for node, count in over.items() if count <= fresh[node]}
    doubtful |= {node for each in statements_about(connection, sorted(members)) for node in (each.left, each.right)}
    doubtful |= _other_kind(links, learnt, touched, rules)
    doubtful |= _perhaps_shared(links, touched, rules)
    outside = {node for link in links for node in (link.subject, link.identifier)} - members
    people = resolve(links, (), rules, crowded={*outside, *over})
    group_of = {node: group for group in people for node in group if node in members}
    for node in members:
        group_of.setdefault(node, (node,))
    by_person: dict[SubjectId, set[SubjectId]] = defaultdict(set)
    for node, name in person.items():
        by_person[name].add(node)
    for mine in by_person.values():
        if not all(mine <= {*group_of[node]} for node in mine):
            doubtful |= mine
    unsure = _clusters_of(doubtful & members, members, person, group_of, learnt)
    groups = sorted({group for node, group in group_of.items() if node not in unsure})
    return _Nearby(groups, unsure & touched)


def _other_kind(
    links: Iterable[Link], learnt: Iterable[Learnt], touched: Collection[SubjectId], rules: IdentityRules
) -> set[SubjectId]:
    """Touched nodes that are of another kind than before: a user who was renamed, most of all."""
    new = {link for link, _ in learnt}
    now = kinds_of(links, rules)
    then = kinds_of(
        [*(link for link in links if link not in new), *(before for _, before in learnt if before is not None)], rules
    )
    return {node for node in touched if node in then and node in now and now[node] != then[node]}


def _perhaps_shared(links: Iterable[Link], touched: Collection[SubjectId], rules: IdentityRules) -> set[SubjectId]:
    """Touched nodes that may be seen with more users than they may; some of those may be renamed ones."""
    users: dict[SubjectId, set[SubjectId]] = defaultdict(set)
    kinds: dict[SubjectId, set[str]] = defaultdict(set)
    for link in links:
        ends = ((link.subject, link.subject_kind), (link.identifier, link.kind))
        for (node, kind), (other, other_kind) in (ends, ends[::-1]):
            kinds[node].add(kind)
            if other_kind in (USER, ""):
                users[node].add(other)
    most = {kind: rules.of(kind).most_users for each in kinds.values() for kind in each}
    return {
        node
        for node in touched & users.keys()
        if any((bound := most[kind]) is not None and len(users[node]) > bound for kind in kinds[node])
    }


def _clusters_of(
    doubtful: set[SubjectId],
    members: set[SubjectId],
    person: Mapping[SubjectId, SubjectId],
    group_of: Mapping[SubjectId, Group],
    learnt: Iterable[Learnt],
) -> set[SubjectId]:
    """Everybody who is one person with a doubtful one, before or now, or newly linked with him, and so on."""
    around: dict[SubjectId, set[SubjectId]] = defaultdict(set)
    for node in members:
        for other in (person.get(node, node), group_of[node][0]):
            around[node].add(other)
            around[other].add(node)
    for link, _ in learnt:
        around[link.subject].add(link.identifier)
        around[link.identifier].add(link.subject)
    reached, frontier = set(doubtful), set(doubtful)
    while frontier:
        frontier = {other for node in frontier for other in around[node]} - reached
        reached |= frontier
    return reached


def _write(connection: sa.Connection, groups: Sequence[Group], revision: int) -> Nodes:
    """Note whose each subject is; returns those whose person has other members than before."""
    before = people_among(connection, {node for group in groups for node in group})
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
    upsert_all(connection, tables.persons, rows, update=("person", "revision"))
    return frozenset(changed)


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
    if nameless:
        where = among(connection, columns.subject, nameless)
        have_profiles.update(connection.execute(sa.select(columns.subject).where(where)).scalars())
    return [min(group, key=lambda node: (node not in used, node not in have_profiles, node)) for group in groups]
