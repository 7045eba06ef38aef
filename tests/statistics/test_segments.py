"""Segments: those that differ are told apart, those that agree are not, and small ones stay unspoken of."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hub.statistics.compare import Kind
from hub.statistics.segments import Heterogeneity, Pair, heterogeneity
from hub.statistics.summary import Summary


def split(lifts: list[float], *, n: int = 1_000, seed: int = 0) -> Heterogeneity:
    rng = np.random.default_rng(seed)
    pairs = {
        f"s{number}": Pair(*(Summary.of(rng.normal(10 * (1 + of), 4.0, n)) for of in (0.0, lift)))
        for number, lift in enumerate(lifts)
    }
    return heterogeneity(pairs, kind=Kind.MEAN)


def test_a_lift_of_some_is_told() -> None:
    found = split([0.2, 0.0, 0.0, -0.1])
    assert found.p_value < 1e-6
    assert found.share_between > 0.8
    assert "differs between segments" in found.sentence
    assert found.segments["s0"].relative_lift == pytest.approx(0.2, abs=0.06)
    assert found.segments["s0"].p_value_corrected >= found.segments["s0"].p_value


@pytest.mark.slow
def test_a_lift_of_all_is_no_difference() -> None:
    """At 5 % of 400 experiments: 20, and more than 38 have a chance below one in 10,000."""
    alarms = sum(split([0.1] * 4, n=150, seed=seed).p_value < 0.05 for seed in range(400))
    assert 4 <= alarms <= 38


def test_small_segments_are_named_and_left_out() -> None:
    rng = np.random.default_rng(1)
    pairs = {
        name: Pair(*(Summary.of(rng.normal(10, 4.0, n)) for _ in range(2))) for name, n in (("few", 99), ("many", 100))
    }
    found = heterogeneity(pairs, kind=Kind.MEAN)
    assert found.suppressed == ["few"]
    assert list(found.segments) == ["many"]
    assert math.isnan(found.p_value)
    assert found.sentence == "fewer than two segments with a lift"
