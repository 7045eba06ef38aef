"""Lift: equal to tea-tasting where both define it, honest where the data say little."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statistics_world import Arm, arm, for_oracle

from hub.statistics.compare import Kind, Method, compare
from hub.statistics.sequential import sequential_p_value, sequential_width
from hub.statistics.summary import EMPTY, Summary

MEANS = st.floats(0.5, 50)


def of(n: int, mean: float, variance: float) -> Summary:
    return Summary.from_sums(n, n * mean, variance * (n - 1) + n * mean * mean)


@pytest.mark.slow  # for the import of the oracle: two seconds
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["mean", "binary", "ratio", "cuped", "ratio_cuped"])
def test_equal_to_tea_tasting(seed: int, kind: str) -> None:
    tea: Any = pytest.importorskip("tea_tasting")
    rng = np.random.default_rng(seed)
    sizes = rng.integers(50, 5_000, 2)
    arms = [arm(rng, int(n), lift=lift, rho=0.6) for n, lift in zip(sizes, (0.0, 0.03), strict=True)]
    metric = {
        "mean": tea.Mean("spend"),
        "binary": tea.Mean("converted"),
        "ratio": tea.RatioOfMeans("spend", "orders"),
        "cuped": tea.Mean("spend", "before"),
        "ratio_cuped": tea.RatioOfMeans("spend", "orders", "before", "visits"),
    }[kind]
    expected = tea.Experiment(it=metric).analyze(_table(arms))["it"]
    found = compare(*(_summary(of, kind) for of in arms), kind=Kind.BINARY if kind == "binary" else Kind.MEAN)
    assert found.control_adjusted == pytest.approx(expected.control, rel=1e-9)
    assert found.variant_adjusted == pytest.approx(expected.treatment, rel=1e-9)
    assert found.absolute_lift == pytest.approx(expected.effect_size, rel=1e-9, abs=1e-9)
    assert found.absolute_low == pytest.approx(expected.effect_size_ci_lower, rel=1e-9, abs=1e-9)
    assert found.absolute_high == pytest.approx(expected.effect_size_ci_upper, rel=1e-9, abs=1e-9)
    assert found.relative_lift == pytest.approx(expected.rel_effect_size, rel=1e-9, abs=1e-9)
    assert found.ci_low == pytest.approx(expected.rel_effect_size_ci_lower, rel=1e-9, abs=1e-9)
    assert found.ci_high == pytest.approx(expected.rel_effect_size_ci_upper, rel=1e-9, abs=1e-9)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-9)


def _table(arms: list[Arm]) -> Any:
    columns = {name: np.concatenate([getattr(of, name) for of in arms]) for name in Arm._fields}
    variant = np.repeat([0, 1], [len(of.spend) for of in arms])
    return for_oracle({"variant": variant, "visits": columns["orders"] + 1, **columns})


def _summary(of: Arm, kind: str) -> Summary:
    return {
        "mean": Summary.of(of.spend),
        "binary": Summary.of(of.converted),
        "ratio": Summary.of(of.spend, denominators=of.orders),
        "cuped": Summary.of(of.spend, covariates=of.before),
        "ratio_cuped": Summary.of(
            of.spend, denominators=of.orders, covariates=of.before, covariate_denominators=of.orders + 1
        ),
    }[kind]


def test_welch_by_hand() -> None:
    """Two arms of 10, means 20 and 22, variances 4 and 9: t = 2 / sqrt(1.3), 15.67 degrees of freedom."""
    found = compare(of(10, 20.0, 4.0), of(10, 22.0, 9.0))
    assert found.stderr == pytest.approx(math.sqrt(1.3))
    assert found.absolute_low == pytest.approx(2 - 2.12345 * math.sqrt(1.3), abs=1e-4)
    assert found.p_value == pytest.approx(0.0990, abs=1e-4)
    assert found.relative_lift == pytest.approx(0.1)


@given(MEANS, MEANS, st.floats(0.1, 20), st.floats(0.1, 20), st.integers(5, 5_000), st.integers(5, 5_000))
def test_both_directions_of_a_comparison_agree(  # noqa: PLR0917
    first: float, second: float, spread: float, other: float, n: int, m: int
) -> None:
    a, b = of(n, first, spread), of(m, second, other)
    there, back = compare(a, b), compare(b, a)
    assert back.absolute_lift == pytest.approx(-there.absolute_lift, abs=1e-9)
    assert back.p_value == pytest.approx(there.p_value)
    if not math.isnan(there.ci_low) and there.ci_high < 1e9:
        assert (1 + there.ci_low) * (1 + back.ci_high) == pytest.approx(1, rel=1e-6)
        assert there.ci_low > -1


@given(MEANS, MEANS, st.floats(0.1, 20), st.integers(30, 50_000))
def test_a_sequential_interval_is_wider_and_agrees_with_its_p_value(
    first: float, second: float, spread: float, n: int
) -> None:
    a, b = of(n, first, spread), of(n, second, spread)
    fixed, looked = compare(a, b), compare(a, b, method=Method.SEQUENTIAL)
    assert looked.absolute_low < fixed.absolute_low < fixed.absolute_high < looked.absolute_high
    assert (looked.p_value < 0.05) == (looked.absolute_low > 0 or looked.absolute_high < 0)
    # of a handful of units t has heavier tails than what the sequence rests on, far out where nobody decides
    assert looked.p_value >= fixed.p_value or fixed.p_value < 1e-6


def test_sequential_width_is_narrowest_where_it_is_tuned() -> None:
    """At 5,000 units 2.9 standard errors or so, and wider on both sides; 1.96 would be a single look."""
    widths = {units: sequential_width(units, alpha=0.05) for units in (50, 500, 5_000, 50_000, 5_000_000)}
    assert min(widths, key=widths.__getitem__) == 5_000
    assert 2.7 < widths[5_000] < 3.1
    assert sequential_p_value(widths[500], 500, alpha=0.05) == pytest.approx(0.05)
    assert sequential_p_value(0.0, 500, alpha=0.05) == 1


def test_tuning_moves_the_narrowest_place() -> None:
    late = [sequential_width(units, alpha=0.05, tuned_to_units=100_000) for units in (5_000, 100_000)]
    assert late[1] < late[0]
    assert late[1] < sequential_width(100_000, alpha=0.05)


@pytest.mark.parametrize(
    ("control", "variant"),
    [
        (EMPTY, of(100, 3.0, 1.0)),
        (of(100, 3.0, 1.0), EMPTY),
        (EMPTY, EMPTY),
        (of(1, 3.0, 0.0), of(100, 3.0, 1.0)),
        (of(100, 3.0, 0.0), of(100, 4.0, 0.0)),
    ],
    ids=["no control", "no variant", "nobody", "one unit", "constants"],
)
@pytest.mark.parametrize("method", list(Method))
def test_what_cannot_be_told_is_unknown(control: Summary, variant: Summary, method: Method) -> None:
    found = compare(control, variant, method=method)
    assert not found.is_known
    assert math.isnan(found.p_value)
    assert math.isnan(found.chance_to_win)


def test_no_success_at_all_still_has_an_interval_of_the_lift() -> None:
    found = compare(Summary.from_sums(500, 20, 20), Summary.from_sums(500, 0, 0), kind=Kind.BINARY)
    assert found.relative_lift == -1
    assert -1.3 < found.ci_low < -1 < found.ci_high < -0.5
    assert found.p_value < 0.001


def test_a_control_of_zero_has_no_relative_lift() -> None:
    found = compare(Summary.from_sums(500, 0, 0), Summary.from_sums(500, 20, 20), kind=Kind.BINARY)
    assert math.isnan(found.relative_lift)
    assert math.isnan(found.ci_low)
    assert found.absolute_low > 0


def test_a_mean_that_changes_its_sign() -> None:
    found = compare(of(1_000, 2.0, 4.0), of(1_000, -1.0, 4.0))
    assert found.relative_lift == pytest.approx(-1.5)
    assert found.ci_low < -1.5 < found.ci_high < -1


def test_bayesian_with_a_flat_prior_is_the_normal_posterior() -> None:
    """P(B > A) of normal posteriors is Phi(lift / standard error): 1 / 0.5 here."""
    found = compare(of(1_000, 10.0, 125.0), of(1_000, 11.0, 125.0), method=Method.BAYESIAN)
    assert found.stderr == pytest.approx(0.5)
    assert found.chance_to_win == pytest.approx(0.9772498680518208, rel=1e-12)
    assert math.isnan(found.p_value)
    assert found.absolute_low == pytest.approx(1 - 1.959963984540054 * 0.5)


def test_cuped_takes_out_what_was_known() -> None:
    rng = np.random.default_rng(4)
    pair = [arm(rng, 20_000, lift=lift, rho=0.7) for lift in (0.0, 0.02)]
    plain = compare(*(Summary.of(of.spend) for of in pair))
    found = compare(*(Summary.of(of.spend, covariates=of.before) for of in pair))
    assert found.variance_reduction == pytest.approx(0.49, abs=0.02)
    assert (found.stderr / plain.stderr) ** 2 == pytest.approx(1 - found.variance_reduction)
    assert found.relative_lift == pytest.approx(0.02, abs=4 * found.stderr / 10)


def test_a_covariate_that_says_everything_leaves_nothing() -> None:
    values = np.random.default_rng(5).standard_normal(500) + 10
    found = compare(*(Summary.of(half, covariates=half) for half in (values[:250], values[250:])))
    assert found.absolute_lift == pytest.approx(0, abs=1e-9)
    assert not found.stderr > 1e-6
