"""Calibration and measures by group: what is planted is found, and small groups are not told of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import InputError
from hub.train.scoring.calibration import GROUPS, calibrations, wilson
from hub.train.scoring.choices import ScoreKind
from hub.train.scoring.groups import FEWEST, MISSING, by_group


def test_true_probabilities_are_calibrated_and_sharpened_ones_are_too_sure() -> None:
    """Of ten groups each observed share is within five standard errors; the slope of chances cubed in odds is 1/3."""
    rng = np.random.default_rng(0)
    chances = rng.uniform(0.02, 0.98, 20_000)
    truth = (rng.random(20_000) < chances).astype(np.int64)
    (found,) = calibrations(ScoreKind.BINARY, "bought", ["no", "yes"], truth, chances)
    assert found.of == "yes"
    assert len(found.groups) == GROUPS
    assert sum(group.rows for group in found.groups) == 20_000
    for group in found.groups:
        assert abs(group.observed - group.predicted) < 5 * np.sqrt(0.25 / group.rows)
        assert group.ci_low <= group.observed <= group.ci_high
    assert found.slope == pytest.approx(1.0, abs=0.06)
    assert found.intercept == pytest.approx(0.0, abs=0.1)
    sharp = chances**3 / (chances**3 + (1 - chances) ** 3)
    (sure,) = calibrations(ScoreKind.BINARY, "bought", ["no", "yes"], truth, sharp)
    assert sure.slope == pytest.approx(1 / 3, abs=0.03)
    assert sure.error > found.error + 0.05


def test_each_of_several_classes_has_its_own_and_an_absent_one_no_slope() -> None:
    rng = np.random.default_rng(1)
    scores = rng.dirichlet([1.0, 1.0, 1.0], size=900)
    truth = np.where(scores[:, 0] > 0.4, 0, 1)
    found = calibrations(ScoreKind.MULTICLASS, "mood", ["bad", "fair", "good"], truth, scores)
    assert [one.of for one in found] == ["bad", "fair", "good"]
    assert found[0].slope is not None
    assert found[2].slope is None
    assert {group.observed for group in found[2].groups} == {0.0}


def test_a_quantity_has_groups_and_no_slope() -> None:
    rng = np.random.default_rng(2)
    expected = rng.uniform(0, 5, 5_000)
    (found,) = calibrations(ScoreKind.COUNT, "orders", [], rng.poisson(expected), expected)
    assert found.slope is None
    assert found.error < 0.15
    assert [group.predicted for group in found.groups] == sorted(group.predicted for group in found.groups)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.9]), min_size=1, max_size=60), st.integers(0, 2**32 - 1))
def test_equal_predictions_stay_in_one_group_and_every_row_is_in_one(given_chances: list[float], seed: int) -> None:
    chances = np.array(given_chances)
    truth = np.random.default_rng(seed).integers(0, 2, len(chances))
    (found,) = calibrations(ScoreKind.BINARY, "y", ["0", "1"], truth, chances)
    assert sum(group.rows for group in found.groups) == len(chances)
    assert len(found.groups) <= len(set(given_chances))
    total = sum(group.rows * group.observed for group in found.groups)
    assert total == pytest.approx(truth.sum())


def test_wilsons_interval_is_the_published_one_and_stays_a_share() -> None:
    """Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I: 15/148 and 0/20."""
    assert wilson(15 / 148, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1.0, 1)[1] == 1.0


def test_a_group_that_is_served_worse_and_told_too_much_is_found() -> None:
    rng = np.random.default_rng(3)
    words = np.array(["a", "b"] * 1_000, dtype=object)
    chances = rng.uniform(0.1, 0.9, 2_000)
    happens = np.where(words == "a", chances, 0.3)  # for b the score tells nothing, and is too high
    truth = (rng.random(2_000) < happens).astype(np.int64)
    found = by_group("who", words, ScoreKind.BINARY, truth, chances, seed=0)
    good, poor = sorted(found.groups, key=lambda group: group.group)
    assert good.measured is not None
    assert poor.measured is not None
    assert good.too_high is not None
    assert poor.too_high is not None
    assert good.measured.ci_low > 0.65
    assert poor.measured.ci_low < 0.5 < poor.measured.ci_high + 0.05
    assert poor.too_high.ci_low > 0.1
    assert good.too_high.ci_low < 0 < good.too_high.ci_high


def test_small_groups_are_named_and_left_out_and_missing_is_a_group() -> None:
    words = np.array(["few"] * (FEWEST - 1) + [""] * FEWEST, dtype=object)
    truth = np.arange(len(words)) % 2
    found = by_group("who", words, ScoreKind.BINARY, truth, truth.astype(np.float64) / 2, seed=0)
    assert [group.group for group in found.groups] == [MISSING]
    assert found.left_out == ["few"]


def test_a_group_of_one_class_has_no_measure_and_still_says_how_far_off_it_is() -> None:
    words = np.array(["never"] * 40 + ["both"] * 40, dtype=object)
    truth = np.array([0] * 40 + [0, 1] * 20)
    found = by_group("who", words, ScoreKind.BINARY, truth, np.full(80, 0.25), seed=0)
    never = next(group for group in found.groups if group.group == "never")
    assert never.measured is None
    assert never.too_high is not None
    assert never.too_high.mean == pytest.approx(0.25)


def test_a_column_of_names_is_no_column_of_groups() -> None:
    words = np.array([f"n{number}" for number in range(100)], dtype=object)
    with pytest.raises(InputError, match="100 groups; expected at most 50"):
        by_group("who", words, ScoreKind.COUNT, np.zeros(100), np.zeros(100), seed=0)
