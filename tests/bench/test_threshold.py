"""Conditions under which a bench fails."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.bench.threshold import parse_threshold
from edgewise.errors import InputError


@pytest.mark.parametrize(
    ("text", "metric", "value"),
    [
        ("p99>10ms", "p99", 10),
        ("p99.9 >= 0.5s", "p99.9", 500),
        ("p50>250us", "p50", 0.25),
        ("max>1s", "max", 1_000),
        ("mean<2ms", "mean", 2),
        ("errors>1%", "errors", 0.01),
        ("errors>0.01", "errors", 0.01),
        (" fallback > 0% ", "fallback", 0),
        ("throughput<1000/s", "throughput", 1_000),
        ("goodput<=600/min", "goodput", 10),
        ("knee<2000/s", "knee", 2_000),
    ],
)
def test_conditions_and_their_units(text: str, metric: str, value: float) -> None:
    read = parse_threshold(text)
    assert (read.text, read.metric) == (text.strip(), metric)
    assert read.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p99", "expected METRIC"),
        ("p99=10ms", "expected METRIC"),
        ("p99>ten", "expected METRIC"),
        ("p99>10ms and more", "expected METRIC"),
        ("p99>10", "no unit for p99; expected one of us"),
        ("p99>10%", "the unit '%' for p99"),
        ("errors>1ms", "the unit 'ms' for errors"),
        ("throughput<5", "no unit for throughput; expected one of /s"),
        ("latency>5ms", "there is no 'latency'"),
        ("p0>5ms", "there is no 'p0'"),
        ("p101>5ms", "there is no 'p101'"),
        ("p9.9.9>5ms", "there is no 'p9.9.9'"),
        ("", "expected METRIC"),
    ],
)
def test_what_is_no_condition_is_told_as_a_wrong_option(text: str, said: str) -> None:
    with pytest.raises(InputError, match="--fail-if") as raised:
        parse_threshold(text)
    assert said in str(raised.value)
    assert raised.value.problems[0].path == "--fail-if"


@given(st.sampled_from([">", ">=", "<", "<="]), st.integers(0, 100), st.integers(0, 100))
def test_a_condition_is_crossed_when_it_is_true(compare: str, measured: int, bound: int) -> None:
    judged = parse_threshold(f"p99{compare}{bound}ms").judge(measured)
    truth = {">": measured > bound, ">=": measured >= bound, "<": measured < bound, "<=": measured <= bound}
    assert judged.crossed == truth[compare]
    assert judged.measured == measured


@pytest.mark.parametrize("text", ["p99>10ms", "p99<10ms", "max>=1s"])
def test_what_could_not_be_measured_is_crossed(text: str) -> None:
    judged = parse_threshold(text).judge(math.nan)
    assert judged.crossed
    assert judged.measured is None


@given(st.floats(0.001, 100).map(lambda number: round(number, 3)))
def test_any_percentile_may_be_asked_for(percent: float) -> None:
    assert parse_threshold(f"p{percent:g}>1ms").quantile == pytest.approx(float(f"{percent:g}") / 100)
    assert parse_threshold("errors>1%").quantile is None
