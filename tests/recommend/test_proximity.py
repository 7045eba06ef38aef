"""What is used close together, against a twin in plain Python."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import InputError
from hub.recommend import proximity
from hub.recommend.interactions import encode

logs = st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abcd"), st.integers(0, 3)), min_size=1, max_size=30)


def naive(rows: list[tuple[str, str, int]], window: int, shrink: float) -> dict[tuple[str, str], float]:
    used = Counter(item for _, item, _ in rows)
    sums: Counter[tuple[str, str]] = Counter()
    for user in {user for user, _, _ in rows}:
        walk = [item for _, item, _ in sorted((row for row in rows if row[0] == user), key=lambda row: row[2])]
        for i, one in enumerate(walk):
            for j, other in enumerate(walk):
                if one != other and 1 <= abs(i - j) <= window:
                    sums[one, other] += 1 / abs(i - j)  # type: ignore[assignment]
    return {
        (one, other): value / math.sqrt((used[one] + shrink) * (used[other] + shrink))
        for (one, other), value in sums.items()
    }


@given(logs, st.integers(1, 6))
def test_equals_the_definition(rows: list[tuple[str, str, int]], window: int) -> None:
    coded = encode([row[0] for row in rows], [row[1] for row in rows], time=[row[2] for row in rows])
    found = proximity.fit(coded, np.arange(len(rows)), window=window, shrink=2.0)
    expected = naive(rows, window, 2.0)
    for i, one in enumerate(coded.items):
        for j, other in enumerate(coded.items):
            assert found[i, j] == pytest.approx(expected.get((one, other), 0.0), abs=1e-12)


def test_only_the_chosen_rows_count_whatever_their_order() -> None:
    coded = encode(["u"] * 3, ["a", "b", "c"], time=[1, 2, 3])
    found = proximity.fit(coded, np.array([1, 0]), window=5, shrink=1.0)
    assert found[0, 1] == found[1, 0] == pytest.approx(0.5)
    assert not found[2].any()


@pytest.mark.parametrize(("window", "shrink"), [(0, 1.0), (1, 0.0), (1, float("nan"))])
def test_settings_that_make_no_sense_are_refused(window: int, shrink: float) -> None:
    with pytest.raises(InputError, match="expected"):
        proximity.fit(encode(["u"], ["a"]), np.arange(1), window=window, shrink=shrink)
