"""Thompson's probabilities against the integral that defines them, and the arithmetic that they are made of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from edgewise.bundle.exploration import Thompson
from edgewise.uncertain import MOST_COMPETING, exponential, normal_below, probability_of_best

Numbers = NDArray[np.float64]


@given(st.lists(st.floats(-700, 0), min_size=1, max_size=50))
def test_the_exponential_is_right_to_the_last_digits(values: list[float]) -> None:
    np.testing.assert_allclose(exponential(np.array(values)), np.exp(values), rtol=5e-16)


def test_the_exponential_of_what_is_too_small_is_not_zero() -> None:
    assert exponential(np.array([-1e9, -np.inf])).tolist() == exponential(np.array([-700.0, -700.0])).tolist()


@given(st.lists(st.floats(-7, 7), min_size=1, max_size=50))
def test_the_normal_distribution_is_that_of_scipy(values: list[float]) -> None:
    np.testing.assert_allclose(normal_below(np.array(values)), stats.norm.cdf(values), atol=1e-14)


def integral(means: Numbers, errors: Numbers) -> Numbers:
    """P(best) on a grid of thousands of points around every single candidate."""
    steps = np.linspace(-9, 9, 601)
    grid = np.sort((means[:, np.newaxis] + errors[:, np.newaxis] * steps).ravel())
    with np.errstate(divide="ignore"):
        logs = stats.norm.logcdf((grid - means[:, np.newaxis]) / errors[:, np.newaxis])
    below, others = np.exp(logs), np.exp(logs.sum(axis=0) - logs)
    cells: Numbers = (below[:, 1:] - below[:, :-1]) * (others[:, 1:] + others[:, :-1]) / 2
    summed: Numbers = cells.sum(axis=1)
    return summed


@pytest.mark.parametrize(("powers", "most"), [((-0.5, 0.0), 2e-3), ((-3.0, 1.0), 1e-2)])
def test_it_is_the_integral(powers: tuple[float, float], most: float) -> None:
    """Total variation: of errors that are alike, and of errors that differ by four orders of magnitude."""
    generator = np.random.default_rng(1)
    for _ in range(6):
        size = int(generator.integers(2, 25))
        means, errors = generator.normal(size=size), 10 ** generator.uniform(*powers, size)
        got = probability_of_best(means, errors, Thompson())
        assert got.sum() == pytest.approx(1, abs=1e-12)
        assert np.abs(got - integral(means, errors)).sum() / 2 <= most


def test_of_two_it_is_the_closed_form() -> None:
    """P(X > Y) = Phi((mean of X - mean of Y) / sqrt(the sum of their variances))."""
    for gap, first, second in ((0.0, 1.0, 1.0), (0.3, 0.2, 0.4), (1.0, 2.0, 0.1), (0.05, 0.01, 0.02)):
        got = probability_of_best(np.array([gap, 0.0]), np.array([first, second]), Thompson())
        assert got[0] == pytest.approx(stats.norm.cdf(gap / np.hypot(first, second)), abs=1e-3)


def test_two_close_and_sure_ones_beside_an_unsure_one() -> None:
    got = probability_of_best(np.array([0.0, 1e-4, -1e-4]), np.array([1e-5, 1e-5, 2.0]), Thompson())
    assert got == pytest.approx([0.0, 0.5, 0.5], abs=2e-3)


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12),
    st.lists(st.floats(0, 100) | st.just(0.0), min_size=12, max_size=12),
    st.floats(0.01, 10),
)
def test_they_are_probabilities(means: list[float], errors: list[float], scale: float) -> None:
    got = probability_of_best(np.array(means), np.array(errors[: len(means)]), Thompson(scale))
    assert (got >= 0).all()
    assert got.sum() == pytest.approx(1, abs=1e-9)


def test_who_does_not_compete_has_none() -> None:
    got = probability_of_best(np.array([-np.inf, 0.2, 0.1]), np.array([9.0, 0.1, 0.1]), Thompson())
    assert got[0] == 0
    assert got[1] > got[2] > 0


def test_of_many_those_that_reach_highest_compete() -> None:
    generator = np.random.default_rng(3)
    means, errors = generator.normal(size=400), generator.uniform(0.5, 1.5, 400)
    got = probability_of_best(means, errors, Thompson())
    competing = np.flatnonzero(got)
    assert len(competing) <= MOST_COMPETING
    reach = means + 2.5 * errors
    assert reach[competing].min() >= np.sort(reach)[-MOST_COMPETING]
    best = (means + errors * generator.normal(size=(4_000, 400))).argmax(axis=1)
    assert np.isin(best, competing, invert=True).mean() < 0.15
