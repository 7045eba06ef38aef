"""Estimators: laws, and their naive twins one row at a time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from logged_world import small_world

from hub.evaluation import estimators
from hub.evaluation.estimators import Predictions, effective_sample_size, importance_weights, point, standard_error
from hub.evaluation.evaluate import evaluate_log
from hub.evaluation.logged import Floats
from hub.evaluation.names import EstimatorName, estimator_names

ROWS = st.integers(2, 30)
WEIGHTS = st.floats(0, 100, allow_subnormal=False).map(lambda weight: round(weight, 3))
REWARDS = st.floats(-10, 10).map(lambda reward: round(reward, 3))


@st.composite
def logs(draw: st.DrawFn) -> tuple[Floats, Floats]:
    rows = draw(ROWS)
    weights = draw(arrays(np.float64, rows, elements=WEIGHTS).filter(lambda some: some.sum() > 0))
    return weights, draw(arrays(np.float64, rows, elements=REWARDS))


@given(logs())
def test_ips_and_snips_as_sums_by_hand(log: tuple[Floats, Floats]) -> None:
    weights, rewards = log
    pairs = list(zip(weights.tolist(), rewards.tolist(), strict=True))
    gained = math.fsum(weight * reward for weight, reward in pairs)
    assert point(estimators.ips(weights, rewards)) == pytest.approx(gained / len(pairs), abs=1e-9)
    total = math.fsum(weight for weight, _ in pairs)
    assert point(estimators.snips(weights, rewards)) == pytest.approx(gained / total, rel=1e-9, abs=1e-9)


@given(logs(), st.floats(0.01, 100))
def test_a_constant_factor_on_the_weights(log: tuple[Floats, Floats], factor: float) -> None:
    weights, rewards = log
    scaled = weights * factor
    assert point(estimators.ips(scaled, rewards)) == pytest.approx(
        factor * point(estimators.ips(weights, rewards)), rel=1e-9, abs=1e-9
    )
    assert point(estimators.snips(scaled, rewards)) == pytest.approx(
        point(estimators.snips(weights, rewards)), rel=1e-9, abs=1e-9
    )
    assert effective_sample_size(scaled) == pytest.approx(effective_sample_size(weights))


@given(logs(), st.floats(-5, 5))
def test_a_constant_added_to_the_rewards_moves_snips_by_it(log: tuple[Floats, Floats], shift: float) -> None:
    weights, rewards = log
    moved = point(estimators.snips(weights, rewards + shift))
    assert moved == pytest.approx(point(estimators.snips(weights, rewards)) + shift, abs=1e-9)


@given(logs())
def test_snips_stays_within_the_rewards(log: tuple[Floats, Floats]) -> None:
    weights, rewards = log
    found = point(estimators.snips(weights, rewards))
    shown = rewards[weights > 0]
    assert shown.min() - 1e-9 <= found <= shown.max() + 1e-9


@given(logs(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(log: tuple[Floats, Floats], shuffler: object) -> None:
    weights, rewards = log
    order = list(range(len(weights)))
    shuffler.shuffle(order)  # type: ignore[attr-defined]
    for estimator in (estimators.ips, estimators.snips):
        before, after = estimator(weights, rewards), estimator(weights[order], rewards[order])
        unit = np.arange(len(weights))
        assert point(after) == pytest.approx(point(before), rel=1e-9, abs=1e-9)
        assert standard_error(after, unit) == pytest.approx(standard_error(before, unit), rel=1e-9, abs=1e-9)


@given(logs())
def test_the_effective_sample_size_is_between_one_and_all(log: tuple[Floats, Floats]) -> None:
    weights, _ = log
    assert 1 - 1e-9 <= effective_sample_size(weights) <= np.count_nonzero(weights) + 1e-9
    assert effective_sample_size(np.full(len(weights), 3.5)) == pytest.approx(len(weights))


def test_the_effective_sample_size_at_its_ends() -> None:
    assert effective_sample_size(np.zeros(5)) == 0
    assert effective_sample_size(np.array([0.0, 7.0])) == 1
    assert effective_sample_size(np.array([1e200, 1e200])) == pytest.approx(2)


@given(logs())
def test_the_standard_error_of_a_mean_is_the_textbook_one(log: tuple[Floats, Floats]) -> None:
    weights, rewards = log
    expected = np.std(weights * rewards, ddof=1) / math.sqrt(len(weights))
    found = standard_error(estimators.ips(weights, rewards), np.arange(len(weights)))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_rows_of_one_decision_are_one_unit() -> None:
    weights, rewards = np.ones(6), np.array([1.0, 1.0, 0.0, 0.0, 1.0, 1.0])
    doubled = standard_error(estimators.ips(weights, rewards), np.array([0, 0, 1, 1, 2, 2]))
    single = standard_error(estimators.ips(weights[::2], rewards[::2]), np.arange(3))
    assert doubled == pytest.approx(single)
    assert standard_error(estimators.ips(weights, rewards), np.arange(6)) < doubled


def test_what_is_undefined_is_nan() -> None:
    nothing = np.zeros(3)
    assert math.isnan(point(estimators.snips(nothing, np.ones(3))))
    assert math.isnan(standard_error(estimators.snips(nothing, np.ones(3)), np.arange(3)))
    assert math.isnan(standard_error(estimators.ips(np.ones(1), np.ones(1)), np.arange(1)))


@given(logs(), st.floats(0.01, 100))
def test_doubly_robust_at_its_ends(log: tuple[Floats, Floats], factor: float) -> None:
    weights, rewards = log
    target = np.linspace(-1, 1, len(rewards))
    knows_nothing = Predictions(np.zeros(len(rewards)), np.zeros(len(rewards)))
    knows_all = Predictions(rewards, target)
    assert point(estimators.dr(weights, rewards, knows_nothing)) == point(estimators.ips(weights, rewards))
    assert point(estimators.sndr(weights, rewards, knows_nothing)) == point(estimators.snips(weights, rewards))
    for estimator in (estimators.dr, estimators.sndr):
        assert point(estimator(weights, rewards, knows_all)) == pytest.approx(point(estimators.dm(knows_all)))
    some = Predictions(np.full(len(rewards), 0.5), target)
    assert point(estimators.sndr(weights * factor, rewards, some)) == pytest.approx(
        point(estimators.sndr(weights, rewards, some)), rel=1e-9, abs=1e-9
    )


@given(st.integers(0, 2**32 - 1))
def test_the_logged_policy_earns_exactly_the_mean(seed: int) -> None:
    log, _ = small_world().log(40, np.random.default_rng(seed))
    evaluation = evaluate_log(
        log, "logged", None, tuple(EstimatorName), rng=np.random.default_rng(0), resamples=50
    ).evaluation
    for name in ("ips", "snips"):
        assert evaluation.estimators[name].estimate == evaluation.logged_value == log.reward.mean()
    assert evaluation.estimators["dr"].estimate == pytest.approx(evaluation.logged_value)
    assert (evaluation.estimators["ips"].ess, evaluation.estimators["ips"].max_weight) == (40, 1)


def test_weights() -> None:
    assert importance_weights(np.array([0.5, 0.0]), np.array([0.25, 0.1])).tolist() == [2, 0]


def test_estimator_names() -> None:
    assert estimator_names("snips, IPS,snips") == (EstimatorName.SNIPS, EstimatorName.IPS)
    with pytest.raises(ValueError, match="no estimator 'magic'; there are: ips, snips, dm, dr, sndr"):
        estimator_names("ips,magic")


def test_a_studentised_interval_reaches_further_to_the_side_of_heavy_rows() -> None:
    rng = np.random.default_rng(3)
    values = rng.lognormal(0, 1.5, size=400)
    unit = np.arange(400)
    terms = {"mean": estimators.ips(values, np.ones(400)), "ratio": estimators.snips(values, np.ones(400))}
    plain = estimators.intervals(terms, unit, resamples=2_000, rng=np.random.default_rng(4))["mean"]
    low, high = estimators.studentised_intervals(terms, unit, resamples=2_000, rng=np.random.default_rng(4))["mean"]
    assert plain[0] < low < values.mean() < plain[1] < high
    # of even values both are the textbook's
    even = {"mean": estimators.ips(np.ones(400), rng.random(400))}
    stderr = standard_error(even["mean"], unit)
    low, high = estimators.studentised_intervals(even, unit, resamples=4_000, rng=rng)["mean"]
    assert (high - low) / (2 * 1.96 * stderr) == pytest.approx(1, abs=0.08)


def test_without_a_standard_error_there_is_no_studentised_interval() -> None:
    nothing = {"snips": estimators.snips(np.zeros(3), np.ones(3)), "ips": estimators.ips(np.ones(3), np.ones(3))}
    found = estimators.studentised_intervals(nothing, np.arange(3), resamples=10, rng=np.random.default_rng(0))
    assert np.isnan([*found["snips"], *found["ips"]]).all()
    alone = {"ips": estimators.ips(np.ones(1), np.ones(1))}
    assert np.isnan(
        estimators.studentised_intervals(alone, np.arange(1), resamples=10, rng=np.random.default_rng(0))["ips"]
    ).all()
