"""BG/NBD: the likelihood climbs where its gradient says, forecasts are those of the paper, planted shops are found."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lifetime_world import FIRST_DAY, histories, shop
from scipy.special import hyp2f1

from edgewise.errors import InputError
from hub.lifetime import bgnbd
from hub.lifetime.bgnbd import Bgnbd
from hub.lifetime.history import History, Unit, future, history

SHAPE = st.floats(0.05, 20.0)


def model(r: float, alpha: float, a: float, b: float) -> Bgnbd:
    return Bgnbd(r, alpha, a, b, math.nan, {}, at_limit=False)


def known(seed: int, count: int = 40) -> History:
    x, recency, age = histories(np.random.default_rng(seed), count)
    nothing = np.zeros(count)
    return History(np.arange(count), x, recency, age, nothing, nothing)


@given(SHAPE, SHAPE, SHAPE, SHAPE, st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_the_gradient_is_the_slope(r: float, alpha: float, a: float, b: float, seed: int) -> None:
    of = known(seed)
    rows, ones = np.column_stack([of.frequency, of.recency, of.age]), np.ones(of.size)
    at = np.log([r, alpha, a, b])
    slope = bgnbd._likelihood(at, rows, ones)[1]
    for axis in range(4):
        aside = np.zeros(4)
        aside[axis] = 1e-5
        ahead, behind = (bgnbd._likelihood(at + step, rows, ones)[0] for step in (aside, -aside))
        assert slope[axis] == pytest.approx((ahead - behind) / 2e-5, rel=1e-4, abs=1e-4)


@given(st.floats(0.1, 5), st.floats(1, 30), st.floats(0.2, 5), st.floats(0.5, 8), st.floats(0.5, 60))
@settings(max_examples=40, deadline=None)
def test_expected_purchases_are_equation_10(r: float, alpha: float, a: float, b: float, horizon: float) -> None:
    # the poles of the equation, which the quadrature does not have: a = 1, and a + b = 1 for whoever never came back
    assume(abs(a - 1) > 0.01 and a + b > 1.05)
    of, fitted = known(3), model(r, alpha, a, b)
    x, end = of.frequency, alpha + of.age
    silent = (end / (end + horizon)) ** (r + x) * hyp2f1(r + x, b + x, a + b + x - 1, horizon / (end + horizon))
    expected = (a + b + x - 1) / (a - 1) * (1 - silent) * bgnbd.alive(fitted, of)
    np.testing.assert_allclose(bgnbd.expected_purchases(fitted, of, horizon), expected, rtol=1e-6, atol=1e-9)


def test_a_shop_that_nobody_leaves_is_the_limit_of_one_that_hardly_anybody_leaves() -> None:
    of = known(5)
    never = bgnbd.expected_purchases(model(0.7, 9.0, 1e-6, 30_000.0), of, 20)
    np.testing.assert_allclose(never, (0.7 + of.frequency) * 20 / (9.0 + of.age), rtol=1e-4)


@given(st.floats(0.1, 5), st.floats(1, 30), st.floats(0.05, 5), st.floats(0.1, 8), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_chances_are_chances(r: float, alpha: float, a: float, b: float, seed: int) -> None:
    of, fitted = known(seed), model(r, alpha, a, b)
    alive = bgnbd.alive(fitted, of)
    assert ((alive >= 0) & (alive <= 1)).all()
    assert (alive[of.frequency == 0] == 1).all()
    soon, late = (bgnbd.none_bought(fitted, of, horizon) for horizon in (1.0, 30.0))
    # whoever has left buys nothing, and the longer one waits the rarer silence is
    assert (soon >= late - 1e-12).all()
    assert (late >= 1 - alive - 1e-12).all()
    # P(one or more) is at most the expected number (Markov)
    assert (1 - late <= bgnbd.expected_purchases(fitted, of, 30.0) + 1e-9).all()


def test_a_planted_shop_is_found_and_its_future_foreseen() -> None:
    days, end = 540, FIRST_DAY + 360
    truth = {"r": 0.8, "alpha": 40.0, "a": 0.8, "b": 3.0}
    bought = shop(7, 1_500, **truth, days=days)
    of = history(bought, end, Unit.DAY)
    fitted = bgnbd.fit(of)
    for name, planted in truth.items():
        low, high = fitted.intervals[name]
        # the interval is +- 1.96 standard errors of the logarithm; twice that holds in all but 1 of 10,000 worlds
        half = math.log(high / low)
        assert abs(math.log(getattr(fitted, name) / planted)) < half, name
    came = future(bought, of, end, FIRST_DAY + days)
    expected = bgnbd.expected_purchases(fitted, of, days - 360)
    none = bgnbd.none_bought(fitted, of, days - 360)
    # 4 standard errors of a sum of independent customers, by what was seen; the fit adds less
    assert abs(expected.sum() - came.purchases.sum()) < 4 * np.sqrt(np.sum((came.purchases - expected) ** 2))
    silent = came.purchases == 0
    assert abs(none.sum() - silent.sum()) < 4 * np.sqrt(np.sum(none * (1 - none)))


def test_too_few_who_came_back_are_refused() -> None:
    of = known(1)
    with pytest.raises(InputError, match="0 of whom bought on a second day"):
        bgnbd.fit(of._replace(frequency=np.zeros(of.size), recency=np.zeros(of.size)))
