"""Who has what, by person; and what would be so if some of them were one. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from edgewise.ids import SubjectId
from hub.data_audit.holdings import Holdings
from hub.site.journey_file import Need

Pairs = Iterable[tuple[SubjectId, SubjectId]]


class People:
    """Subject -> what its person is called."""

    def __init__(self, called: Mapping[SubjectId, SubjectId]) -> None:
        self._called = called

    def of(self, subject: SubjectId) -> SubjectId:
        """The person of a subject; a subject that nobody knows is its own."""
        return self._called.get(subject, subject)

    def among(self, subjects: Iterable[SubjectId]) -> set[SubjectId]:
        """The people of some subjects."""
        return {self.of(subject) for subject in subjects}

    def joined(self, pairs: Pairs) -> People:
        """As if the two of each pair were one person."""
        above: dict[SubjectId, SubjectId] = {}

        def leader(one: SubjectId) -> SubjectId:
            while (up := above.get(one, one)) != one:
                above[one] = above.get(up, up)
                one = up
            return one

        for left, right in pairs:
            one, other = leader(self.of(left)), leader(self.of(right))
            if one != other:
                above[max(one, other)] = min(one, other)
        subjects = {*self._called, *above}
        return People({subject: leader(self.of(subject)) for subject in subjects})


def active(holdings: Holdings, people: People, since_ms: int) -> set[SubjectId]:
    """People who did something since."""
    return people.among(subject for subject, last_ms in holdings.last_ms.items() if last_ms >= since_ms)


def coverage(holdings: Holdings, need: Need, people: People, whose: set[SubjectId]) -> float:
    """The share of some people who have a data point, from whatever source; 0 where there is nobody."""
    having = people.among(subject for subjects in holdings.holders[need].values() for subject in subjects)
    return len(having & whose) / len(whose) if whose else 0.0


def join_rates(holdings: Holdings, people: People) -> dict[str, float]:
    """Source -> the share of its people who are found in another source, too."""
    of_source = {source: people.among(subjects) for source, subjects in holdings.subjects.items()}
    sources_of = Counter(person for persons in of_source.values() for person in persons)
    return {
        source: sum(sources_of[person] > 1 for person in persons) / len(persons)
        for source, persons in of_source.items()
    }


def pair_rates(holdings: Holdings, people: People) -> dict[str, dict[str, float]]:
    """Source -> other source -> the share of the first one's people who are in the other, too."""
    of_source = {source: people.among(subjects) for source, subjects in holdings.subjects.items()}
    return {
        source: {other: len(persons & theirs) / len(persons) for other, theirs in of_source.items() if other != source}
        for source, persons in of_source.items()
    }


def duplicates(holdings: Holdings, people: People) -> dict[str, int]:
    """Source -> records of its vault beyond the first of a person."""
    records = Counter((contact.source, people.of(contact.subject)) for contact in holdings.contacts)
    found: dict[str, int] = dict.fromkeys(holdings.subjects, 0)
    for (source, _), times in records.items():
        found[source] += times - 1
    return found
