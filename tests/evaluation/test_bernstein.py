"""Empirical Bernstein intervals: the inequality by hand, and coverage where a bootstrap of few rows fails."""

import math

import numpy as np
import pytest

from hub.evaluation.bernstein import Reach, bernstein_interval
from hub.evaluation.bootstrap import percentile_interval, resampled_sums
from hub.evaluation.estimators import Ratio, ips, snips

ROWS = 200


def test_a_mean_as_the_inequality_says() -> None:
    values = np.random.default_rng(1).random(ROWS)
    low, high = bernstein_interval(ips(np.ones(ROWS), values), np.arange(ROWS), [Reach(1.0, 0.0, 1.0)])
    log_term = math.log(4 / 0.05)
    half = math.sqrt(2 * values.var(ddof=1) * log_term / ROWS) + 7 * log_term / (3 * (ROWS - 1))
    assert [low, high] == pytest.approx([values.mean() - half, values.mean() + half])


def test_users_with_equally_many_rows_are_means_of_their_rows() -> None:
    values = np.random.default_rng(2).random(3 * ROWS)
    user = np.arange(3 * ROWS) % ROWS
    grouped = bernstein_interval(ips(np.ones(3 * ROWS), values), user, [Reach(1.0, 0.0, 1.0)])
    means = np.bincount(user, values) / 3
    assert grouped == pytest.approx(
        bernstein_interval(ips(np.ones(ROWS), means), np.arange(ROWS), [Reach(1.0, 0.0, 1.0)])
    )


def test_a_ratio_holds_what_cannot_be_told_from_it() -> None:
    rng = np.random.default_rng(3)
    weights, rewards = rng.uniform(0.5, 1.5, 5_000), rng.random(5_000)
    (low, high) = bernstein_interval(snips(weights, rewards), np.arange(5_000), [Reach(1.5, 0.0, 1.0)])
    assert low < 0.5 < high
    assert high - low < 0.1
    for value, is_held in ((low - 1e-6, False), (low + 1e-6, True), (high - 1e-6, True), (high + 1e-6, False)):
        off = weights * (rewards - value)
        margin = math.sqrt(2 * off.var(ddof=1) * math.log(80) / 5_000)
        most = max(np.ptp(off), 1.5 + value * np.ptp(weights))
        margin += 7 * most * math.log(80) / (3 * 4_999)
        assert (abs(off.mean()) <= margin) == is_held


def test_weights_that_may_average_nothing_leave_the_whole_range() -> None:
    weights = np.where(np.arange(50) == 0, 1_000.0, 0.0)
    found = bernstein_interval(snips(weights, np.ones(50)), np.arange(50), [Reach(1_000.0, 0.0, 1.0)])
    assert found == (0.0, 1.0)


def test_several_ratios_share_what_may_go_wrong() -> None:
    values = np.random.default_rng(4).random(ROWS)
    one = Ratio(values, np.ones(ROWS))
    reach = Reach(1.0, 0.0, 1.0)
    (low, high), (first, last) = (
        bernstein_interval(terms, np.arange(ROWS), [reach] * len(terms)) for terms in ((one,), (one, one))
    )
    assert first < 2 * low < 2 * high < last


@pytest.mark.parametrize("rows", [0, 1])
def test_one_unit_is_no_interval(rows: int) -> None:
    found = bernstein_interval(ips(np.ones(rows), np.ones(rows)), np.arange(rows), [Reach(1.0, 0.0, 1.0)])
    assert np.isnan(found).all()


def test_rare_heavy_rows_are_in_it_and_not_in_a_bootstrap() -> None:
    rng = np.random.default_rng(5)
    logs, rows, chance = 200, 100, 0.005
    held = np.zeros(2)
    for _ in range(logs):
        values = (rng.random(rows) < chance) / chance  # weight 200 with probability 1/200: on average 1
        exact = bernstein_interval(ips(np.ones(rows), values), np.arange(rows), [Reach(1 / chance, 0.0, 1 / chance)])
        sums = resampled_sums(np.stack([values, np.ones(rows)], axis=1), 100, rng)
        resampled = percentile_interval(sums[:, 0] / sums[:, 1])
        held += [low <= 1 <= high for low, high in (exact, resampled)]
    # of 200 logs 61 % hold no heavy row at all, and their resamples neither: five standard errors are 17 %
    assert held[0] == logs
    assert held[1] < 0.57 * logs
