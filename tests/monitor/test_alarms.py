"""An alarm is raised by chance as often as is said, whatever the distribution, and what has moved is named."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hub.monitor.alarms import LEAST_PAST, judge


@pytest.mark.parametrize("shape", [0.3, 1.0])
def test_chance_alarms_as_often_as_is_said(shape: float) -> None:
    """30 columns of which each has its own heavy tail, and the whole site good and bad days."""
    rng = np.random.default_rng(6)
    worlds, past = 2_000, 19
    alarms = 0
    for _ in range(worlds):
        day = rng.pareto(2.0, size=(past + 1, 1)) + 1
        distances = day * rng.weibull(shape, size=(past + 1, 30)) * rng.uniform(0.1, 10, size=30)
        found = judge(distances, present=[True] * (past + 1))
        assert found.false_alarm_rate == 1 / 20
        alarms += found.is_alarm
    # 4 standard deviations of a binomial count
    assert abs(alarms - worlds / 20) < 4 * math.sqrt(worlds * 0.05 * 0.95)


def test_the_column_that_moved_is_the_one_beyond_its_threshold() -> None:
    rng = np.random.default_rng(7)
    distances = rng.chisquare(9, size=(29, 12)) / 9
    distances[0, 5] = 8.0
    found = judge(distances, present=[True] * 29)
    assert found.is_alarm
    assert np.flatnonzero(distances[0] > found.thresholds).tolist() == [5]
    assert found.past == 28


def test_too_little_past_is_no_alarm() -> None:
    distances = np.ones((30, 1))
    distances[0] = 1e6
    for present in ([True] * LEAST_PAST + [False] * (30 - LEAST_PAST), [False] + [True] * 29):
        found = judge(distances, present=present)
        assert (found.is_alarm, math.isnan(found.false_alarm_rate)) == (False, True)
        assert np.isinf(found.thresholds).all()
    assert judge(distances, present=[True] * (LEAST_PAST + 1) + [False] * (29 - LEAST_PAST)).is_alarm


def test_a_column_that_hardly_ever_moves_does_not_shout() -> None:
    distances = np.zeros((20, 2))
    distances[:, 1] = np.linspace(1, 2, 20)
    distances[0, 0] = 0.2
    assert not judge(distances, present=[True] * 20).is_alarm
