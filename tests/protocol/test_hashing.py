"""GrowthBook's bucketing: its published figures, and laws."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.hashing import (
    NOBODY,
    BucketRange,
    Namespace,
    bucket,
    bucket_ranges,
    choose_variation,
    equal_weights,
    fnv1a32,
    in_namespace,
)

# What GrowthBook's SDKs agree on (the figures of its cases.json, github.com/growthbook/growthbook, 2025).
HASHES = [
    ("", "a", 1, 0.22),
    ("", "b", 1, 0.077),
    ("b", "a", 1, 0.946),
    ("ef", "d", 1, 0.652),
    ("asdf", "8952klfjas09ujk", 1, 0.549),
    ("", "123", 1, 0.011),
    ("", '___)((*":&', 1, 0.563),
    ("seed", "a", 2, 0.0505),
    ("seed", "b", 2, 0.2696),
    ("foo", "ab", 2, 0.2575),
    ("foo", "def", 2, 0.2019),
    ("89123klj", "8952klfjas09ujkasdf", 2, 0.124),
    ("90850943850283058242805", "123", 2, 0.7516),
    ("()**(%$##$%#$#", '___)((*":&', 2, 0.0128),
    ("abc", "def", 99, None),
]
RANGES = [
    (2, 1.0, None, [(0, 0.5), (0.5, 1)]),
    (2, 0.5, None, [(0, 0.25), (0.5, 0.75)]),
    (2, 0.0, None, [(0, 0), (0.5, 0.5)]),
    (4, 1.0, None, [(0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1)]),
    (2, 1.0, [0.4, 0.6], [(0, 0.4), (0.4, 1)]),
    (3, 1.0, [0.2, 0.3, 0.5], [(0, 0.2), (0.2, 0.5), (0.5, 1)]),
    (3, 0.2, [0.2, 0.3, 0.5], [(0, 0.04), (0.2, 0.26), (0.5, 0.6)]),
    (2, -0.2, None, [(0, 0), (0.5, 0.5)]),
    (2, 1.5, None, [(0, 0.5), (0.5, 1)]),
    (2, 1.0, [0.4, 0.1], [(0, 0.5), (0.5, 1)]),
    (2, 1.0, [0.7, 0.6], [(0, 0.5), (0.5, 1)]),
    (4, 1.0, [0.4, 0.4, 0.2], [(0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1)]),
    (2, 1.0, [0.4, 0.5999], [(0, 0.4), (0.4, 0.9999)]),
]
IN_THE_FIRST_FORTY_PERCENT = {("3", "namespace2"), ("4", "namespace2")}
"""Of the users 1 to 4 in the namespaces 1 and 2; everybody else is in the other sixty."""


def cut(ranges: list[BucketRange]) -> list[list[float]]:
    """As GrowthBook's own runner compares: eight decimals, the rest cut off."""
    return [[math.floor(number * 1e8) / 1e8 for number in entry] for entry in ranges]


@pytest.mark.parametrize(("seed", "value", "version", "expected"), HASHES)
def test_hash_equals_growthbooks(seed: str, value: str, version: int, expected: float | None) -> None:
    assert bucket(seed, value, version) == expected


@pytest.mark.parametrize(("count", "coverage", "weights", "expected"), RANGES)
def test_ranges_equal_growthbooks(
    count: int, coverage: float, weights: list[float] | None, expected: list[tuple[float, float]]
) -> None:
    assert cut(bucket_ranges(count, coverage, weights)) == cut([BucketRange(*entry) for entry in expected])


@pytest.mark.parametrize("unit", ["1", "2", "3", "4"])
@pytest.mark.parametrize("name", ["namespace1", "namespace2"])
def test_namespaces_equal_growthbooks(unit: str, name: str) -> None:
    is_in_the_first = (unit, name) in IN_THE_FIRST_FORTY_PERCENT
    assert in_namespace(unit, Namespace(name, 0, 0.4)) is is_in_the_first
    assert in_namespace(unit, Namespace(name, 0.4, 1)) is not is_in_the_first


def test_an_empty_range_takes_nobody() -> None:
    ranges = [BucketRange(0, 0.5), BucketRange(0.5, 0.5), BucketRange(0.5, 1)]
    assert choose_variation(0.5, ranges) == 2


def test_equal_weights_of_none_and_of_several() -> None:
    assert equal_weights(-1) == equal_weights(0) == []
    assert equal_weights(3) == [1 / 3, 1 / 3, 1 / 3]


@pytest.mark.parametrize(
    ("text", "expected"),
    # The published FNV-1a test values (draft-eastlake-fnv, appendix).
    [("", 0x811C9DC5), ("a", 0xE40C292C), ("foobar", 0xBF9CF968)],
)
def test_fnv1a_equals_its_published_values(text: str, expected: int) -> None:
    assert fnv1a32(text) == expected


def test_ranges_are_half_open_and_leave_the_uncovered_out() -> None:
    ranges = bucket_ranges(2, 0.5, [0.5, 0.5])
    assert ranges == [(0.0, 0.25), (0.5, 0.75)]
    assert choose_variation(0.0, ranges) == 0
    assert choose_variation(0.25, ranges) == NOBODY
    assert choose_variation(0.5, ranges) == 1
    assert choose_variation(0.75, ranges) == NOBODY


@given(st.integers(1, 6), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1, exclude_max=True))
def test_more_coverage_moves_nobody_between_arms(count: int, one: float, other: float, value: float) -> None:
    less, more = sorted((one, other))
    before = choose_variation(value, bucket_ranges(count, less, None))
    after = choose_variation(value, bucket_ranges(count, more, None))
    assert before in {NOBODY, after}


@given(st.integers(1, 8), st.lists(st.floats(0, 1), max_size=8), st.floats(-1, 2))
def test_ranges_never_overlap_and_stay_in_the_unit_interval(count: int, weights: list[float], coverage: float) -> None:
    ranges = bucket_ranges(count, coverage, weights)
    assert len(ranges) == count
    assert all(0 <= entry.start <= entry.end <= 1.02 for entry in ranges)  # weights may sum to 1.01
    assert all(earlier.end <= later.start + 1e-12 for earlier, later in itertools.pairwise(ranges))


@given(st.text(), st.text(), st.integers(1, 2))
def test_every_text_has_a_place_in_the_unit_interval(seed: str, unit: str, version: int) -> None:
    value = bucket(seed, unit, version)
    assert value is not None
    assert 0 <= value < 1


def test_version_two_spreads_units_evenly() -> None:
    """Chi-squared over 20 cells of 20,000 units: the 99.99 % quantile at 19 degrees of freedom is 50.8."""
    counts = [0] * 20
    for number in range(20_000):
        counts[int((bucket("experiment", f"unit-{number}", 2) or 0.0) * 20)] += 1
    assert sum((count - 1_000) ** 2 / 1_000 for count in counts) < 50.8
