"""Targeting: the curve against a slow twin, the area where it is known, the interval where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hub.statistics.summary import Floats
from hub.statistics.uplift import Targeting, targeting


def world(n: int, *, seed: int, strength: float) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """The variant adds `strength` times the score, which is uniform in -1 to 1."""
    rng = np.random.default_rng(seed)
    score = rng.uniform(-1, 1, n)
    is_variant = rng.random(n) < 0.4
    return score, is_variant, strength * score * is_variant + rng.normal(1.0, 0.5, n)


def slow_gain(score: Floats, is_variant: NDArray[np.bool_], outcome: Floats, share: float) -> float:
    best = np.argsort(-score)[: round(share * len(score))]
    chosen, values = is_variant[best], outcome[best]
    return share * float(values[chosen].mean() - values[~chosen].mean())


def test_the_curve_is_that_of_a_slow_twin() -> None:
    rows = world(2_000, seed=0, strength=1.0)
    found = targeting(*rows)
    assert found is not None
    assert list(found.curve[0]) == [0.0, 0.0]
    assert len(found.curve) == 101
    for point in found.curve[10::10]:
        assert point.gain == pytest.approx(slow_gain(*rows, point.share), rel=1e-9)
    assert found.curve[-1].share == 1


def test_the_area_of_a_perfect_score() -> None:
    """Effect s for s uniform in -1 to 1: the best share p gains p (1 - p), whose area is 1/6; the end is 0."""
    found = targeting(*world(400_000, seed=1, strength=1.0))
    assert found is not None
    assert found.qini == pytest.approx(1 / 6, abs=0.005)
    assert found.auuc == pytest.approx(1 / 6, abs=0.005)
    assert found.qini_low < 1 / 6 < found.qini_high
    assert "moves most" in found.sentence


def test_an_inverted_score_is_told() -> None:
    score, is_variant, outcome = world(20_000, seed=2, strength=1.0)
    found = targeting(-score, is_variant, outcome)
    assert found is not None
    assert found.qini_high < 0
    assert "moves least" in found.sentence


@pytest.mark.slow
def test_the_interval_holds_zero_where_nothing_is_found() -> None:
    """At 95 %, of 200 worlds without effect 190; fewer than 180 have a chance below one in 1,000."""
    held = 0
    for seed in range(200):
        found = targeting(*world(2_000, seed=seed, strength=0.0), seed=seed)
        assert found is not None
        held += found.qini_low <= 0 <= found.qini_high
    assert held >= 180


def test_equal_scores_are_not_split() -> None:
    score, is_variant, outcome = world(5_000, seed=3, strength=1.0)
    found = targeting(np.sign(score), is_variant, outcome)
    assert isinstance(found, Targeting)
    assert len(found.curve) == 3
    constant = targeting(np.zeros(5_000), is_variant, outcome)
    assert constant is not None
    assert constant.qini == pytest.approx(0, abs=1e-12)


def test_few_units_have_no_curve() -> None:
    score, is_variant, outcome = world(150, seed=4, strength=1.0)
    assert targeting(score, is_variant, outcome) is None
