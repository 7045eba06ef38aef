"""People out of pairs: chains do not fuse them, names stay."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hub.linkage.clusters import LARGEST_GROUP, average_linkage, groups, in_order, named, people
from hub.linkage.scoring import Pairs

Weights = dict[tuple[int, int], float]
weights = st.dictionaries(
    st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] < pair[1]),
    # eighths: sums and means of few of them are exact, so both computations see the same ties
    st.integers(-160, 160).map(lambda eighths: eighths / 8),
    max_size=28,
)


def pairs(of: Weights) -> Pairs:
    left, right = (np.array([pair[side] for pair in of], np.int64) for side in (0, 1))
    return Pairs(left, right, np.array(list(of.values()), np.float64))


def naive(of: Weights, least: float) -> list[list[int]]:
    """The definition, word by word: look at all pairs of clusters again after each union."""
    clusters = [[number] for number in sorted({number for pair in of for number in pair})]
    while True:
        best: tuple[float, int, int] | None = None
        for one, other in combinations(clusters, 2):
            across = [of[min(a, b), max(a, b)] for a in one for b in other if (min(a, b), max(a, b)) in of]
            mean = sum(across) / (len(one) * len(other))
            ranked = (-mean, min(one[0], other[0]), max(one[0], other[0]))
            if across and mean > least and (best is None or ranked < best):
                best = ranked
        if best is None:
            return sorted(clusters)
        one, other = (next(cluster for cluster in clusters if cluster[0] == first) for first in best[1:])
        clusters = sorted([cluster for cluster in clusters if cluster not in (one, other)] + [sorted(one + other)])


@given(weights)
def test_average_linkage_is_its_definition(of: Weights) -> None:
    assert average_linkage(of, -2.0) == naive(of, -2.0)


@given(weights, st.randoms())
def test_the_order_of_pairs_is_nothing(of: Weights, shuffler: object) -> None:
    turned = list(of.items())
    shuffler.shuffle(turned)  # type: ignore[attr-defined]
    assert average_linkage(dict(turned)) == average_linkage(of)
    assert groups(pairs(dict(turned)), 0.0) == groups(pairs(of), 0.0)


def test_one_bridge_does_not_fuse_two_people() -> None:
    one, other = range(4), range(4, 8)
    of = dict.fromkeys(combinations(range(8), 2), -20.0)
    of |= {pair: 9.0 for side in (one, other) for pair in combinations(side, 2)}
    of[3, 4] = 6.0
    assert groups(pairs(of), 0.0) == [[0, 1, 2, 3, 4, 5, 6, 7]]
    assert people(pairs(of), [list(range(8))]) == [[0, 1, 2, 3], [4, 5, 6, 7]]


@given(weights)
def test_a_group_is_all_that_hangs_together(of: Weights) -> None:
    found = groups(pairs(of), 0.0)
    where = {number: position for position, group in enumerate(found) for number in group}
    assert sorted(where) == sorted({number for pair, weight in of.items() if weight >= 0 for number in pair})
    assert all(where[one] == where[other] for (one, other), weight in of.items() if weight >= 0)


def test_a_group_too_large_is_cut_where_it_is_weakest() -> None:
    half = LARGEST_GROUP - 10
    of = {(number, number + 1): 8.0 for number in range(2 * half - 1)}
    of[half - 1, half] = 0.5
    assert [len(group) for group in groups(pairs(of), 0.0)] == [half, half]


def test_equal_records_without_end_are_cut_to_size() -> None:
    of = {(0, number): 8.0 for number in range(1, 3 * LARGEST_GROUP)}
    found = groups(pairs(of), 0.0)
    assert max(map(len, found)) <= LARGEST_GROUP
    assert sorted(number for group in found for number in group) == list(range(3 * LARGEST_GROUP))


partitions = st.lists(st.integers(0, 5), min_size=1, max_size=14).map(
    lambda labels: [
        cluster for label in range(6) if (cluster := [str(n) for n, each in enumerate(labels) if each == label])
    ]
)


@given(partitions, st.data())
def test_clusters_keep_their_names_when_records_are_added(clusters: list[list[str]], data: st.DataObject) -> None:
    """Later ids join, or are alone: untouched clusters and grown ones are called as before."""
    everybody = [member for cluster in clusters for member in cluster]
    before = named(clusters, everybody)
    new = [str(100 + number) for number in range(data.draw(st.integers(0, 6)))]
    grown = [[*cluster] for cluster in clusters]
    for member in new:
        place = data.draw(st.integers(0, len(grown)))
        if place < len(grown):
            grown[place].append(member)
    after = named(grown, [*new, *everybody])
    assert {member: after[member] for member in before} == before
    assert len(set(after.values())) >= len(set(before.values()))


@given(partitions, partitions)
def test_with_the_earlier_names_each_cluster_keeps_that_of_most_members(
    earlier: list[list[str]], later: list[list[str]]
) -> None:
    everybody = [str(number) for number in range(14)]
    before = named(earlier, everybody)
    after = named(later, everybody, before)
    of_cluster: dict[str, set[str]] = {}
    for member, name in after.items():
        of_cluster.setdefault(name, set()).add(member)
    kept = {frozenset(members) for members in of_cluster.values()}
    # names stay with their clusters: no two clusters share one, and every member has one
    assert kept >= {frozenset(cluster) for cluster in later}
    # an untouched cluster is called as before
    for cluster in later:
        if cluster in earlier:
            assert {after[member] for member in cluster} == {before[cluster[0]]}


def test_a_new_record_with_a_small_id_changes_no_name_that_is_known() -> None:
    before = named([["5", "7"]], ["5", "7", "9"])
    assert before == {"5": "5", "7": "5", "9": "9"}
    assert named([["1", "5", "7"]], ["1", "5", "7", "9"], before) == {"1": "5", "5": "5", "7": "5", "9": "9"}
    # 5 left its cluster, which keeps the name for the two others
    assert named([["7", "8"]], ["5", "7", "8"], {"5": "5", "7": "5", "8": "5"}) == {"7": "5", "8": "5", "5": "5+1"}


def test_numbers_in_ids_count_as_numbers() -> None:
    assert sorted(["a10", "10", "a2", "9", ""], key=in_order) == ["", "9", "10", "a2", "a10"]
