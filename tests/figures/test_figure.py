"""A value against its bound: what keeps it, what falls short and says why, what could not be measured."""

from __future__ import annotations

import math
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from figures.figure import Bound, Verdict, in_unit, judge, limit_in_words, not_measured

AT_MOST = Bound(10.0, 5.0, "ms")
AT_LEAST = Bound(0.75, 0.9, "x", at_least=True)
numbers = st.lists(st.floats(0, 1_000), min_size=1, max_size=5)


@given(numbers, st.sampled_from([AT_MOST, AT_LEAST]))
def test_the_median_decides_and_only_what_falls_short_gives_a_reason(runs: list[float], bound: Bound) -> None:
    row = judge("P0", "cost", bound, runs, short="because")
    middle = median(runs)
    kept = middle >= bound.must if bound.at_least else middle <= bound.must
    assert row.value == middle
    assert (row.verdict in {Verdict.PASS, Verdict.AIM}) == kept
    assert (row.reason == "because") == (row.verdict is Verdict.FAIL)


@pytest.mark.parametrize(
    ("bound", "value", "verdict"),
    [
        (AT_MOST, 5.0, Verdict.AIM),
        (AT_MOST, 5.1, Verdict.PASS),
        (AT_MOST, 10.0, Verdict.PASS),
        (AT_MOST, 10.1, Verdict.FAIL),
        (AT_LEAST, 0.9, Verdict.AIM),
        (AT_LEAST, 0.8, Verdict.PASS),
        (AT_LEAST, 0.7, Verdict.FAIL),
    ],
)
def test_bounds_are_included(bound: Bound, value: float, verdict: Verdict) -> None:
    assert judge("P0", "cost", bound, [value]).verdict is verdict


@pytest.mark.parametrize("runs", [[], [math.nan], [1.0, math.nan, 2.0]])
def test_what_came_to_nothing_keeps_nothing(runs: list[float]) -> None:
    for bound in (AT_MOST, AT_LEAST):
        row = judge("P0", "cost", bound, runs)
        assert row.verdict is Verdict.FAIL
        assert row.value is None


def test_what_was_not_measured_is_no_failure_and_says_why() -> None:
    row = not_measured("P2", "peers", AT_LEAST, "there are none")
    assert (row.verdict, row.reason, row.value) == (Verdict.NOT_MEASURED, "there are none", None)


def test_numbers_have_three_digits_that_matter() -> None:
    assert [in_unit(value, "ms") for value in (0.01234, 9.876, 123.4, 54_321.0, 0.0, None)] == [
        "0.0123 ms",
        "9.88 ms",
        "123 ms",
        "54,321 ms",
        "0 ms",
        "-",
    ]
    assert limit_in_words(AT_LEAST, AT_LEAST.must) == ">= 0.75 x"
    assert limit_in_words(AT_MOST, AT_MOST.aim) == "<= 5 ms"


def test_an_aim_may_be_about_a_higher_percentile() -> None:
    bound = Bound(10.0, 10.0, "ms", aim_of="p99.9")
    assert judge("P3", "p99", bound, [6.0], aimed=[9.0]).verdict is Verdict.AIM
    assert judge("P3", "p99", bound, [6.0], aimed=[11.0]).verdict is Verdict.PASS
    assert judge("P3", "p99", bound, [6.0]).verdict is Verdict.PASS
    assert judge("P3", "p99", bound, [11.0], aimed=[9.0]).verdict is Verdict.FAIL
