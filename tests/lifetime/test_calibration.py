"""A forecast beside what came, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgewise.errors import InputError
from hub.lifetime.calibration import calibrate
from hub.lifetime.forecast import Forecast
from hub.lifetime.history import Future, History

N = 200


def known() -> History:
    nothing = np.zeros(N)
    return History(np.arange(N), (np.arange(N) % 10).astype(np.float64), nothing, nothing, nothing, nothing)


def test_a_forecast_that_is_right_is_said_to_be_right() -> None:
    purchases = (np.arange(N) % 4).astype(np.float64)
    risk = (purchases == 0).astype(np.float64)
    found = calibrate(
        known(), Forecast(1.0, purchases, purchases * 10, risk), Future(purchases, purchases * 10), seed=0
    )
    assert found.purchases_ratio.value == found.value_ratio.value == 1.0
    assert found.purchases_ratio.ci_low == found.purchases_ratio.ci_high == 1.0
    assert found.purchases_rmse == found.value_mae == found.churn_brier == found.churn_error == 0.0
    assert found.churn_auc.value == found.value_rank == pytest.approx(1.0)
    assert found.value_best_decile == pytest.approx(20 * 30 / (purchases.sum() * 10))
    assert [group.customers for group in found.by_value] == [20] * 10
    assert [group.name for group in found.by_frequency] == [*"0123456", "7 or more"]
    assert sum(group.customers for group in found.by_frequency) == N


def test_a_forecast_twice_too_high_is_said_to_be() -> None:
    rng = np.random.default_rng(0)
    purchases = rng.poisson(1.0, N).astype(np.float64)
    found = calibrate(
        known(),
        Forecast(1.0, np.full(N, 2.0), np.full(N, 8.0), np.full(N, 0.9)),
        Future(purchases, purchases * 4),
        seed=0,
    )
    assert found.purchases_ratio.ci_low < 2 * N / purchases.sum() < found.purchases_ratio.ci_high
    assert found.churn_error == pytest.approx(0.9 - np.mean(purchases == 0), abs=0.05)
    assert found.churn_auc.value == pytest.approx(0.5)


def test_a_period_without_a_purchase_cannot_judge() -> None:
    nothing = np.zeros(N)
    with pytest.raises(InputError, match="nobody who was known bought anything"):
        calibrate(known(), Forecast(1.0, nothing, nothing, nothing), Future(nothing, nothing), seed=0)
