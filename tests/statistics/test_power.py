"""Power: textbook sizes, an oracle, and what is planned is what happens."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statistics_world import for_oracle

from edgewise.errors import InputError
from hub.statistics.compare import Method, compare
from hub.statistics.planning import planned, stated
from hub.statistics.power import Baseline, Design, detectable_lift, power, units_needed
from hub.statistics.summary import Summary

EVEN = Design(weights={"A": 1.0, "B": 1.0})
SPEND = Baseline(mean=10.0, stddev=20.0)


def test_the_textbook_size() -> None:
    """Half a standard deviation, 80 %, 5 %: 64 in each group (Cohen 1988, table 2.4.1)."""
    assert units_needed(0.5, Baseline(mean=1.0, stddev=1.0), EVEN) == 2 * 64
    assert units_needed(0.2, Baseline(mean=1.0, stddev=1.0), EVEN, wanted=0.9) == pytest.approx(2 * 527, abs=2)


def test_a_proportion_needs_what_its_formula_says() -> None:
    """(1.96 + .8416)^2 (p1 q1 + p2 q2) / (p2 - p1)^2 an arm (Fleiss 1981, without correction)."""
    an_arm = (1.959964 + 0.841621) ** 2 * (0.1 * 0.9 + 0.105 * 0.895) / 0.005**2
    assert units_needed(0.05, stated(0.1, None, 0.0), EVEN) == pytest.approx(2 * an_arm, rel=1e-3)


@pytest.mark.slow
@given(st.floats(0.01, 0.5), st.floats(0.3, 0.95), st.sampled_from([Method.FIXED, Method.SEQUENTIAL]))
def test_units_and_lift_undo_each_other(lift: float, wanted: float, method: Method) -> None:
    design = Design(weights={"A": 2.0, "B": 1.0, "C": 1.0}, method=method)
    units = units_needed(lift, SPEND, design, wanted=wanted)
    assert power(units, lift, SPEND, design) >= wanted - 1e-9
    assert power(units - 1, lift, SPEND, design) < wanted
    assert detectable_lift(units, SPEND, design, wanted=wanted) == pytest.approx(lift, rel=0.02)


def test_more_of_everything_needs_more() -> None:
    plain = units_needed(0.05, SPEND, EVEN)
    assert units_needed(0.05, SPEND, Design(weights={"A": 9.0, "B": 1.0})) > 2 * plain
    assert units_needed(0.05, SPEND, Design(weights={"A": 1.0, "B": 1.0, "C": 1.0})) > 1.5 * plain
    assert units_needed(0.05, SPEND, Design(weights=EVEN.weights, method=Method.SEQUENTIAL)) > 1.5 * plain
    cuped = units_needed(0.05, Baseline(mean=10.0, stddev=20.0, rho=0.7), EVEN)
    assert cuped == pytest.approx(plain * 0.51, rel=0.01)


def test_what_is_planned_is_found_as_often() -> None:
    """1,000 experiments of the planned size: 80 % of them, within four standard errors of .0126."""
    rng = np.random.default_rng(3)
    baseline = stated(0.2, None, 0.0)
    units = units_needed(0.2, baseline, EVEN)
    found = 0
    for _ in range(1_000):
        first, second = (int(rng.binomial(units // 2, share)) for share in (0.2, 0.24))
        arms = [Summary.from_sums(units // 2, count, count) for count in (first, second)]
        found += compare(*arms).p_value < 0.05
    assert found / 1_000 == pytest.approx(0.8, abs=0.05)


@pytest.mark.slow  # for the import of the oracle
@pytest.mark.parametrize(("lift", "wanted"), [(0.05, 0.8), (0.2, 0.9), (0.5, 0.8)])
def test_equal_to_tea_tasting(lift: float, wanted: float) -> None:
    import tea_tasting as tea

    values = np.random.default_rng(0).normal(10.0, 20.0, 5_000)
    rows = for_oracle({"spend": values})
    baseline = Baseline(mean=float(values.mean()), stddev=float(values.std(ddof=1)))
    metric: Any = tea.Mean("spend", rel_effect_size=lift, power=wanted)
    (expected,) = metric.solve_power(rows, "n_obs")
    assert units_needed(lift, baseline, EVEN, wanted=wanted) == expected.n_obs
    (chance,) = tea.Mean("spend", rel_effect_size=lift, n_obs=900).solve_power(rows, "power")
    assert power(900, lift, baseline, EVEN) == pytest.approx(chance.power, rel=1e-9)


def test_a_plan_tells_days_and_arms() -> None:
    found = planned(stated(0.1, None, 0.0), EVEN, lift=0.1, units=None, wanted=0.8, per_day=1_000)
    assert found.days == found.units / 1_000
    assert sum(found.arms.values()) == pytest.approx(found.units, abs=1)
    assert [point.units for point in found.curve] == sorted((point.units for point in found.curve), reverse=True)
    both = planned(stated(0.1, None, 0.0), EVEN, lift=0.1, units=found.units, wanted=0.8, per_day=None)
    assert both.power == pytest.approx(0.8, abs=1e-3)
    assert both.days is None


def test_what_cannot_be_found() -> None:
    with pytest.raises(InputError, match="a lift of 0 on a baseline of 10 is none"):
        units_needed(0.0, SPEND, EVEN)
    with pytest.raises(InputError, match="expected a proportion"):
        units_needed(2.0, stated(0.5, None, 0.0), EVEN)
    assert math.isnan(detectable_lift(3, SPEND, EVEN))
    assert math.isnan(detectable_lift(10, stated(0.9, None, 0.0), EVEN))
    with pytest.raises(InputError, match="is no proportion"):
        stated(3.0, None, 0.0)
    with pytest.raises(InputError, match="has no relative lift"):
        stated(0.0, 1.0, 0.0)
