"""Sufficient statistics: what is added up is what was there, and impossible sums are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import InputError
from hub.statistics.summary import DENOMINATOR, EMPTY, VALUE, Floats, Summary

CENTS = st.integers(-(10**8), 10**8).map(lambda cents: cents / 100)
NUMBERS = st.lists(st.tuples(CENTS, st.floats(0.1, 1e3)), max_size=12)


def summary(pairs: list[tuple[float, float]]) -> Summary:
    values: Floats = np.array([value for value, _ in pairs])
    return Summary.of(values, denominators=np.array([below for _, below in pairs]))


@given(st.tuples(NUMBERS, NUMBERS, NUMBERS))
def test_parts_in_any_order_add_up_to_the_whole(parts: tuple[list[tuple[float, float]], ...]) -> None:
    whole = summary([pair for part in parts for pair in part])
    first, second, third = map(summary, parts)
    for added in ((first + second) + third, third + (second + first), EMPTY + first + third + second):
        assert added.n == whole.n
        np.testing.assert_allclose(added.means, whole.means, rtol=1e-9, atol=1e-6)
        np.testing.assert_allclose(added.products, whole.products, rtol=1e-9, atol=1e-3)


@given(NUMBERS.filter(lambda pairs: len(pairs) > 1))
def test_raw_sums_say_the_same(pairs: list[tuple[float, float]]) -> None:
    values, below = np.array(pairs).T
    raw = Summary.from_sums(
        len(values),
        float(values.sum()),
        float((values**2).sum()),
        denominator_sum=float(below.sum()),
        denominator_sum_squares=float((below**2).sum()),
        cross_product=float((values * below).sum()),
    )
    direct = summary(pairs)
    np.testing.assert_allclose(raw.means, direct.means, rtol=1e-9)
    scale = float((values**2).sum() + (below**2).sum())
    np.testing.assert_allclose(raw.products, direct.products, rtol=1e-6, atol=1e-10 * scale + 1e-9)


def test_large_numbers_keep_their_variance() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(10_000)
    assert Summary.of(1e9 + noise).variance == pytest.approx(float(noise.var(ddof=1)), rel=1e-6)


def test_a_ratio_has_the_variance_that_repeating_it_shows() -> None:
    """Delta method against 4,000 repetitions; the error of a variance is sqrt(2 / 4,000) = 2.2 %, four times that."""
    rng = np.random.default_rng(1)
    below = 1.0 + rng.poisson(3.0, (4_000, 200))
    above = below * rng.normal(2.0, 0.5, below.shape)
    ratios = above.sum(axis=1) / below.sum(axis=1)
    told = np.mean([Summary.of(a, denominators=b).variance / 200 for a, b in zip(above[:50], below[:50], strict=True)])
    assert float(ratios.var()) == pytest.approx(float(told), rel=0.09)


def test_what_is_constant_does_not_vary() -> None:
    assert Summary.of(np.full(1_000, 0.1)).products[VALUE, VALUE] == 0
    assert Summary.from_sums(1_000, 100.0, 10.0).products[VALUE, VALUE] == 0


def test_nobody_and_one() -> None:
    assert np.isnan(EMPTY.mean)
    assert np.isnan(Summary.of(np.array([3.0])).variance)
    assert np.isnan(Summary.of(np.ones(3), denominators=np.zeros(3)).mean)
    assert not EMPTY.is_ratio
    assert summary([(1.0, 2.0), (2.0, 3.0)]).is_ratio
    assert summary([(1.0, 2.0), (2.0, 3.0)]).means[DENOMINATOR] == 2.5


@pytest.mark.parametrize(
    ("n", "total", "squares", "said"),
    [
        (-1, 0.0, 0.0, "n = -1"),
        (0, 3.0, 9.0, "n = 0 with a sum of 3"),
        (10, 100.0, 500.0, "sum_squares = 500, expected at least"),
    ],
)
def test_sums_that_no_units_have(n: int, total: float, squares: float, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Summary.from_sums(n, total, squares)


def test_a_cross_product_beyond_its_squares() -> None:
    with pytest.raises(InputError, match="cross_product = 90, farther"):
        Summary.from_sums(10, 20.0, 50.0, denominator_sum=20.0, denominator_sum_squares=50.0, cross_product=90.0)
