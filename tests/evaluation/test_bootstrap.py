"""Resampled sums: three ways to draw them, one distribution."""

import math

import numpy as np
import pytest

from hub.evaluation.bootstrap import percentile_interval, resampled_sums
from hub.evaluation.logged import Floats

RESAMPLES = 4_000
# mean and spread of RESAMPLES sums: five standard errors, with seeds fixed
MEAN_TOLERANCE = 5 / math.sqrt(RESAMPLES)
SPREAD_TOLERANCE = 5 / math.sqrt(2 * RESAMPLES)


def parts(units: int, distinct: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    values = rng.normal(1, 2, size=(distinct, 2)) if distinct < units else rng.normal(1, 2, size=(units, 2))
    return np.asarray(values[rng.integers(len(values), size=units)] if distinct < units else values, np.float64)


def correlation(pairs: Floats) -> float:
    centred = pairs - pairs.mean(axis=0)
    return float(np.sum(centred[:, 0] * centred[:, 1]) / np.sqrt(np.prod(np.sum(centred**2, axis=0))))


@pytest.mark.parametrize(
    ("units", "distinct"),
    [
        pytest.param(3_000, 20, id="few distinct units: counted"),
        pytest.param(1_000, 1_000, id="all distinct: picked one by one"),
        pytest.param(60_000, 60_000, id="very many: in random groups"),
    ],
)
def test_sums_have_the_bootstrap_distribution(units: int, distinct: int) -> None:
    values = parts(units, distinct, 1)
    resamples = RESAMPLES if units < 10_000 else 500
    sums = resampled_sums(values, resamples, np.random.default_rng(2))
    assert sums.shape == (resamples, 2)
    scale = math.sqrt(RESAMPLES / resamples)
    # a group is one draw from groups that themselves vary: 1/sqrt(2 x 16,384) more
    grouping = 5 / math.sqrt(2 * 16_384) if units > 16_384 else 0.0
    spread = values.std(axis=0) * math.sqrt(units)
    np.testing.assert_array_less(np.abs(sums.mean(axis=0) - values.sum(axis=0)), spread * MEAN_TOLERANCE * scale)
    np.testing.assert_allclose(sums.std(axis=0), spread, rtol=SPREAD_TOLERANCE * scale + grouping)
    assert correlation(sums) == pytest.approx(correlation(values), abs=5 / math.sqrt(resamples))


@pytest.mark.parametrize(("units", "distinct"), [(3_000, 20), (500, 500), (20_000, 20_000)])
def test_the_same_seed_draws_the_same(units: int, distinct: int) -> None:
    values = parts(units, distinct, 3)
    first = resampled_sums(values, 20, np.random.default_rng(4))
    np.testing.assert_array_equal(first, resampled_sums(values, 20, np.random.default_rng(4)))
    assert not np.array_equal(first, resampled_sums(values, 20, np.random.default_rng(5)))


@pytest.mark.parametrize("units", [1, 2, 17])
def test_constant_units_always_sum_to_the_same(units: int) -> None:
    sums = resampled_sums(np.full((units, 3), 2.0), 50, np.random.default_rng(0))
    np.testing.assert_array_equal(sums, np.full((50, 3), 2.0 * units))


def test_every_resample_is_drawn_when_they_come_in_blocks() -> None:
    sums = resampled_sums(parts(1_000, 1_000, 6), 5_000, np.random.default_rng(7))
    assert len(np.unique(sums[:, 0])) == 5_000


def test_intervals_leave_undefined_replicates_out() -> None:
    replicates = np.append(np.arange(101, dtype=np.float64), np.nan)
    assert percentile_interval(replicates) == pytest.approx((2.5, 97.5))
    assert percentile_interval(replicates, 0.5) == pytest.approx((25, 75))
    assert all(math.isnan(end) for end in percentile_interval(np.full(3, np.nan)))
