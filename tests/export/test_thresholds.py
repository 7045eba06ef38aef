"""Laws of the float32 thresholds: the same rows pass as in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import ModelRefused
from hub.export.thresholds import ZERO_BAND, numeric_splits, round_down

any_threshold = st.one_of(
    st.floats(allow_nan=False),
    st.floats(width=32, allow_nan=False),
    st.sampled_from([0.0, -0.0, 1e-35, -1e-35, 1e300, -1e300, 1e-45, -1e-45, 1e-300, -1e-300, 3.4028236e38]),
)
any_input = st.one_of(st.floats(width=32, allow_nan=False), st.sampled_from([0.0, -0.0, 1e-45, -1e-45]))


def neighbours(split: np.float32) -> list[np.float32]:
    with np.errstate(over="ignore"):
        up = np.nextafter(split, np.float32(np.inf), dtype=np.float32)
        down = np.nextafter(split, np.float32(-np.inf), dtype=np.float32)
    return [split, up, down]


@given(threshold=any_threshold, value=any_input)
def test_a_float32_passes_the_rounded_threshold_if_and_only_if_it_passes_the_exact_one(
    threshold: float, value: float
) -> None:
    split = round_down([threshold])[0]
    for x in [np.float32(value), *neighbours(split)]:
        assert (x <= split) == (float(x) <= threshold)


@given(threshold=any_threshold, value=any_input)
def test_splits_read_the_zero_band_as_lightgbm_does(threshold: float, value: float) -> None:
    split = numeric_splits([threshold])[0]
    for x in [np.float32(value), *neighbours(split), *neighbours(ZERO_BAND), *neighbours(-ZERO_BAND)]:
        read = 0.0 if abs(x) <= ZERO_BAND else float(x)
        assert (x <= split) == (read <= threshold)


@given(st.lists(any_threshold, min_size=1))
def test_rounding_keeps_the_order_of_thresholds(thresholds: list[float]) -> None:
    ordered = round_down(sorted(thresholds))
    assert (np.diff(np.clip(ordered, -1e38, 1e38)) >= 0).all()


def test_a_threshold_above_float32_leaves_infinity_on_the_other_side() -> None:
    assert round_down([1e300])[0] == np.finfo(np.float32).max
    assert round_down([-1e300])[0] == -np.inf
    assert round_down([np.inf])[0] == np.inf


def test_minus_zero_becomes_zero_so_that_equal_models_have_equal_bytes() -> None:
    assert not np.signbit(round_down([-0.0]))[0]


def test_nan_is_no_threshold() -> None:
    with pytest.raises(ModelRefused, match="NaN"):
        round_down([np.nan])
