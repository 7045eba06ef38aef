"""Shares of people: coverage, join rates, and what a join would change, against counting by hand."""

from hypothesis import given
from hypothesis import strategies as st

from edgewise.ids import SubjectId
from hub.data_audit.holdings import Holdings
from hub.data_audit.people import People, active, coverage, join_rates, pair_rates
from hub.site.journey_file import Need

NEED = Need("event", "x", 1.0)
subjects = st.integers(0, 9).map(lambda number: SubjectId(f"{number:032x}"))
sources = st.dictionaries(st.sampled_from(["crm", "shop", "web"]), st.sets(subjects, min_size=1), min_size=1)
pairs = st.lists(st.tuples(subjects, subjects), max_size=8)


def holding(of: dict[str, set[SubjectId]], having: set[SubjectId]) -> Holdings:
    found = Holdings([NEED])
    for source, those in of.items():
        found.subjects[source] |= those
    found.holders[NEED]["web"] |= having
    found.last_ms.update({subject: int(subject, 16) for those in of.values() for subject in those})
    return found


def components(pairs: list[tuple[SubjectId, SubjectId]]) -> list[set[SubjectId]]:
    """The definition: whoever is joined by pairs, over and over."""
    people = [{SubjectId(f"{number:032x}")} for number in range(10)]
    for left, right in pairs:
        one = next(person for person in people if left in person)
        other = next(person for person in people if right in person)
        if one is not other:
            people.remove(other)
            one |= other
    return people


@given(sources, st.sets(subjects), pairs, st.integers(0, 9))
def test_shares_are_of_people(
    of: dict[str, set[SubjectId]], having: set[SubjectId], joins: list[tuple[SubjectId, SubjectId]], since: int
) -> None:
    holdings = holding(of, having)
    people = People({}).joined(joins)
    persons = components(joins)
    in_source = {source: [person for person in persons if person & those] for source, those in of.items()}
    for source, rate in join_rates(holdings, people).items():
        elsewhere = [
            person
            for person in in_source[source]
            if any(person & those for other, those in of.items() if other != source)
        ]
        assert rate == len(elsewhere) / len(in_source[source])
    for source, rates in pair_rates(holdings, people).items():
        for other, rate in rates.items():
            assert rate == sum(bool(person & of[other]) for person in in_source[source]) / len(in_source[source])
    everybody = set().union(*of.values())
    busy = [person for person in persons if any(int(subject, 16) >= since for subject in person & everybody)]
    whose = active(holdings, people, since)
    assert len(whose) == len(busy)
    expected = sum(bool(person & having) for person in busy) / len(busy) if busy else 0.0
    assert coverage(holdings, NEED, people, whose) == expected


@given(pairs, pairs)
def test_joining_twice_is_joining_at_once(
    first: list[tuple[SubjectId, SubjectId]], second: list[tuple[SubjectId, SubjectId]]
) -> None:
    twice, once = People({}).joined(first).joined(second), People({}).joined([*first, *second])
    for left in range(10):
        for right in range(10):
            one, other = SubjectId(f"{left:032x}"), SubjectId(f"{right:032x}")
            assert (twice.of(one) == twice.of(other)) == (once.of(one) == once.of(other))
