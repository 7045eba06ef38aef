"""Schedules: known before anything is sent, as many as asked for, where the stages say."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.bench.arrivals import Arrivals, Stage, replayed, scheduled

rates = st.floats(0.5, 2_000)
durations = st.floats(0.05, 3)
stages = st.lists(st.builds(Stage, st.floats(0.1, 5), st.floats(0, 4)), min_size=1, max_size=5)


def drawn(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(st.sampled_from(Arrivals), rates, durations, stages, st.integers(0, 99))
def test_a_schedule_ascends_within_its_duration_and_is_the_same_for_the_same_seed(
    kind: Arrivals, rate: float, duration_s: float, shape: list[Stage], seed: int
) -> None:
    due = list(scheduled(kind, rate, duration_s, drawn(seed), shape))
    assert due == sorted(due)
    assert all(0 <= offset_s <= duration_s * (1 + 1e-9) for offset_s in due)
    assert due == list(scheduled(kind, rate, duration_s, drawn(seed), shape))


@given(rates, durations)
def test_a_metronome_sends_exactly_its_rate_at_equal_gaps(rate: float, duration_s: float) -> None:
    due = list(scheduled(Arrivals.CONSTANT, rate, duration_s, drawn()))
    assert abs(len(due) - rate * duration_s) <= 0.5 + 1e-6
    assert all(later - sooner == pytest.approx(1 / rate) for sooner, later in itertools.pairwise(due))


def test_strangers_come_by_poisson() -> None:
    """Mean and variance of the count per slot agree, within five standard errors; the seed makes it one case."""
    rate, duration_s = 1_000.0, 100.0
    due = np.array(list(scheduled(Arrivals.POISSON, rate, duration_s, drawn(7))))
    assert abs(len(due) - rate * duration_s) < 5 * math.sqrt(rate * duration_s)
    counts = np.histogram(due, bins=10_000, range=(0, duration_s))[0]
    assert counts.var() / counts.mean() == pytest.approx(1.0, abs=5 * math.sqrt(2 / 10_000))


@given(stages, rates)
def test_each_stage_gets_its_own_rate(shape: list[Stage], rate: float) -> None:
    duration_s, whole = 10.0, sum(stage.share for stage in shape)
    due = np.array(list(scheduled(Arrivals.CONSTANT, rate, duration_s, drawn(), shape)))
    begins_s = 0.0
    for stage in shape:
        ends_s = begins_s + duration_s * stage.share / whole
        inside = int(((due >= begins_s) & (due < ends_s)).sum())
        assert abs(inside - rate * stage.factor * (ends_s - begins_s)) <= 1 + 1e-6
        begins_s = ends_s


def test_nothing_is_sent_in_a_stage_of_factor_zero() -> None:
    shape = [Stage(1, 0.0), Stage(1, 1.0)]
    due = list(scheduled(Arrivals.POISSON, 100, 2.0, drawn(), shape))
    assert due
    assert min(due) >= 1.0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50).map(sorted), st.floats(0.1, 100))
def test_a_log_is_replayed_from_its_first_moment_at_its_speed(moments: list[float], speed: float) -> None:
    due = list(replayed(moments, speed))
    assert due[0] == 0
    assert [offset * speed for offset in due] == pytest.approx([moment - moments[0] for moment in moments])
    assert list(replayed(moments, speed, 5.0)) == [offset for offset in due if offset < 5.0]
