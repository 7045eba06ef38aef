"""Sample ratio and exposures: alarms where the split is broken, silence where chance did it."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from edgewise.errors import InputError
from hub.statistics.balance import exposures, srm


def test_pearson_by_scipy() -> None:
    found = srm({"A": 5_120, "B": 4_880, "C": 5_000}, {"A": 1, "B": 1, "C": 1})
    assert found.p_value == pytest.approx(stats.chisquare([5_120, 4_880, 5_000]).pvalue, rel=1e-12)
    assert not found.alarm
    assert found.expected == {"A": 5_000, "B": 5_000, "C": 5_000}


def test_weights_are_shares_of_their_sum() -> None:
    assert srm({"A": 9_000, "B": 1_000}, {"A": 90, "B": 10}).p_value == 1
    assert srm({"A": 9_000, "B": 1_000}).alarm


def test_the_alarm_is_at_one_in_two_thousand() -> None:
    """3.4808 standard deviations of 50 for 10,000 units: 5,174 is p = .000501, 5,175 is p = .000465."""
    assert not srm({"A": 5_174, "B": 4_826}).alarm
    assert srm({"A": 5_175, "B": 4_825}).alarm


def test_a_variant_without_units_alarms() -> None:
    assert srm({"A": 1_000, "B": 0}).alarm
    found = srm({"A": 1_000, "B": 990, "C": 3}, {"A": 1, "B": 1, "C": 0})
    assert found.p_value == 0
    assert found.alarm
    assert not srm({"A": 1_000, "B": 990, "C": 0}, {"A": 1, "B": 1, "C": 0}).alarm


def test_few_units_do_not_alarm() -> None:
    assert not srm({"A": 9, "B": 0}).alarm
    nobody = srm({"A": 0, "B": 0})
    assert math.isnan(nobody.p_value)
    assert not nobody.alarm
    assert srm({"A": 10}).p_value == 1


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"A": 1.0}, "expected one for each of A, B"),
        ({"A": 1.0, "B": -1.0}, "weights B=-1"),
        ({"A": math.inf, "B": 1.0}, "weights A=inf"),
        ({"A": 0.0, "B": 0.0}, "all 0"),
    ],
)
def test_weights_that_are_none(weights: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        srm({"A": 10, "B": 10}, weights)


def test_no_variants() -> None:
    with pytest.raises(InputError, match="no variants"):
        srm({})


def test_exposures_alarm_above_one_in_a_hundred() -> None:
    assert not exposures(1_000, 10).alarm
    assert exposures(1_000, 11).alarm
