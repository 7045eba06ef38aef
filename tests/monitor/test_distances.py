"""How far a stretch is from the others: as others compute it, and 1 where chance alone is at work."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.monitor.distances import ks, miscalibration, plain_psi, psi
from hub.monitor.windows import sizes, window_of

VALUES = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0.0, 1.0, 2.5, 7.0, float("nan")])), min_size=4)


@given(VALUES)
@settings(deadline=None)
def test_ks_is_the_largest_distance_of_two_distribution_functions(rows: list[tuple[int, float]]) -> None:
    window, values = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    for number, found in enumerate(ks(values, window, 4)):
        known = ~np.isnan(values)
        own, rest = values[known & (window == number)], values[known & (window != number)]
        if not len(own) or not len(rest):
            assert found == 0
            continue
        size = np.sqrt(len(own) * len(rest) / (len(own) + len(rest)))
        apart = max(abs(float(np.mean(own <= at)) - float(np.mean(rest <= at))) for at in values[known])
        assert found == pytest.approx(apart * size, abs=1e-9)


@given(VALUES)
@settings(deadline=None)
def test_the_index_is_that_of_a_count_by_hand(rows: list[tuple[int, float]]) -> None:
    window, values = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    named = [str(value) for value in values]
    bins = sorted(set(named))
    own = np.array([sum(n == b and w == 0 for n, w in zip(named, window, strict=True)) for b in bins]) + 0.5
    rest = np.array([sum(n == b and w != 0 for n, w in zip(named, window, strict=True)) for b in bins]) + 0.5
    found = plain_psi(values, window, 4)
    if not (window == 0).any() or not (window != 0).any():
        assert np.isnan(found)
        assert psi(values, window, 4)[0] == 0
        return
    p, q = own / own.sum(), rest / rest.sum()
    assert found == pytest.approx(float(np.sum((p - q) * np.log(p / q))), abs=1e-12)
    if len(bins) > 1:
        chance = (len(bins) - 1) * (1 / np.sum(window == 0) + 1 / np.sum(window != 0))
        assert psi(values, window, 4)[0] == pytest.approx(found / chance, abs=1e-12)


def test_chance_alone_is_1() -> None:
    rng = np.random.default_rng(4)
    window = np.repeat(np.arange(200), 400)
    values = rng.lognormal(size=len(window))
    found = psi(values, window, 200)
    # chi-squared with 9 degrees of freedom over 9: a standard deviation of sqrt(2 / 9); 4 of the mean of 200
    assert abs(found.mean() - 1) < 4 * np.sqrt(2 / 9) / np.sqrt(200)


def test_what_goes_missing_is_far() -> None:
    rng = np.random.default_rng(5)
    window = np.repeat(np.arange(10), 200)
    values = rng.normal(size=len(window)).astype(np.float32)
    values[(window == 0) & (rng.random(len(window)) < 0.3)] = np.nan
    found = psi(values, window, 10)
    assert found[0] > 10 * np.max(found[1:])


def test_outcomes_are_expected_by_like_scores_elsewhere() -> None:
    window = np.repeat([0, 1, 2], 100)
    score = np.tile(np.repeat([-1.0, 2.0], 50), 3)
    outcome = np.zeros(300, np.bool_)
    for number, (low, high) in enumerate([(10, 40), (5, 20), (5, 20)]):
        outcome[100 * number : 100 * number + low] = True
        outcome[100 * number + 50 : 100 * number + 50 + high] = True
    came, expected = miscalibration(score, outcome, window, 3)
    assert came.tolist() == [50, 25, 25]
    # of the others 10 and 40 came of 100 each, half an outcome and a half without one are added
    assert expected[0] == pytest.approx(50 * (10.5 / 101) + 50 * (40.5 / 101))


@given(st.lists(st.integers(-5_000, 5_000), max_size=40), st.integers(1, 700))
def test_every_moment_lies_in_one_stretch(moments: list[int], width_ms: int) -> None:
    time_ms = np.array(moments, np.int64)
    window = window_of(time_ms, 0, width_ms)
    for moment, number in zip(moments, window.tolist(), strict=True):
        assert number == -1 if moment >= 0 else -(number + 1) * width_ms <= moment < -number * width_ms
    assert sizes(window, 3).tolist() == [int(np.sum(window == number)) for number in range(3)]
