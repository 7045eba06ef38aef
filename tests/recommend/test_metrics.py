"""Lists and measures against twins in plain Python."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from hub.recommend.metrics import NOTHING, best, bootstrap, coverage, per_user

flags = st.sampled_from([0.0, 1.0])
# Few distinct scores: ties are the rule.
scored = st.integers(1, 12).flatmap(
    lambda items: st.lists(
        st.tuples(
            st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), min_size=items, max_size=items),
            st.lists(flags, min_size=items, max_size=items),
            st.lists(flags, min_size=items, max_size=items).filter(any),
        ),
        min_size=1,
        max_size=6,
    )
)
Row = tuple[list[float], list[float], list[float]]


def naive_list(scores: list[float], seen: list[float], k: int) -> list[int]:
    unseen = [item for item in range(len(scores)) if not seen[item]]
    return sorted(unseen, key=lambda item: (-scores[item], item))[:k]


def naive_measures(ranked: list[int], wanted: set[int], k: int) -> dict[str, float]:
    top = ranked[:k]
    hits = [rank for rank, item in enumerate(top, start=1) if item in wanted]

    def ideal(length: int) -> float:
        return math.fsum(1 / math.log2(rank + 1) for rank in range(1, length + 1))

    gained = math.fsum(1 / math.log2(rank + 1) for rank in hits)
    return {
        f"precision@{k}": len(hits) / k,
        f"recall@{k}": len(hits) / len(wanted),
        f"hit_rate@{k}": float(bool(hits)),
        f"mrr@{k}": 1 / hits[0] if hits else 0.0,
        f"ndcg_cut@{k}": gained / ideal(min(len(wanted), k)),
        f"ndcg_uncut@{k}": gained / ideal(len(wanted)),
    }


@given(scored, st.integers(1, 15))
def test_lists_equal_a_full_sort_with_ties_by_code(users: list[Row], k: int) -> None:
    scores = np.array([row[0] for row in users])
    lists = best(scores, csr_array(np.array([row[1] for row in users])), k)
    for ranked, (score, seen, _) in zip(lists.tolist(), users, strict=True):
        expected = naive_list(score, seen, k)
        assert ranked == expected + [NOTHING] * (k - len(expected))


@given(scored)
def test_measures_equal_their_definitions(users: list[Row]) -> None:
    ks = (1, 3, 5)
    lists = best(np.array([row[0] for row in users]), csr_array(np.array([row[1] for row in users])), 5)
    found = per_user(lists, csr_array(np.array([row[2] for row in users])), ks)
    for user, (score, seen, wanted) in enumerate(users):
        ranked = naive_list(score, seen, 5)
        for k in ks:
            for name, value in naive_measures(ranked, set(np.flatnonzero(wanted).tolist()), k).items():
                assert found[name][user] == pytest.approx(value, abs=1e-12), name


def test_the_two_ndcgs_differ_when_more_is_held_back_than_shown() -> None:
    lists = np.array([[0, 1]], dtype=np.int32)
    found = per_user(lists, csr_array(np.ones((1, 4))), (2,))
    assert found["ndcg_cut@2"][0] == pytest.approx(1.0)
    assert found["ndcg_uncut@2"][0] == pytest.approx(
        (1 + 1 / math.log2(3)) / sum(1 / math.log2(r + 1) for r in (1, 2, 3, 4))
    )


def test_coverage_counts_learned_items_only() -> None:
    lists = np.array([[0, 1], [0, 3], [2, NOTHING]], dtype=np.int32)
    learned = np.array([True, True, True, False, True])
    assert coverage(lists, 1, learned) == pytest.approx(2 / 4)
    assert coverage(lists, 2, learned) == pytest.approx(3 / 4)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """200 worlds; the number of misses is Binomial(200, about .05): more than 22 has probability below .001."""
    misses = 0
    for world in range(200):
        values = np.random.default_rng(world).binomial(1, 0.3, size=300).astype(float)
        found = bootstrap({"hit_rate@10": values}, seed=world, resamples=300)["hit_rate@10"]
        misses += not found.low <= 0.3 <= found.high
    assert misses <= 22


def test_the_seed_decides_the_interval() -> None:
    values = {"a": np.random.default_rng(0).random(50)}
    assert bootstrap(values, seed=1) == bootstrap(values, seed=1)
    assert bootstrap(values, seed=1) != bootstrap(values, seed=2)
    assert bootstrap(values, seed=1)["a"].mean == pytest.approx(float(values["a"].mean()))
