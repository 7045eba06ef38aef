"""Switch-DR and DRos: at their ends the direct method and DR, in between never worse by their own estimate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from logged_world import World, small_world

from hub.evaluation.estimators import Predictions, dm, dr, importance_weights, point, standard_error
from hub.evaluation.logged import Floats, LoggedDecisions
from hub.evaluation.shrinkage import bent, dros, switch_dr, switched


def heavy_log(seed: int, rows: int = 400) -> tuple[LoggedDecisions, Floats]:
    """A log whose policy shows nearly always the same, and the weights of the small world's target on it."""
    world = small_world()
    logging = np.full(world.logging.shape, 0.002)
    logging[:, 0] = 0.99
    log, target = World(world.share, world.reward, logging, world.target).log(rows, np.random.default_rng(seed))
    return log, importance_weights(target.of_logged(log), log.propensity)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20), st.floats(1e-3, 1e6))
def test_no_weight_grows_and_small_ones_stay(weights: list[float], tuning: float) -> None:
    given_weights = np.array(weights)
    for shrink in (switched, bent):
        smaller = shrink(given_weights, tuning)
        assert (smaller <= given_weights * (1 + 1e-12)).all()
        assert (smaller >= 0).all()
    assert switched(given_weights, tuning)[given_weights <= tuning].tolist() == [w for w in weights if w <= tuning]
    assert bent(given_weights, float("inf")).tolist() == weights
    # lambda w / (w^2 + lambda) is largest at w = sqrt(lambda), where it is sqrt(lambda) / 2
    assert bent(given_weights, tuning).max() <= tuning**0.5 / 2 * (1 + 1e-12)


def test_dr_and_the_direct_method_at_the_ends() -> None:
    log, weights = heavy_log(1)
    predicted = Predictions(np.full(log.rows, 0.2), np.full(log.rows, 0.3))
    for shrink, least in ((switched, 0.0), (bent, 1e-30)):
        assert point(dr(shrink(weights, least), log.reward, predicted)) == pytest.approx(point(dm(predicted)))
        assert point(dr(shrink(weights, 1e30), log.reward, predicted)) == pytest.approx(
            point(dr(weights, log.reward, predicted))
        )


@pytest.mark.parametrize("choose", [switch_dr, dros])
def test_what_is_chosen_has_the_smaller_estimated_error(choose: object) -> None:
    assert callable(choose)
    shrunk_at_all = 0
    for seed in range(10):
        log, weights = heavy_log(seed)
        predicted = Predictions(np.full(log.rows, log.reward.mean()), np.full(log.rows, log.reward.mean()))
        found = choose(weights, log.reward, predicted, log.unit)
        whole = standard_error(dr(weights, log.reward, predicted), log.unit)
        lost = float(np.mean((weights - found.weights) * (log.reward - predicted.logged)))
        assert standard_error(found.terms, log.unit) ** 2 + lost**2 <= whole**2
        assert point(found.terms) == pytest.approx(point(dr(found.weights, log.reward, predicted)))
        assert abs(lost) <= found.bias_bound
        shrunk_at_all += bool((found.weights < weights).any())
    assert shrunk_at_all


@pytest.mark.parametrize("choose", [switch_dr, dros])
def test_a_perfect_model_is_believed_and_equal_weights_are_kept(choose: object) -> None:
    assert callable(choose)
    log, weights = heavy_log(2)
    found = choose(weights, log.reward, Predictions(log.reward, np.full(log.rows, 0.4)), log.unit)
    assert point(found.terms) == pytest.approx(0.4)
    even = choose(np.ones(log.rows), log.reward, Predictions(np.zeros(log.rows), np.zeros(log.rows)), log.unit)
    assert point(even.terms) <= float(log.reward.mean()) * (1 + 1e-12)
    none = choose(np.zeros(log.rows), log.reward, Predictions(log.reward, np.full(log.rows, 0.4)), log.unit)
    assert point(none.terms) == pytest.approx(0.4)
    assert (none.tuning, none.bias_bound) == (float("inf"), 0.0)
