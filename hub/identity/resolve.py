"""From links and statements to people: a pure function of the *set* of both, so that no order of arrival matters.

The graph has a node for every subject and identifier (one name space, `edgewise.subjects`) and an edge for every link.
Its connected components would be the people, if every identifier were what it says. So the components are grown as in
Kruskal's algorithm for minimum spanning trees (Proc. AMS 7, 1956): edges are looked at strongest first, by priority of
the kind, what is vouched for before what a browser claims, then by earliest time, then by hash: a total order that only
depends on the set. An edge is passed over when joining its two sides would give one person more identifiers of a kind
than the rules allow, or would join two that a person has stated to be different. What people state to be the same comes
before every link and knows no limit.

An edge counts for nothing when one of its ends joins nobody: it is blocked, crowded (too many subjects name it, or it
names too many), or shared (seen with more users than the rules allow). All three only depend on the edges of that one
node, and a passed-over edge only on its own component: therefore a component can be resolved without the rest of the
graph, and to the same result. Cycles need no care, they are edges inside one set.

Cost: sorting, O(n log n) of n links; the union-find with union by size and path halving (Tarjan and van Leeuwen, J. ACM
31, 1984) is linear for all practical sizes, and what each set remembers is merged small into large.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from edgewise.ids import SubjectId
from hub.identity.rules import USER, IdentityRules

MERGE: Final = "merge"
UNMERGE: Final = "unmerge"

Pair = tuple[SubjectId, SubjectId]
"""Two subjects, the smaller hash first."""


class Link(NamedTuple):
    """A record's subject named another identifier."""

    subject: SubjectId
    subject_kind: str
    """Kind of identifier that the subject is the hash of; "" where no record told."""
    identifier: SubjectId
    kind: str
    first_ms: int
    """When first, over all records that say so."""
    source: str
    """The producer of that record."""
    vouched: bool
    """A server or an import said so, and not only a browser."""


class Statement(NamedTuple):
    """What a person stated of two subjects."""

    position: int
    """Statements are ordered by it."""
    kind: str
    """MERGE or UNMERGE."""
    left: SubjectId
    right: SubjectId


class Standing(NamedTuple):
    """What holds of all statements."""

    together: list[Pair]
    """Stated to be one person, first stated first."""
    apart: frozenset[Pair]
    """Stated to be two."""


def pair_of(left: SubjectId, right: SubjectId) -> Pair:
    """Both in the one order in which pairs are kept."""
    return (left, right) if left < right else (right, left)


def standing(statements: Iterable[Statement]) -> Standing:
    """What holds of each pair: a merge, until it is taken back; else that they are apart, once somebody said so.

    An unmerge of a pair whose merge stands only takes that back: the state is as if the merge had never happened, which
    is joined all the same where links join them. An unmerge of any other pair says that they are two people, and that
    is stronger than links.
    """
    together: dict[Pair, None] = {}
    apart: set[Pair] = set()
    for statement in sorted(statements):
        pair = pair_of(statement.left, statement.right)
        if statement.kind == MERGE:
            together.setdefault(pair)
        elif pair in together:
            del together[pair]
        else:
            apart.add(pair)
    return Standing(list(together), frozenset(apart.difference(together)))


def resolve(
    links: Collection[Link],
    statements: Iterable[Statement],
    rules: IdentityRules,
    *,
    crowded: Collection[SubjectId] = (),
) -> list[tuple[SubjectId, ...]]:
    """The people among all that `links` and `statements` name: each sorted, in sorted order; many are one subject.

    `crowded` are nodes that are known to be so, for a caller who holds back most of their links.
    """
    by_kind = {kind: rules.of(kind) for link in links for kind in (link.kind, link.subject_kind)}
    joining = [
        link
        for link in set(links)
        if by_kind[link.kind].links_people and link.subject != link.identifier and (link.vouched or rules.browsers_link)
    ]
    holds = standing(statements)
    kinds = kinds_of(joining, rules)
    silent = {*rules.blocked, *crowded, *crowded_among(joining, rules)}
    limited = {node: kind for node, kind in kinds.items() if by_kind[kind].limit is not None and node not in silent}
    people = _People(kinds, limited, {kind: each.limit or 0 for kind, each in by_kind.items()}, holds.apart)
    for left, right in holds.together:
        people.join(left, right, within_limits=False)
    users = _users_of(joining, kinds, people, silent)
    silent |= {
        node
        for node, seen_with in users.items()
        if (most := by_kind[kinds[node]].most_users) is not None and len(seen_with) > most
    }
    rank = {kind: rules.rank(kind) for kind in by_kind}
    for link in sorted(joining, key=lambda link: (rank[link.kind], not link.vouched, link.first_ms, link[0], link[2])):
        if link.subject not in silent and link.identifier not in silent:
            people.join(link.subject, link.identifier, within_limits=True)
    return people.partition()


def crowded_among(links: Collection[Link], rules: IdentityRules) -> set[SubjectId]:
    """Identifiers that more subjects name than may, and subjects that name more identifiers than may.

    Every link of such a node must be given; links of kinds that name no person do not count.
    """
    named = Counter((link.identifier, link.kind) for link in links)
    naming = Counter(link.subject for link in links)
    most_people = {kind: rules.of(kind).most_people for _, kind in named}
    crowded = {node for (node, kind), count in named.items() if count > most_people[kind]}
    return crowded | {node for node, count in naming.items() if count > rules.most_identifiers}


def kinds_of(links: Iterable[Link], rules: IdentityRules) -> dict[SubjectId, str]:
    """Node -> its kind, the strongest under which it was seen.

    The strongest of all is `previousId`: a user who was renamed is no user any more.
    """
    seen: dict[SubjectId, set[str]] = defaultdict(set)
    for link in links:
        seen[link.subject].add(link.subject_kind)
        seen[link.identifier].add(link.kind)
    rank = {kind: (kind == "", rules.rank(kind)) for kinds in seen.values() for kind in kinds}
    return {node: min(kinds, key=rank.__getitem__) for node, kinds in seen.items()}


def _users_of(
    links: Iterable[Link], kinds: dict[SubjectId, str], people: _People, silent: set[SubjectId]
) -> dict[SubjectId, set[SubjectId]]:
    """Node -> the users that it was seen with; users who were stated to be one are one."""
    users: dict[SubjectId, set[SubjectId]] = defaultdict(set)
    for link in links:
        for node, other in ((link.identifier, link.subject), (link.subject, link.identifier)):
            if kinds[other] == USER and other not in silent:
                users[node].add(people.find(other))
    return users


class _People:
    """Disjoint sets, each with how many identifiers of a limited kind it has, and whom it must not be joined with."""

    def __init__(
        self,
        nodes: Iterable[SubjectId],
        limited: dict[SubjectId, str],
        limits: dict[str, int],
        apart: Collection[Pair],
    ) -> None:
        self._parent: dict[SubjectId, SubjectId] = {node: node for node in nodes}
        self._size: dict[SubjectId, int] = dict.fromkeys(self._parent, 1)
        self._limits = limits
        self._counts: dict[SubjectId, dict[str, int]] = {node: {kind: 1} for node, kind in limited.items()}
        self._strangers: dict[SubjectId, set[SubjectId]] = {}
        for left, right in apart:
            for node, other in ((left, right), (right, left)):
                self._add(node)
                self._strangers.setdefault(node, set()).add(other)

    def find(self, node: SubjectId) -> SubjectId:
        """The node that stands for the set."""
        self._add(node)
        parent = self._parent
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def join(self, left: SubjectId, right: SubjectId, *, within_limits: bool) -> None:
        """Make one set of both, unless they must not be one."""
        large, small = self.find(left), self.find(right)
        if large == small or self._are_strangers(large, small):
            return
        if within_limits and not self._fits(large, small):
            return
        if self._size[large] < self._size[small]:
            large, small = small, large
        self._parent[small] = large
        self._size[large] += self._size.pop(small)
        counts = self._counts.setdefault(large, {})
        for kind, count in self._counts.pop(small, {}).items():
            counts[kind] = counts.get(kind, 0) + count
        mine, theirs = self._strangers.pop(large, set()), self._strangers.pop(small, set())
        if len(mine) < len(theirs):
            mine, theirs = theirs, mine
        mine |= theirs
        if mine:
            self._strangers[large] = mine

    def partition(self) -> list[tuple[SubjectId, ...]]:
        """The sets."""
        found: dict[SubjectId, list[SubjectId]] = defaultdict(list)
        for node in sorted(self._parent):
            found[self.find(node)].append(node)
        return sorted(map(tuple, found.values()))

    def _add(self, node: SubjectId) -> None:
        if node not in self._parent:
            self._parent[node] = node
            self._size[node] = 1

    def _are_strangers(self, one: SubjectId, other: SubjectId) -> bool:
        fewer, root = min(
            (self._strangers.get(one, set()), other),
            (self._strangers.get(other, set()), one),
            key=lambda each: len(each[0]),
        )
        return any(self.find(stranger) == root for stranger in fewer)

    def _fits(self, one: SubjectId, other: SubjectId) -> bool:
        mine, theirs = self._counts.get(one, {}), self._counts.get(other, {})
        return all(count + theirs[kind] <= self._limits[kind] for kind, count in mine.items() if kind in theirs)
