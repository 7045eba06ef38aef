"""Precision and recall, against counting pair by pair."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from hub.linkage.quality import clustered, pairwise

labels = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", None])), max_size=12)


@given(labels)
def test_clusters_answer_for_all_their_pairs(rows: list[tuple[str, str | None]]) -> None:
    clusters, truth = [cluster for cluster, _ in rows], [real for _, real in rows]
    every = list(combinations(range(len(rows)), 2))
    found = [(one, other) for one, other in every if clusters[one] == clusters[other]]
    true = {(one, other) for one, other in every if truth[one] is not None and truth[one] == truth[other]}
    quality = clustered(clusters, truth)
    assert quality == pairwise(found, truth)
    assert (quality.found, quality.right, quality.true) == (len(found), len(true & set(found)), len(true))
    assert quality.precision == (quality.right / quality.found if found else 1.0)
    assert quality.recall == (quality.right / quality.true if true else 1.0)
