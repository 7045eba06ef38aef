"""What calibrates the trees: it finds what is true, and changes no order of two classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import ModelRefused
from hub.export.calibration import Platt
from hub.train.scores.calibration import Floats, SharedSlope, fit_calibration


def drawn(seed: int, rows: int, slope: float, shift: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Sums of leaves, and answers that come as `softmax(slope * raw + shift)` says."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(0, 2, (rows, len(shift)))
    said = SharedSlope(slope, shift).probabilities(raw)
    answer = (rng.random(rows)[:, None] > np.cumsum(said, axis=1)).sum(axis=1)
    return raw, np.eye(len(shift))[answer]


@pytest.mark.parametrize(("slope", "shift"), [(0.5, (-0.2, 0.2)), (2.0, (0.3, -0.3)), (0.6, (0.3, -0.5, 0.2))])
def test_it_finds_what_the_answers_came_from(slope: float, shift: tuple[float, ...]) -> None:
    """Four standard errors of a fit of 40,000 rows, about 1 / sqrt(rows * p * (1 - p)), are below .1."""
    found = fit_calibration(*drawn(3, 40_000, slope, shift))
    assert isinstance(found, SharedSlope)
    assert found.slope == pytest.approx(slope, abs=0.1)
    assert np.allclose(found.shift, shift, atol=0.1)
    assert sum(found.shift) == pytest.approx(0, abs=1e-12)


def test_two_classes_are_platts_sigmoid() -> None:
    raw, belief = drawn(4, 5_000, 0.8, (-0.25, 0.25))
    difference = raw[:, 1] - raw[:, 0]
    one = fit_calibration(difference, belief)
    assert isinstance(one, Platt)
    two = fit_calibration(raw, belief)
    # the shifts of two classes are held a little, those of one are not
    assert np.abs(one.probabilities(difference) - two.probabilities(raw)[:, 1]).max() < 2e-3


def test_odds_of_answers_count_as_answers_drawn_by_them() -> None:
    """A belief of p in every row, and answers of which a share of p is so, calibrate alike."""
    raw = np.repeat([[0.0, 1.0], [1.0, 0.0]], 500, axis=0)
    odds = np.repeat([[0.2, 0.8], [0.7, 0.3]], 500, axis=0)
    drawn_by_them = np.eye(2)[np.concatenate([np.repeat([0, 1], [100, 400]), np.repeat([0, 1], [350, 150])])]
    believed, answered = fit_calibration(raw, odds), fit_calibration(raw, drawn_by_them)
    assert np.allclose(believed.probabilities(raw), answered.probabilities(raw), atol=1e-6)


@pytest.mark.parametrize("classes", [1, 3])
def test_what_is_the_other_way_round_later_is_refused(classes: int) -> None:
    raw, belief = drawn(5, 2_000, 1.0, (0.0,) * max(2, classes))
    sums = raw[:, 1] - raw[:, 0] if classes == 1 else raw
    with pytest.raises(ModelRefused, match="not so later"):
        fit_calibration(-sums, belief)


def test_few_rows_promise_nothing_for_sure() -> None:
    raw = np.repeat(np.eye(3) * 9, 20, axis=0)
    said = fit_calibration(raw, np.repeat(np.eye(3), 20, axis=0)).probabilities(raw)
    # Platt's targets: 21 / 22 in the place of 1
    assert said.max() == pytest.approx(21 / 22, abs=1e-3)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 5), st.integers(2, 5))
def test_probabilities_add_up_and_keep_the_order_of_each_class_against_another(seed: int, slope: float, k: int) -> None:
    rng = np.random.default_rng(seed)
    raw = rng.normal(0, 3, (40, k))
    said = SharedSlope(slope, tuple(rng.normal(0, 1, k).tolist())).probabilities(raw)
    assert np.allclose(said.sum(axis=1), 1)
    odds = np.log(said[:, 0]) - np.log(said[:, 1])
    before = raw[:, 0] - raw[:, 1]
    order = np.argsort(before)
    assert (np.diff(odds[order]) >= -1e-9).all()
