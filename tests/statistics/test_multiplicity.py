"""Corrections by hand and by scipy; laws that hold for any p-values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hub.statistics.multiplicity import Correction, corrected

P_VALUES = st.dictionaries(st.integers(), st.floats(0, 1) | st.just(math.nan), max_size=12)


def test_holm_by_hand() -> None:
    found = corrected({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}, Correction.HOLM)
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_benjamini_and_hochberg_as_scipy(values: list[float]) -> None:
    found = corrected(dict(enumerate(values)), Correction.BH)
    np.testing.assert_allclose(list(found.values()), stats.false_discovery_control(values), rtol=1e-12)


@given(P_VALUES, st.sampled_from(Correction))
def test_no_p_value_falls_and_their_order_stays(values: dict[int, float], correction: Correction) -> None:
    found = corrected(values, correction)
    assert list(found) == list(values)
    known = [(values[key], found[key]) for key in values if not math.isnan(values[key])]
    assert all(before <= after <= 1 for before, after in known)
    ordered = [after for _, after in sorted(known)]
    assert ordered == sorted(ordered)
    assert [key for key in found if math.isnan(found[key])] == [key for key in values if math.isnan(values[key])]


def test_rounding_lets_the_largest_p_value_not_fall() -> None:
    found = corrected({"a": 0.0, "b": 0.9479674807400567, "c": 0.0}, Correction.BH)
    assert found["b"] == 0.9479674807400567


def test_none_leaves_them() -> None:
    assert corrected({"a": 0.2, "b": 0.04}, Correction.NONE) == {"a": 0.2, "b": 0.04}
