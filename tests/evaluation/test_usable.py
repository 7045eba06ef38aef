"""Rows that say nothing are left out, counted and named; logs that were thinned out are weighed back."""

from dataclasses import replace

import numpy as np
import pytest
from logged_world import small_world

from edgewise.errors import InputError
from hub.evaluation.evaluate import Evaluation, evaluate_log
from hub.evaluation.logged import LoggedDecisions
from hub.evaluation.names import EstimatorName
from hub.evaluation.policies import Target

ALL = tuple(EstimatorName)


def evaluated(log: LoggedDecisions, target: Target | None, *names: EstimatorName) -> Evaluation:
    return evaluate_log(log, "target", target, names, rng=np.random.default_rng(5), resamples=50).evaluation


def test_bad_rows_are_named_and_change_nothing() -> None:
    log, target = small_world().log(1_000, np.random.default_rng(1))
    bad = np.arange(400, 406)
    propensity, reward = log.propensity.copy(), log.reward.copy()
    propensity[bad[:4]] = [0, -1, np.nan, 1.5]
    reward[bad[4:]] = [np.nan, np.inf]
    spoilt = evaluated(replace(log, propensity=propensity, reward=reward), target, *ALL)
    rest = np.setdiff1d(np.arange(1_000), bad)
    clean = evaluated(log.of_rows(rest), target.of_rows(rest), *ALL)
    assert spoilt.estimators == clean.estimators
    assert (spoilt.n, spoilt.verdict) == (994, "warn")
    assert set(spoilt.warnings) - set(clean.warnings) == {
        "3 rows without a propensity above 0 are left out",
        "1 rows with a propensity above 1 are left out",
        "2 rows without a finite reward are left out",
    }


def test_without_one_good_row_nothing_is_evaluated() -> None:
    log, target = small_world().log(5, np.random.default_rng(1))
    with pytest.raises(InputError, match="no row can be evaluated: 5 rows without a finite reward"):
        evaluated(replace(log, reward=np.full(5, np.nan)), target, EstimatorName.IPS)


def test_many_rows_that_the_import_refused_are_named() -> None:
    log, _ = small_world().log(990, np.random.default_rng(1))
    assert evaluated(replace(log, refused_rows=9), None, EstimatorName.IPS).warnings == []
    found = evaluated(replace(log, refused_rows=10), None, EstimatorName.IPS)
    assert found.warnings == ["10 of 1,000 rows were refused when the log was imported"]


def test_a_thinned_log_says_what_the_whole_one_says() -> None:
    rng = np.random.default_rng(2)
    log, target = small_world().log(20_000, rng)
    kept = np.flatnonzero(
        (log.reward > 0) | (rng.random(log.rows) < 0.25)
    )  # three of four without a reward are dropped
    thinned = replace(log.of_rows(kept), sample_weight=np.where(log.reward[kept] > 0, 1.0, 4.0))
    names = tuple(name for name in EstimatorName if name is not EstimatorName.DM)
    whole, found = evaluated(log, target, *names), evaluated(thinned, target.of_rows(kept), *names)
    assert found.logged_value == pytest.approx(whole.logged_value, rel=0.03)
    for name in names:
        stderr = found.estimators[name].stderr
        assert found.estimators[name].estimate == pytest.approx(whole.estimators[name].estimate, abs=4 * stderr)
    unweighed = evaluated(replace(thinned, sample_weight=None), target.of_rows(kept), EstimatorName.IPS)
    assert unweighed.estimators["ips"].estimate > 1.5 * whole.estimators["ips"].estimate


def test_equal_sample_weights_change_nothing() -> None:
    log, target = small_world().log(500, np.random.default_rng(3))
    same = evaluated(replace(log, sample_weight=np.full(500, 10.0)), target, *ALL)
    plain = evaluated(log, target, *ALL)
    assert (same.verdict, same.warnings) == (plain.verdict, plain.warnings)
    for name in EstimatorName:
        # the model is fitted with ten times the weight against its penalty
        rel = 1e-6 if name in {EstimatorName.IPS, EstimatorName.SNIPS} else 0.05
        assert same.estimators[name].estimate == pytest.approx(plain.estimators[name].estimate, rel=rel)
        assert same.estimators[name].ess == pytest.approx(plain.estimators[name].ess, rel=rel)
