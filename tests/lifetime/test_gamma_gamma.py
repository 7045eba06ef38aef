"""Gamma-Gamma: a planted spread of spending is found, and a forecast lies between one's own mean and everybody's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.errors import InputError
from hub.lifetime import gamma_gamma
from hub.lifetime.gamma_gamma import GammaGamma
from hub.lifetime.history import Floats, History


def known(x: Floats, mean: Floats) -> History:
    nothing = np.zeros(len(x))
    return History(np.arange(len(x)), x, nothing, nothing, np.where(x > 0, mean, np.nan), nothing)


def spent(seed: int, customers: int, p: float, q: float, v: float) -> History:
    rng = np.random.default_rng(seed)
    x = rng.poisson(2.0, customers).astype(np.float64)
    scale = 1 / rng.gamma(q, 1 / v, customers)
    return known(x, rng.gamma(p * np.maximum(x, 1)) * scale / np.maximum(x, 1))


@given(st.floats(0.3, 10), st.floats(0.3, 10), st.floats(1, 100))
@settings(max_examples=30, deadline=None)
def test_the_gradient_is_the_slope(p: float, above: float, v: float) -> None:
    of = spent(2, 30, 3.0, 3.0, 30.0)
    x, mean = of.frequency[of.frequency > 0], of.mean_value[of.frequency > 0]
    at = np.log([p, above, v])
    slope = gamma_gamma._likelihood(at, x, mean)[1]
    for axis in range(3):
        aside = np.zeros(3)
        aside[axis] = 1e-5
        ahead, behind = (gamma_gamma._likelihood(at + step, x, mean)[0] for step in (aside, -aside))
        assert slope[axis] == pytest.approx((ahead - behind) / 2e-5, rel=1e-4, abs=1e-4)


def test_planted_spending_is_found() -> None:
    fitted = gamma_gamma.fit(spent(3, 3_000, 5.0, 3.0, 40.0))
    for name, planted in {"p": 5.0, "q - 1": 2.0, "v": 40.0}.items():
        low, high = fitted.intervals[name]
        found = fitted.q - 1 if name == "q - 1" else getattr(fitted, name)
        # twice the interval's half width, 3.9 standard errors
        assert abs(math.log(found / planted)) < math.log(high / low), name
    assert not fitted.at_limit


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0.01, 1e5)), min_size=1, max_size=20))
def test_a_forecast_lies_between_ones_own_mean_and_everybodys(rows: list[tuple[int, float]]) -> None:
    fitted = GammaGamma(6.25, 3.74, 15.44, 0.0, {}, at_limit=False, customers=0, correlation=0.0)
    of = known(np.array([row[0] for row in rows], dtype=np.float64), np.array([row[1] for row in rows]))
    for x, own, expected in zip(of.frequency, of.mean_value, gamma_gamma.expected_value(fitted, of), strict=True):
        low, high = (fitted.mean, fitted.mean) if x == 0 else sorted((own, fitted.mean))
        assert low * (1 - 1e-9) <= expected <= high * (1 + 1e-9)


def test_equal_spending_has_no_model() -> None:
    with pytest.raises(InputError, match="every customer spends 10"):
        gamma_gamma.fit(known(np.ones(30), np.full(30, 10.0)))
