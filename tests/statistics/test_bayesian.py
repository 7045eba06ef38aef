"""Two proportions: the chance to be higher against its closed form, the ratio's interval against draws."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.statistics.bayesian import Counts, chance_to_beat, credible_ratio

COUNTS = st.integers(0, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def closed_form(control: Counts, variant: Counts) -> float:
    """Miller 2015, in whole numbers: sum over i of B(a1 + i, b1 + b2) / ((b2 + i) B(1 + i, b2) B(a1, b1))."""

    def beta(a: int, b: int) -> Fraction:
        return Fraction(a + b, a * b * comb(a + b, a))

    (a1, b1), (a2, b2) = ((1 + s, 1 + n - s) for s, n in (control, variant))
    terms = (beta(a1 + i, b1 + b2) / ((b2 + i) * beta(1 + i, b2)) for i in range(a2))
    return float(sum(terms) / beta(a1, b1))


@given(COUNTS, COUNTS)
def test_the_chance_is_the_closed_form(control: Counts, variant: Counts) -> None:
    assert chance_to_beat(control, variant) == pytest.approx(closed_form(control, variant), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("control", "variant"), [((200, 2_000), (250, 2_000)), ((30, 500), (2, 20))])
def test_the_chance_of_usual_sizes(control: Counts, variant: Counts) -> None:
    assert chance_to_beat(control, variant) == pytest.approx(closed_form(control, variant), rel=1e-9)


@given(COUNTS, COUNTS)
def test_one_of_the_two_is_higher(control: Counts, variant: Counts) -> None:
    assert chance_to_beat(control, variant) + chance_to_beat(variant, control) == pytest.approx(1, abs=1e-9)


def test_the_interval_of_the_ratio_of_nothing_is_that_of_two_uniforms() -> None:
    """P(U / V <= r) = r / 2 up to 1: the 2.5 % quantile is .05, and 20 on the other side."""
    low, high = credible_ratio((0, 0), (0, 0), level=0.95)
    assert low == pytest.approx(0.05, rel=1e-9)
    assert high == pytest.approx(20, rel=1e-9)


@pytest.mark.parametrize(
    ("control", "variant"),
    [((200, 2_000), (250, 2_000)), ((3, 1_000_000), (9, 200)), ((0, 1_000), (5, 1_000)), ((10, 10), (0, 10))],
)
def test_the_interval_holds_what_it_says_of_draws(control: Counts, variant: Counts) -> None:
    """Of 200,000 draws 2.5 % lie below: within five standard errors, 5 sqrt(.025 * .975 / 200,000) = .0018."""
    rng = np.random.default_rng(7)
    first, second = (rng.beta(1 + s, 1 + n - s, 200_000) for s, n in (control, variant))
    low, high = credible_ratio(control, variant, level=0.95)
    assert np.mean(second / first < low) == pytest.approx(0.025, abs=0.0018)
    assert np.mean(second / first > high) == pytest.approx(0.025, abs=0.0018)
