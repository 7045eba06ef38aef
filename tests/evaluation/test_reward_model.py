"""The reward model: honest by cross-fitting, and equal to a plain fit on the plain design."""

import numpy as np
import pyarrow as pa
import pytest
from logged_world import small_world
from sklearn.linear_model import LogisticRegression

from hub.evaluation.evaluate import evaluate_log
from hub.evaluation.logged import LoggedDecisions
from hub.evaluation.names import EstimatorName
from hub.evaluation.policies import Target, uniform
from hub.evaluation.reward_model import cross_fitted


def with_changes(log: LoggedDecisions, **changes: object) -> LoggedDecisions:
    fields = {name: getattr(log, name) for name in LoggedDecisions.__dataclass_fields__}
    return LoggedDecisions(**{**fields, **changes})


def test_predictions_are_those_of_a_plain_logistic_regression() -> None:
    log, target = small_world().log(600, np.random.default_rng(1))
    predicted = cross_fitted(log, target, rng=np.random.default_rng(2), folds=2)
    fold = np.random.default_rng(2).permutation(np.arange(600) % 2)
    situation = np.array([int(text[1:]) for text in log.context.column("situation").to_pylist()])
    design = np.hstack([np.eye(5)[situation], np.eye(6)[log.action]])
    train, test = fold == 0, fold == 1
    model = LogisticRegression(max_iter=1000, tol=1e-8).fit(design[train], log.reward[train])
    np.testing.assert_allclose(predicted.logged[test], model.predict_proba(design[test])[:, 1], atol=1e-4)
    by_action = np.stack(
        [
            model.predict_proba(np.hstack([np.eye(5)[situation[test]], np.tile(np.eye(6)[a], (test.sum(), 1))]))[:, 1]
            for a in range(6)
        ],
        axis=1,
    )
    expected = (by_action * target.table[situation[test]]).sum(axis=1)
    np.testing.assert_allclose(predicted.target[test], expected, atol=1e-4)


def test_a_rows_own_decision_does_not_shape_its_prediction() -> None:
    log, target = small_world().log(200, np.random.default_rng(4))
    paired = with_changes(log, decision=np.arange(200) // 2, decision_ids=tuple(str(n) for n in range(100)))
    before = cross_fitted(paired, target, rng=np.random.default_rng(5))
    reward = log.reward.copy()
    reward[:2] = 1 - reward[:2]
    after = cross_fitted(with_changes(paired, reward=reward), target, rng=np.random.default_rng(5))
    np.testing.assert_array_equal(before.logged[:2], after.logged[:2])
    assert not np.array_equal(before.logged, after.logged)


def test_action_features_positions_numbers_and_gaps() -> None:
    rng = np.random.default_rng(6)
    rows = 3_000
    action, position = rng.integers(4, size=rows), rng.integers(1, 3, size=rows)
    age = rng.normal(40, 10, size=rows)
    value = 2 * action + 5 * position + 0.1 * age
    log = LoggedDecisions(
        name="log",
        actions=("a", "b", "c", "d"),
        action=action,
        propensity=np.full(rows, 0.25),
        reward=value + rng.normal(size=rows),
        position=position,
        decision=np.arange(rows),
        decision_ids=tuple(str(n) for n in range(rows)),
        context=pa.table({"age": pa.array(age), "gap": pa.array(["x", None] * (rows // 2))}),
        action_features=pa.table({"action": ["b", "a", "c", "d"], "size": [1.0, 0.0, 2.0, 3.0]}),
    )
    target = uniform(log)
    predicted = cross_fitted(log, target, rng=np.random.default_rng(7))
    np.testing.assert_allclose(predicted.logged, value, atol=0.3)
    np.testing.assert_allclose(predicted.target, 3 + 5 * position + 0.1 * age, atol=0.3)


@pytest.mark.parametrize("reward", [0.0, 1.0, 2.5])
def test_a_reward_that_never_varies_is_predicted(reward: float) -> None:
    log, target = small_world().log(50, np.random.default_rng(8))
    predicted = cross_fitted(with_changes(log, reward=np.full(50, reward)), target, rng=np.random.default_rng(9))
    np.testing.assert_allclose(predicted.logged, reward)
    np.testing.assert_allclose(predicted.target, reward)


def test_very_small_logs_are_evaluated() -> None:
    for rows in (1, 2, 4):
        log, target = small_world().log(rows, np.random.default_rng(rows))
        names = tuple(EstimatorName)
        found = evaluate_log(log, "target", target, names, rng=np.random.default_rng(0), resamples=20).evaluation
        assert set(found.estimators) == {name.value for name in names}


def test_probability_of_unknown_actions_is_spread_over_the_known() -> None:
    log, target = small_world().log(300, np.random.default_rng(10))
    half = Target("half", target.group, target.table / 2, np.full(len(target.table), 0.5))
    whole = cross_fitted(log, target, rng=np.random.default_rng(11))
    np.testing.assert_allclose(cross_fitted(log, half, rng=np.random.default_rng(11)).target, whole.target)
