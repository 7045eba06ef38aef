"""Which statement a person means who wants two subjects apart, and whether two could be joined at all. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from edgewise.ids import SubjectId
from hub.identity.resolve import MERGE, Link, Pair, Statement, pair_of, resolve, standing
from hub.identity.rules import IdentityRules


class Known:
    """What is known of some people: links, statements, rules, as `Ledger.component_of` loads them."""

    def __init__(
        self,
        links: Sequence[Link],
        statements: Sequence[Statement],
        rules: IdentityRules,
        crowded: Collection[SubjectId] = (),
    ) -> None:
        self._links = links
        self._statements = statements
        self._rules = rules
        self._crowded = crowded

    def joined(self, left: SubjectId, right: SubjectId) -> bool:
        """Whether both are one person."""
        return self._are_one(left, right, self._statements)

    def would_join(self, left: SubjectId, right: SubjectId) -> bool:
        """Whether they would be, if somebody stated it: not where that would join two who were stated to be apart."""
        after = max((each.position for each in self._statements), default=0) + 1
        return self._are_one(left, right, [*self._statements, Statement(after, MERGE, *pair_of(left, right))])

    def merges(self, members: Collection[SubjectId]) -> list[Pair]:
        """Merges that stand between members of one person, latest first."""
        return [pair for pair in reversed(standing(self._statements).together) if {*pair} <= {*members}]

    def merge_between(self, left: SubjectId, right: SubjectId, members: Collection[SubjectId]) -> Pair | None:
        """The merge without which two members of one person would not be one: of themselves, else the latest such.

        None where no single merge joins them: links do, or several merges.
        """
        pair = pair_of(left, right)
        candidates = self.merges(members)
        if pair in candidates:
            return pair
        for candidate in candidates:
            without = [each for each in self._statements if pair_of(each.left, each.right) != candidate]
            if not self._are_one(left, right, without):
                return candidate
        return None

    def _are_one(self, left: SubjectId, right: SubjectId, statements: Sequence[Statement]) -> bool:
        people = resolve(self._links, statements, self._rules, crowded=self._crowded)
        return any(left in person and right in person for person in people)
