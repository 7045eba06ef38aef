"""In a world whose truth is known: estimates are right on average, and 95 % intervals hold it as often as they say."""

import math
from dataclasses import replace

import numpy as np
import pytest
from logged_world import small_world

from hub.evaluation.evaluate import evaluate_log
from hub.evaluation.logged import Floats
from hub.evaluation.names import EstimatorName


def outcomes(worlds: int, rows: int, resamples: int, names: tuple[EstimatorName, ...], seed: int) -> Floats:
    """(estimators, worlds, 3): whether the interval holds the truth, the estimate's error, its standard error."""
    world = small_world()
    truth = world.value(world.target)
    found = np.empty((len(names), worlds, 3))
    for number, rng in enumerate(np.random.default_rng(seed).spawn(worlds)):
        log, target = world.log(rows, rng)
        evaluation = evaluate_log(log, "target", target, names, rng=rng, resamples=resamples).evaluation
        for place, name in enumerate(names):
            estimate = evaluation.estimators[name]
            holds = estimate.ci_low <= truth <= estimate.ci_high
            found[place, number] = holds, estimate.estimate - truth, estimate.stderr
    return found


def least_covered(worlds: int, coverage: float) -> float:
    """The share that a true coverage falls below with probability 3e-7 (five standard errors)."""
    return coverage - 5 * math.sqrt(coverage * (1 - coverage) / worlds)


@pytest.mark.parametrize("rows", [300])
def test_intervals_hold_the_truth(rows: int) -> None:
    worlds = 300
    found = outcomes(worlds, rows, 600, (EstimatorName.IPS, EstimatorName.SNIPS), seed=11)
    for holds, error, stderr in np.moveaxis(found, 2, 1):
        assert holds.mean() >= least_covered(worlds, 0.94)
        assert abs(error.mean()) < 5 * error.std() / math.sqrt(worlds) + 0.002  # SNIPS: bias of order 1/n
        # the stated standard error is the spread that is seen; its own error is 1/sqrt(2 worlds)
        assert stderr.mean() == pytest.approx(error.std(), rel=5 / math.sqrt(2 * worlds))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_intervals_hold_the_truth_of_every_estimator() -> None:
    worlds = 2_000
    names = (EstimatorName.IPS, EstimatorName.SNIPS, EstimatorName.DR, EstimatorName.SNDR)
    found = outcomes(worlds, 500, 1_000, names, seed=12)
    for holds, error, stderr in np.moveaxis(found, 2, 1):
        assert 0.93 <= holds.mean() <= 0.97
        assert abs(error.mean()) < 5 * error.std() / math.sqrt(worlds) + 0.001
        assert stderr.mean() == pytest.approx(error.std(), rel=5 / math.sqrt(2 * worlds))


@pytest.mark.slow
def test_the_model_makes_estimates_sharper() -> None:
    worlds = 300
    ips, dr = outcomes(worlds, 500, 20, (EstimatorName.IPS, EstimatorName.DR), seed=13)
    # the true ratio of variances is 0.70; that of 300 worlds has a standard error below 0.7 x 2 / sqrt(300) = 0.08
    assert np.var(dr[:, 1]) < 0.95 * np.var(ips[:, 1])
    assert abs(dr[:, 1].mean()) < 5 * dr[:, 1].std() / math.sqrt(worlds)


def test_intervals_hold_the_truth_where_users_differ() -> None:
    worlds, users, each = 200, 60, 40
    world, names = small_world(), (EstimatorName.SNIPS, EstimatorName.DR)
    held = np.zeros((worlds, len(names)))
    for number, rng in enumerate(np.random.default_rng(14).spawn(worlds)):
        log, target = world.log(users * each, rng)
        user = np.arange(users * each) % users
        reward = rng.random(users)[user]  # whatever is shown: the truth is 1/2, and 60 draws are all there is
        of_users = replace(log, user=user, reward=reward)
        found = evaluate_log(of_users, "target", target, names, rng=rng, resamples=300).evaluation.estimators
        held[number] = [found[name].ci_low <= 0.5 <= found[name].ci_high for name in names]
    assert (held.mean(axis=0) >= least_covered(worlds, 0.93)).all()


def test_a_policy_told_by_the_logging_probabilities_has_weights_of_exactly_one() -> None:
    world = small_world()
    log, target = world.log(200, np.random.default_rng(3))
    same = type(target)("same", target.group, world.logging, target.elsewhere)
    estimate = evaluate_log(log, "same", same, rng=np.random.default_rng(0), resamples=50).evaluation.estimators
    assert estimate["ips"].estimate == estimate["snips"].estimate == log.reward.mean()
    assert estimate["ips"].ess == 200
