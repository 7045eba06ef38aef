"""Platt's sigmoid: fitted as its law says, and the same inside an exported model as beside it."""

from __future__ import annotations

import numpy as np
import pytest
from boosters import booster, names, rows, target
from hypothesis import given
from hypothesis import strategies as st

from edge.scoring.onnx_gate import check_model
from edge.scoring.scorer import TableScorer
from edgewise.errors import InputError, ModelRefused
from hub.export import export_booster
from hub.export.calibration import Platt
from hub.export.forest import read_forest
from hub.parity import compare, parity_rows


@pytest.mark.parametrize(("objective", "classes"), [("binary", 1), ("multiclass", 3), ("multiclassova", 3)])
def test_a_calibrated_export_gives_the_calibrated_probability_on_every_threshold(objective: str, classes: int) -> None:
    table = rows(np.random.default_rng(0), 1_000, categories=1)
    model = booster(table, objective, categories=1, rounds=8, num_leaves=8, cat_smooth=1, min_data_per_group=1)
    other = rows(np.random.default_rng(1), 500, categories=1)
    truth = target(np.random.default_rng(2), other, objective).astype(np.int64)
    platt = Platt.fit(np.asarray(model.predict(other, raw_score=True)), truth)
    assert len(platt.slopes) == classes
    data = export_booster(model, feature_names=names(model), output="probability", calibration=platt)
    check_model(data.SerializeToString(), features=6)
    tried = parity_rows(read_forest(model), table, seed=0)
    served = TableScorer(data.SerializeToString()).run({"x": tried})["score"]
    expected = platt.probabilities(np.asarray(model.predict(tried, raw_score=True)))
    compare(expected, served)
    if classes > 1:
        np.testing.assert_allclose(served.sum(axis=1), 1.0, atol=1e-6)


@given(seed=st.integers(0, 2**32 - 1), slope=st.floats(0.3, 3), intercept=st.floats(-2, 2))
def test_a_planted_sigmoid_is_found_again(seed: int, slope: float, intercept: float) -> None:
    """Within six standard errors, from the Fisher information of 20,000 rows."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(1.0, 2.0, size=20_000)
    chance = 1 / (1 + np.exp(-(slope * raw + intercept)))
    platt = Platt.fit(raw, (rng.random(20_000) < chance).astype(np.int64))
    design = np.stack([raw, np.ones_like(raw)], axis=1)
    error = np.sqrt(np.diag(np.linalg.inv((design * (chance * (1 - chance))[:, None]).T @ design)))
    assert abs(platt.slopes[0] - slope) < 6 * error[0]
    assert abs(platt.intercepts[0] - intercept) < 6 * error[1]


def test_what_is_fitted_is_calibrated_in_the_large_and_order_stays() -> None:
    """At the maximum of the likelihood the mean probability is the mean of the (drawn in) outcomes."""
    rng = np.random.default_rng(3)
    raw = rng.normal(size=5_000)
    truth = (rng.random(5_000) < 1 / (1 + np.exp(-4 * raw))).astype(np.int64)
    platt = Platt.fit(raw, truth)
    found = platt.probabilities(raw)
    assert found.mean() == pytest.approx(truth.mean(), abs=1 / 2_500)
    assert (np.diff(found[np.argsort(raw)]) >= 0).all()


def test_perfectly_divided_rows_give_finite_numbers() -> None:
    platt = Platt.fit(np.array([-1.0] * 20 + [1.0] * 20), np.array([0] * 20 + [1] * 20))
    assert np.isfinite([*platt.slopes, *platt.intercepts]).all()
    assert platt.probabilities(np.array([-1.0, 1.0])) == pytest.approx([1 / 22, 21 / 22], abs=1e-4)


def test_a_row_that_no_class_wants_has_finite_shares() -> None:
    shares = Platt((1.0, 1.0), (0.0, 0.0)).probabilities(np.array([[-800.0, -800.0], [0.0, 0.0]]))
    assert np.isfinite(shares).all()
    assert shares[1] == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("raw", "truth", "said"),
    [
        ([0.1, 0.2], [1, 1], "2 of 2 rows"),
        ([0.1, 0.2], [0, 0], "0 of 2 rows"),
        ([0.1, np.nan], [0, 1], "finite"),
        ([0.1, 0.2], [0], "1 outcomes"),
        ([[0.1, 0.2], [0.3, 0.4]], [0, 0], "2 of 2 rows"),
    ],
)
def test_rows_that_tell_nothing_are_an_input_error(raw: list[float], truth: list[int], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Platt.fit(np.array(raw), np.array(truth))


@pytest.mark.parametrize(("objective", "output", "classes"), [("binary", "raw", 1), ("binary", "probability", 2)])
def test_a_calibration_that_does_not_fit_is_refused(objective: str, output: str, classes: int) -> None:
    model = booster(rows(np.random.default_rng(4), 300), objective, rounds=2)
    platt = Platt((1.0,) * classes, (0.0,) * classes)
    with pytest.raises(ModelRefused) as refused:
        export_booster(model, feature_names=names(model), output=output, calibration=platt)  # type: ignore[arg-type]
    assert refused.value.code == "calibration"
