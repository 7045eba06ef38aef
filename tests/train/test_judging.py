"""`hub.train.judging`: the place of what was wanted, and intervals that know whose choices hang together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from hub.train.dataset import RankingRows
from hub.train.judging import judge, model_ranks
from hub.train.shop import NOWHERE, best_rank

Numbers = NDArray[np.int64]


def rows_of(sizes: list[int], retrieved: list[int], wanted: list[list[int]], visitor: list[int]) -> RankingRows:
    """Rows without columns: judging looks at scores only."""
    label = np.concatenate([np.isin(np.arange(size), of) for size, of in zip(sizes, wanted, strict=True)])
    choices = len(sizes)
    return RankingRows(
        names=(),
        matrix=np.zeros((sum(sizes), 0), np.float32),
        label=label.astype(np.float32),
        gain=label.astype(np.float32),
        size=np.array(sizes, np.int64),
        retrieved=np.array(retrieved, np.int64),
        visitor=np.array(visitor, np.int32),
        deed=np.arange(choices),
        rank_by_rule=np.full(choices, NOWHERE, np.int64),
        rank_by_retrieval=np.zeros(choices, np.int64),
    )


def judged_ranks(ranks: Numbers, visitor: Numbers) -> RankingRows:
    """One row a choice, of these visitors."""
    ones = [1] * len(ranks)
    return rows_of(ones, ones, [[0]] * len(ranks), visitor.tolist())


scored = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        arrays.arrays(np.float64, n, elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0])), arrays.arrays(np.bool_, n)
    )
)


@given(scored)
def test_the_best_rank_is_that_of_a_stable_sort(of: tuple[NDArray[np.float64], NDArray[np.bool_]]) -> None:
    scores, wanted = of
    order = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    expected = next((rank for rank, place in enumerate(order) if wanted[place]), NOWHERE)
    assert best_rank(scores, wanted) == expected


def test_the_model_is_asked_choice_by_choice_and_gets_no_point_for_what_retrieval_missed() -> None:
    rows = rows_of([3, 2, 3], [3, 2, 2], [[2], [0], [2]], [0, 0, 1])
    scores = np.array([5.0, 1.0, 3.0, 1.0, 1.0, 1.0, 2.0, 9.0])
    assert model_ranks(rows, scores).tolist() == [1, 0, NOWHERE]


def test_measures_are_means_over_choices_by_hand() -> None:
    ranks = np.array([0, 1, 3, NOWHERE, 0])
    rows = judged_ranks(ranks, np.array([0, 0, 1, 2, 2]))
    judged = judge(rows, ranks, k=2, is_known=np.array([True, False, True]), seed=0)
    assert {name: (group.visitors, group.choices) for name, group in judged.items()} == {
        "all": (3, 5),
        "known": (2, 4),
        "new": (1, 1),
    }
    measures = judged["all"].measures
    assert measures["hit_rate@2"].estimate == pytest.approx(3 / 5)
    assert measures["mrr@2"].estimate == pytest.approx((1 + 1 / 2 + 0 + 0 + 1) / 5)
    assert measures["hit_rate@2 of the rule"].estimate == 0
    assert measures["hit_rate@2 above the rule"].estimate == pytest.approx(3 / 5)
    assert measures["hit_rate@2 above the retrieval"].estimate == pytest.approx(3 / 5 - 1)
    assert measures["retrieved"].estimate == 1
    assert judged["known"].measures["hit_rate@2"].estimate == pytest.approx(3 / 4)


def test_groups_without_anybody_are_left_out() -> None:
    ranks = np.array([0, 1])
    judged = judge(judged_ranks(ranks, np.array([0, 0])), ranks, k=2, is_known=np.array([False]), seed=0)
    assert list(judged) == ["all", "new"]


def test_intervals_are_the_same_for_the_same_seed_and_hold_their_estimate() -> None:
    rng = np.random.default_rng(3)
    ranks, visitor = rng.integers(0, 30, 300), rng.integers(0, 40, 300)
    rows = judged_ranks(ranks, visitor)
    first, again, other = (
        judge(rows, ranks, k=10, is_known=np.ones(40, np.bool_), seed=seed)["all"].measures for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    for measure in first.values():
        assert measure.ci_low <= measure.estimate <= measure.ci_high


def test_choices_of_one_visitor_count_as_one_voice() -> None:
    """The same hits: once by 200 people, once by 10 people who each do as they always do."""
    hits = np.repeat([0, NOWHERE], 100)
    many, few = np.arange(200), np.repeat(np.arange(10), 20)
    widths = []
    for visitor in (many, few):
        judged = judge(judged_ranks(hits, visitor), hits, k=1, is_known=np.zeros(200, np.bool_), seed=0)
        measure = judged["all"].measures["hit_rate@1"]
        widths.append(measure.ci_high - measure.ci_low)
    # The deviation of a mean of n independent halves is 0.5 / sqrt(n).
    assert widths[0] == pytest.approx(2 * 1.96 * 0.5 / np.sqrt(200), rel=0.15)
    assert widths[1] == pytest.approx(2 * 1.96 * 0.5 / np.sqrt(10), rel=0.15)


@pytest.mark.slow
def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """150 worlds of 60 visitors who differ in how well they are served; 95 % +- 3 deviations of a count of 150."""
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(150):
        chance = rng.beta(2, 3, 60)
        visitor = np.repeat(np.arange(60), 8)
        ranks = np.where(rng.random(480) < chance[visitor], 0, NOWHERE)
        judged = judge(judged_ranks(ranks, visitor), ranks, k=1, is_known=np.zeros(60, np.bool_), seed=0)
        measure = judged["all"].measures["hit_rate@1"]
        covered += measure.ci_low <= 2 / 5 <= measure.ci_high
    assert abs(covered - 150 * 0.95) <= 3 * np.sqrt(150 * 0.95 * 0.05)
