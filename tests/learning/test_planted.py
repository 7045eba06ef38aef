"""The gate before planted challengers: what is bad is never recommended; `make bench-accuracy` plants more worlds."""

from __future__ import annotations

import numpy as np
import planted_world as planted
import pytest

from edgewise.policy import pmf

pytestmark = pytest.mark.slow
WORLD = 20
"""None of the bench's."""


@pytest.mark.parametrize("plant", planted.BAD, ids=lambda plant: plant.__name__)
def test_a_bad_challenger_is_not_recommended(plant: planted.Plant) -> None:
    result = planted.try_out(plant, WORLD)
    assert not result.recommended
    assert result.reasons


def test_a_better_challenger_is_recommended_in_most_worlds() -> None:
    """Nine of ten is the aim; of three worlds all fail with a chance of a thousandth then, two with 3 %."""
    found = [planted.try_out(planted.better, WORLD + number).recommended for number in range(3)]
    assert sum(found) >= 2


def test_at_least_twenty_kinds_of_bad_challengers_are_planted() -> None:
    assert len({plant.__name__ for plant in planted.BAD}) >= 20


def test_the_planted_log_tells_the_truth_about_its_propensities() -> None:
    """Drawn with the production's own probabilities: the mean of 1/p over what was drawn counts the candidates."""
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(4_000, planted.ITEMS))
    shown, propensity = planted.serve(scores, planted.EPSILON, rng)
    assert all(len(set(row)) == planted.SLOTS for row in shown.tolist())
    first = np.array([pmf(row, planted.EPSILON)[item] for row, item in zip(scores, shown[:, 0], strict=True)])
    assert propensity[:, 0].tolist() == first.tolist()
    weights = 1 / propensity[:, 0]
    spread = float(weights.std() / np.sqrt(len(weights)))
    assert abs(float(weights.mean()) - planted.ITEMS) < 4 * spread
