"""The histogram against a sorted list: to three digits the same, whatever comes in whatever order."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.bench.histogram import Histogram, bounds_of, bucket_of

values = st.one_of(st.integers(0, 5_000), st.integers(0, 10**10))
shares = st.sampled_from([0.0001, 0.01, 0.07, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0])


def recorded(numbers: list[int]) -> Histogram:
    histogram = Histogram()
    for number in numbers:
        histogram.record(number)
    return histogram


@given(values)
def test_a_value_lies_in_its_bucket_which_is_narrower_than_a_thousandth(value: int) -> None:
    least, greatest = bounds_of(bucket_of(value))
    assert least <= value <= greatest
    assert greatest - least <= least / 1_000
    assert bucket_of(least) == bucket_of(greatest)


@given(st.integers(0, 60_000))
def test_buckets_follow_each_other_without_gap(bucket: int) -> None:
    assert bounds_of(bucket)[1] + 1 == bounds_of(bucket + 1)[0]
    assert bucket_of(bounds_of(bucket)[0]) == bucket


@given(st.lists(values, min_size=1, max_size=200), shares)
def test_a_quantile_is_that_of_the_sorted_list_to_three_digits(numbers: list[int], share: float) -> None:
    exact = sorted(numbers)[max(1, math.ceil(round(share * len(numbers), 6))) - 1]
    found = recorded(numbers).quantile_us(share)
    assert exact <= found <= exact + exact / 1_000


@given(st.lists(values, min_size=1, max_size=100))
def test_greatest_count_and_mean_are_exact(numbers: list[int]) -> None:
    histogram = recorded(numbers)
    assert (histogram.count, histogram.max_us) == (len(numbers), max(numbers))
    assert histogram.mean_us == pytest.approx(sum(numbers) / len(numbers))
    assert histogram.quantile_us(1.0) == max(numbers)


@given(st.lists(values, max_size=60), st.lists(values, max_size=60))
def test_two_halves_merged_are_the_whole(left: list[int], right: list[int]) -> None:
    merged = recorded(left)
    merged.merge(recorded(right))
    whole = recorded(left + right)
    assert list(merged.curve()) == list(whole.curve())
    assert (merged.count, merged.max_us) == (whole.count, whole.max_us)


@given(st.lists(values, min_size=1, max_size=100))
def test_the_curve_rises_to_all_of_them(numbers: list[int]) -> None:
    curve = list(recorded(numbers).curve())
    assert curve == sorted(curve)
    assert curve[-1] == (1.0, max(numbers), len(numbers))


def test_nothing_has_no_quantile() -> None:
    assert math.isnan(Histogram().quantile_us(0.5))
    assert math.isnan(Histogram().mean_us)
    assert list(Histogram().curve()) == []


def test_a_clock_that_went_back_counts_as_no_time() -> None:
    assert recorded([-5]).quantile_us(1.0) == 0
