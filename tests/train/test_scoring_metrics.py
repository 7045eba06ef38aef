"""Metrics against scikit-learn, with and without weights, and intervals that keep their promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as reference

from edgewise.errors import InputError
from hub.train.scoring.choices import ScoreKind
from hub.train.scoring.judging import folds, over_folds, over_rows
from hub.train.scoring.metrics import (
    METRICS,
    accuracy,
    auc,
    average_precision,
    brier,
    f1_macro,
    log_loss,
    macro_auc,
    mae,
    poisson_deviance,
    r2,
    rmse,
)
from hub.train.scoring.target import Target


@given(seed=st.integers(0, 2**32 - 1), levels=st.sampled_from([2, 5, 1_000]), weighted=st.booleans())
def test_binary_metrics_agree_with_scikit_learn(*, seed: int, levels: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, size=40)
    scores = rng.integers(1, levels, size=40) / levels  # few levels: many ties
    weights = rng.integers(0, 4, size=40).astype(float) if weighted else np.ones(40)
    assume(len(set(truth[weights > 0])) == 2)
    given_to_both = {"sample_weight": weights}
    assert auc(truth, scores, weights) == pytest.approx(reference.roc_auc_score(truth, scores, **given_to_both))
    expected = reference.average_precision_score(truth, scores, **given_to_both)
    assert average_precision(truth, scores, weights) == pytest.approx(expected)
    assert log_loss(truth, scores, weights) == pytest.approx(reference.log_loss(truth, scores, **given_to_both))
    assert brier(truth, scores, weights) == pytest.approx(reference.brier_score_loss(truth, scores, **given_to_both))


@given(seed=st.integers(0, 2**32 - 1))
def test_multiclass_metrics_agree_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(3), rng.integers(0, 3, size=40)])
    scores = rng.dirichlet(np.ones(3), size=43)
    weights = np.ones(43)
    assert accuracy(truth, scores, weights) == reference.accuracy_score(truth, scores.argmax(axis=1))
    expected = reference.roc_auc_score(truth, scores, multi_class="ovr", average="macro")
    assert macro_auc(truth, scores, weights) == pytest.approx(expected)
    expected = reference.f1_score(truth, scores.argmax(axis=1), average="macro", sample_weight=truth + 1.0)
    assert f1_macro(truth, scores, truth + 1.0) == pytest.approx(expected)
    assert log_loss(truth, scores, weights) == pytest.approx(reference.log_loss(truth, scores))


@given(seed=st.integers(0, 2**32 - 1))
def test_metrics_of_quantities_agree_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.poisson(2.0, size=50).astype(float)
    scores = rng.gamma(2.0, size=50)
    weights = rng.integers(1, 4, size=50).astype(float)
    given_to_both = {"sample_weight": weights}
    assert rmse(truth, scores, weights) == pytest.approx(
        reference.root_mean_squared_error(truth, scores, **given_to_both)
    )
    assert mae(truth, scores, weights) == pytest.approx(reference.mean_absolute_error(truth, scores, **given_to_both))
    assert r2(truth, scores, weights) == pytest.approx(reference.r2_score(truth, scores, **given_to_both))
    expected = reference.mean_poisson_deviance(truth, scores, **given_to_both)
    assert poisson_deviance(truth, scores, weights) == pytest.approx(expected)


def test_a_metric_without_both_classes_is_not_defined() -> None:
    assert np.isnan(auc(np.ones(3), np.arange(3.0), np.ones(3)))
    assert np.isnan(average_precision(np.zeros(3), np.arange(3.0), np.ones(3)))


def test_doubling_a_row_is_giving_it_weight_two() -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.integers(0, 2, size=30), rng.random(30)
    weights = np.ones(30)
    weights[3] = 2.0
    twice = np.append(np.arange(30), 3)
    assert auc(truth, scores, weights) == pytest.approx(auc(truth[twice], scores[twice], np.ones(31)))


def target(values: np.ndarray, kind: ScoreKind = ScoreKind.BINARY) -> Target:
    classes = tuple(map(str, np.unique(values))) if kind.has_classes else ()
    return Target("y", kind, guessed=False, values=values, classes=classes, present=np.ones(len(values), np.bool_))


def test_folds_part_the_rows_and_keep_the_classes_in_proportion() -> None:
    values = (np.arange(103) % 4 == 0).astype(np.int64)
    parts = list(folds(target(values), 5, seed=1, time=None))
    assert sorted(np.concatenate([fold.test for fold in parts]).tolist()) == list(range(103))
    for fold in parts:
        assert not set(fold.train) & set(fold.test)
        assert abs(int(values[fold.test].sum()) - values.sum() / 5) <= 1
    again = list(folds(target(values), 5, seed=1, time=None))
    assert all((a.test == b.test).all() for a, b in zip(parts, again, strict=True))
    other = list(folds(target(values), 5, seed=2, time=None))
    assert any((a.test != b.test).any() for a, b in zip(parts, other, strict=True))


def test_by_time_nothing_is_learned_from_the_future() -> None:
    rng = np.random.default_rng(2)
    time = rng.permutation(120).astype(float)
    for fold in folds(target(rng.random(120), ScoreKind.REGRESSION), 4, seed=0, time=time):
        assert time[fold.train].max() < time[fold.test].min()


def test_by_time_a_stretch_without_a_class_is_an_error() -> None:
    values = (np.arange(100) >= 50).astype(np.int64)
    with pytest.raises(InputError, match="fewer folds"):
        list(folds(target(values), 4, seed=0, time=np.arange(100.0)))


def test_a_class_rarer_than_the_folds_is_an_error() -> None:
    values = (np.arange(100) < 3).astype(np.int64)
    with pytest.raises(InputError, match="'1' in 3 rows; expected at least 5"):
        list(folds(target(values), 5, seed=0, time=None))


def test_the_interval_over_folds_is_the_t_interval() -> None:
    measured = over_folds([{"auc": value} for value in (0.70, 0.72, 0.74, 0.76, 0.78)])["auc"]
    # sd .0316, standard error .01414, t(4, .975) = 2.776
    assert measured.mean == pytest.approx(0.74)
    assert measured.ci_low == pytest.approx(0.74 - 2.7764 * 0.0316228 / 5**0.5, abs=1e-5)
    assert measured.ci_high == pytest.approx(0.74 + 2.7764 * 0.0316228 / 5**0.5, abs=1e-5)


def test_an_interval_stays_within_what_the_metric_can_be() -> None:
    measured = over_folds([{"auc": value, "rmse": 1 - value, "r2": value - 1} for value in (0.5, 0.99, 0.999)])
    assert measured["auc"].ci_high == 1.0
    assert measured["rmse"].ci_low == 0.0
    assert measured["r2"].ci_low < -0.5


def test_the_bootstrap_interval_covers_the_truth_as_often_as_it_says() -> None:
    """40 test sets with a known mean absolute error of 1: 95 % intervals miss it in at most 7 (p < .001)."""
    rng = np.random.default_rng(3)
    missed = 0
    for seed in range(40):
        error = rng.choice([-1.0, 1.0], size=150) * rng.exponential(1.0, size=150)
        measured = over_rows(METRICS[ScoreKind.REGRESSION], error, np.zeros(150), seed=seed)["mae"]
        missed += not measured.ci_low <= 1.0 <= measured.ci_high
    assert missed <= 7
