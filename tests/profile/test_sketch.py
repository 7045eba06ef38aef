"""The sketch of different things: a function of the set, exact while small, and as exact as its size says beyond."""

import math

from hypothesis import given
from hypothesis import strategies as st

from edgewise.profile.sketch import SKETCH_SIZE, add_hash, distinct_keys, estimate, has_place, hash64, keep_smallest

hashes = st.lists(st.integers(0, 40) | st.integers(0, 2**64 - 1), max_size=60)
names = st.lists(st.sampled_from([f"k{number}" for number in range(30)]), max_size=60)


@given(hashes, st.integers(1, 20))
def test_a_sketch_is_the_smallest_of_the_set(seen: list[int], most: int) -> None:
    sketch: list[int] = []
    for hashed in seen:
        add_hash(sketch, hashed, most)
    assert sketch == sorted(set(seen))[:most]


@given(names, st.integers(1, 12))
def test_a_bounded_map_keeps_the_names_with_the_smallest_hash(seen: list[str], most: int) -> None:
    kept: dict[str, int] = {}
    bars: dict[str, str] = {}
    for name in seen:
        if name not in kept and has_place(bars, "x", kept, name, most):
            kept[name] = 1
    expected = sorted(set(seen), key=hash64)[:most]
    assert set(kept) == set(expected)
    assert bars == ({"x": expected[-1]} if len(expected) == most else {})


@given(names, st.integers(1, 12))
def test_cutting_a_union_says_the_same(seen: list[str], most: int) -> None:
    kept = dict.fromkeys(seen, 1)
    bars: dict[str, str] = {}
    keep_smallest(bars, "x", kept, most)
    expected = sorted(set(seen), key=hash64)[:most]
    assert set(kept) == set(expected)
    assert bars == ({"x": expected[-1]} if len(expected) == most else {})


def test_estimates_are_exact_below_the_size_and_keep_their_error_above() -> None:
    """Relative standard error at most 1 / sqrt(k - 2) (Beyer et al. 2007); five of them are a bound for one draw."""
    sketch: list[int] = []
    for number in range(50_000):
        add_hash(sketch, hash64(f"item-{number}"))
        if number == SKETCH_SIZE - 2:
            assert estimate(sketch) == SKETCH_SIZE - 1
    assert abs(estimate(sketch) / 50_000 - 1) <= 5 / math.sqrt(SKETCH_SIZE - 2)


def test_a_full_map_tells_how_many_keys_there_were() -> None:
    kept: dict[str, int] = {}
    bars: dict[str, str] = {}
    for number in range(10_000):
        if has_place(bars, "x", kept, f"key-{number}", 512):
            kept[f"key-{number}"] = 1
    assert distinct_keys({"a": 1, "b": 1}, None, 512) == 2
    assert abs(distinct_keys(kept, bars["x"], 512) / 10_000 - 1) <= 5 / math.sqrt(510)
