"""Novelty: a lift that fades is found, one that stays is not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hub.statistics.compare import Kind
from hub.statistics.novelty import Day, Novelty, novelty
from hub.statistics.summary import EMPTY, Summary


def seen(lifts: list[float], seed: int = 0) -> Novelty:
    rng = np.random.default_rng(seed)
    days = [
        Day(day, *(Summary.of(rng.normal(10 * (1 + of), 5.0, 4_000)) for of in (0.0, lift)))
        for day, lift in enumerate(lifts)
    ]
    return novelty(days, kind=Kind.MEAN)


def test_what_is_new_fades() -> None:
    found = seen([0.2, 0.15, 0.1, 0.05, 0.02, 0.0])
    assert found.fades
    assert found.slope_per_day == pytest.approx(-0.041, abs=0.012)
    assert "towards 0" in found.sentence
    assert [day.day for day in found.days] == list(range(6))
    assert found.days[0].units == 8_000


def test_what_is_learned_grows() -> None:
    found = seen([0.02, 0.05, 0.1, 0.15, 0.2])
    assert not found.fades
    assert "away from 0" in found.sentence


@pytest.mark.slow
def test_what_stays_is_rarely_taken_for_fading() -> None:
    """At 5 %, of which half would be fading: of 200 lifts that stay more than 12 have a chance below .2 %."""
    assert sum(seen([0.1] * 5, seed).fades for seed in range(200)) <= 12


def test_too_few_days() -> None:
    found = seen([0.1, 0.1, 0.1])
    assert math.isnan(found.p_value)
    assert not found.fades
    assert "3 days with a lift, expected 4" in found.sentence


def test_days_without_units() -> None:
    found = novelty([Day(day, EMPTY, EMPTY) for day in range(9)], kind=Kind.BINARY)
    assert "0 days" in found.sentence
