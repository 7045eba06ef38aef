"""GrowthBook's bucketing: its own vectors where they are at hand, literal cases and laws everywhere."""

import itertools
import json
import math
import os
from pathlib import Path
from typing import Any

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

ROOT = Path(__file__).resolve().parents[2]
VECTORS = Path(os.environ.get("EDGEWISE_VECTORS", ROOT.parent / "shared" / "vectors")) / "growthbook-cases.json"
needs_vectors = pytest.mark.skipif(
    not VECTORS.is_file(), reason=f"GrowthBook's cases.json is not at {VECTORS}; EDGEWISE_VECTORS names its folder"
)


def cases(section: str) -> list[Any]:
    found: list[Any] = json.loads(VECTORS.read_text())[section]
    assert found, f"section {section} has no case"
    return found


def cut(numbers: list[float]) -> list[float]:
    """As GrowthBook's own runner compares: eight decimals, the rest cut off."""
    return [math.floor(number * 1e8) / 1e8 for number in numbers]


@needs_vectors
def test_hash_equals_growthbooks_vectors() -> None:
    for seed, value, version, expected in cases("hash"):
        assert bucket(seed, value, version) == expected, (seed, value, version)


@needs_vectors
def test_ranges_equal_growthbooks_vectors() -> None:
    for name, (count, coverage, weights), expected in cases("getBucketRange"):
        got = [cut(list(entry)) for entry in bucket_ranges(count, coverage, weights)]
        assert got == [cut(entry) for entry in expected], name


@needs_vectors
def test_choice_equals_growthbooks_vectors() -> None:
    for name, value, ranges, expected in cases("chooseVariation"):
        assert choose_variation(value, [BucketRange(*entry) for entry in ranges]) == expected, name


@needs_vectors
def test_namespaces_equal_growthbooks_vectors() -> None:
    for name, unit, namespace, expected in cases("inNamespace"):
        assert in_namespace(unit, Namespace(*namespace)) is expected, name


@needs_vectors
def test_equal_weights_equal_growthbooks_vectors() -> None:
    for count, expected in cases("getEqualWeights"):
        assert cut(equal_weights(count)) == cut(expected), count


@pytest.mark.parametrize(
    ("text", "expected"),
    # The published FNV-1a test values (draft-eastlake-fnv, appendix).
    [("", 0x811C9DC5), ("a", 0xE40C292C), ("foobar", 0xBF9CF968)],
)
def test_fnv1a_equals_its_published_values(text: str, expected: int) -> None:
    assert fnv1a32(text) == expected


def test_hash_of_known_units() -> None:
    assert bucket("", "a", 1) == 0.22
    assert bucket("", "b", 1) == 0.077
    assert bucket("b", "a", 1) == fnv1a32("ab") % 1000 / 1000
    assert bucket("seed", "unit", 2) == fnv1a32(str(fnv1a32("seedunit"))) % 10_000 / 10_000
    assert bucket("seed", "unit", 3) is None


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
