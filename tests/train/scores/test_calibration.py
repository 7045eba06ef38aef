"""The sigmoid behind the trees: it finds what is true, changes no order, and its table adds up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import ModelRefused
from hub.train.scores.calibration import Sigmoid, fit_sigmoid, reliability, wilson


def drawn(seed: int, rows: int, slope: float, shift: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Sums of leaves, and answers that come as `softmax(slope * raw + shift)` says."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(0, 2, rows) if len(shift) == 1 else rng.normal(0, 2, (rows, len(shift)))
    said = Sigmoid(slope, shift).probabilities(raw)
    answer = (rng.random(rows)[:, None] > np.cumsum(said, axis=1)).sum(axis=1)
    return raw, np.eye(said.shape[1])[answer]


@pytest.mark.parametrize(("slope", "shift"), [(0.5, (0.4,)), (2.0, (-0.7,)), (0.6, (0.3, -0.5, 0.2))])
def test_it_finds_the_sigmoid_that_the_answers_came_from(slope: float, shift: tuple[float, ...]) -> None:
    """Four standard errors of a fit of 40,000 rows, about 1 / sqrt(rows * p * (1 - p)), are below .1."""
    raw, belief = drawn(3, 40_000, slope, shift)
    found = fit_sigmoid(raw, belief)
    assert found.slope == pytest.approx(slope, abs=0.1)
    assert np.allclose(found.shift, shift, atol=0.1)


def test_two_classes_are_one_probability() -> None:
    raw, belief = drawn(4, 5_000, 0.8, (0.5,))
    one = fit_sigmoid(raw, belief)
    two = fit_sigmoid(np.column_stack([np.zeros(len(raw)), raw]), belief)
    expected = one.probabilities(raw)
    got = two.probabilities(np.column_stack([np.zeros(len(raw)), raw]))
    # the shifts of two classes are held a little, those of one are not
    assert np.abs(got - expected).max() < 2e-3


def test_what_is_the_other_way_round_later_is_refused() -> None:
    raw, belief = drawn(5, 2_000, 1.0, (0.0,))
    with pytest.raises(ModelRefused, match="not so later"):
        fit_sigmoid(-raw, belief)


def test_few_rows_promise_nothing_for_sure() -> None:
    raw = np.array([-1.0] * 30 + [1.0] * 30)
    belief = np.eye(2)[[0] * 30 + [1] * 30]
    said = fit_sigmoid(raw, belief).probabilities(raw)
    # Platt's targets: 31 / 32 in the place of 1
    assert said.max() == pytest.approx(31 / 32, abs=1e-3)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 5), st.integers(2, 5))
def test_probabilities_add_up_and_keep_the_order_of_each_class_against_another(seed: int, slope: float, k: int) -> None:
    rng = np.random.default_rng(seed)
    raw = rng.normal(0, 3, (40, k))
    said = Sigmoid(slope, tuple(rng.normal(0, 1, k).tolist())).probabilities(raw)
    assert np.allclose(said.sum(axis=1), 1)
    odds = np.log(said[:, 0]) - np.log(said[:, 1])
    before = raw[:, 0] - raw[:, 1]
    order = np.argsort(before)
    assert (np.diff(odds[order]) >= -1e-9).all()


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9]), st.booleans()), min_size=1, max_size=200))
def test_a_table_holds_every_row_once(rows: list[tuple[float, bool]]) -> None:
    said, came = np.array([row[0] for row in rows]), np.array([float(row[1]) for row in rows])
    table = reliability(said, came)
    assert sum(held.rows for held in table.bins) == len(rows)
    assert sum(held.rows * held.came for held in table.bins) == pytest.approx(came.sum())
    assert sum(held.rows * held.said for held in table.bins) == pytest.approx(said.sum())
    assert all(held.low <= held.came <= held.high for held in table.bins)
    assert [held.said for held in table.bins] == sorted(held.said for held in table.bins)
    assert 0 <= table.error <= 1


def test_what_always_comes_as_often_as_it_was_said_has_no_error() -> None:
    said = np.repeat([0.2, 0.6], 50)
    came = np.concatenate([np.repeat([1.0, 0.0], [10, 40]), np.repeat([1.0, 0.0], [30, 20])])
    assert reliability(said, came).error == pytest.approx(0)


def test_wilson_is_the_published_interval() -> None:
    """Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I: 81 of 263, 15 of 148."""
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15 / 148, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0.0, 20)[0] == 0
