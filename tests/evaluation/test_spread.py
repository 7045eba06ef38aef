"""Intervals: those of one family are the same whatever else is asked, and none is given where nothing is known."""

from dataclasses import replace

import numpy as np
import pytest
from logged_world import small_world

from hub.evaluation import estimators
from hub.evaluation.bernstein import Reach
from hub.evaluation.estimators import Predictions
from hub.evaluation.evaluate import Evaluation, evaluate_log
from hub.evaluation.logged import Floats, LoggedDecisions
from hub.evaluation.names import EstimatorName, IntervalName
from hub.evaluation.policies import uniform
from hub.evaluation.reward_model import cross_fitted
from hub.evaluation.spread import Measured, spreads


def evaluated(log: LoggedDecisions, *names: EstimatorName) -> Evaluation:
    return evaluate_log(log, "uniform", uniform(log), names, rng=np.random.default_rng(5), resamples=100).evaluation


def test_an_interval_does_not_depend_on_what_else_is_asked_for() -> None:
    # few distinct rows: one estimator alone is resampled by counts, all together row by row
    log, _ = small_world().log(2_000, np.random.default_rng(1))
    together = evaluated(log, *EstimatorName)
    for name in EstimatorName:
        if name is not EstimatorName.DM:
            assert evaluated(log, name).estimators[name] == together.estimators[name]


def test_the_direct_method_has_no_interval_and_says_so() -> None:
    log, _ = small_world().log(2_000, np.random.default_rng(1))
    found = evaluated(log, EstimatorName.IPS, EstimatorName.DM)
    direct = found.estimators["dm"]
    assert direct.estimate == pytest.approx(log.reward.mean(), abs=0.1)
    assert np.isnan([direct.ci_low, direct.ci_high, direct.stderr]).all()
    assert found.verdict == "warn"
    assert found.warnings[-1].startswith("dm has no interval: it is as wrong as its reward model")
    assert evaluated(log, EstimatorName.IPS).verdict == "ok"


@pytest.mark.parametrize("interval", IntervalName)
def test_every_kind_of_interval_is_around_the_estimate_and_no_narrower_than_chance(interval: IntervalName) -> None:
    log, target = small_world().log(1_000, np.random.default_rng(1))
    names = tuple(name for name in EstimatorName if name is not EstimatorName.DM)
    found = evaluate_log(
        log, "target", target, names, rng=np.random.default_rng(5), resamples=200, interval=interval
    ).evaluation.estimators
    for estimate in found.values():
        assert estimate.ci_low < estimate.estimate < estimate.ci_high
        assert estimate.ci_high - estimate.ci_low > 3 * estimate.stderr


@pytest.mark.parametrize("reward", [0.0, 1.0, 0.3])
def test_where_rewards_never_vary_there_is_no_interval(reward: float) -> None:
    log, _ = small_world().log(2_000, np.random.default_rng(1))
    found = evaluated(replace(log, reward=np.full(log.rows, reward)), EstimatorName.SNIPS)
    assert np.isnan([found.estimators["snips"].ci_low, found.estimators["snips"].stderr]).all()
    assert found.estimators["snips"].estimate == pytest.approx(reward)
    if reward:
        assert found.warnings[-1] == "snips has no interval: nothing in the log varies that the estimate rests on"
    else:
        assert found.verdict == "refused"


@pytest.mark.parametrize("rewards", [np.zeros(50), np.full(50, 0.1), np.ones(1)])
def test_a_mean_of_equal_rewards_is_not_known_to_the_last_digit(rewards: Floats) -> None:
    weights = np.full(len(rewards), 0.7)
    rows = np.arange(len(rewards))
    found_by = {
        "ips": Measured(estimators.ips(weights, rewards), weights, (Reach(1.0, 0.0, 1.0),)),
        "snips": Measured(estimators.snips(weights, rewards), weights, (Reach(1.0, 0.0, 1.0),)),
    }
    found = spreads(found_by, rows, resamples=20, rng=np.random.default_rng(0))
    assert not any(spread.is_known for spread in found.values())


def test_one_decision_is_no_interval() -> None:
    log, _ = small_world().log(1, np.random.default_rng(1))
    found = evaluated(log, EstimatorName.IPS)
    assert found.verdict == "refused"
    assert np.isnan(found.estimators["ips"].ci_low)


def test_no_fold_is_predicted_by_a_model_that_saw_the_user() -> None:
    log, _ = small_world().log(200, np.random.default_rng(2))
    log = replace(log, user=np.arange(200) % 50)

    def predictions(of: LoggedDecisions) -> Predictions:
        return cross_fitted(of, uniform(of), rng=np.random.default_rng(3))

    reward = log.reward.copy()
    reward[log.user == 0] = 1 - reward[log.user == 0]
    before, after = predictions(log), predictions(replace(log, reward=reward))
    np.testing.assert_array_equal(before.logged[log.user == 0], after.logged[log.user == 0])
    assert not np.array_equal(before.logged, after.logged)
