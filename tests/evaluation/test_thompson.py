"""Thompson sampling's probabilities, where they are known without sampling."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats

from hub.evaluation.probability_file import read_probabilities
from hub.evaluation.thompson import thompson_probabilities, write_probabilities

DRAWS = 40_000


def tolerance(probability: float) -> float:
    """Five standard errors of a share."""
    return 5 * math.sqrt(probability * (1 - probability) / DRAWS)


def test_equal_arms_fill_every_position_alike() -> None:
    found = thompson_probabilities(np.full(8, 2.0), np.full(8, 9.0), rng=np.random.default_rng(1), draws=DRAWS)
    assert found.shape == (3, 8)
    np.testing.assert_allclose(found, 1 / 8, atol=tolerance(1 / 8))
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_the_first_position_goes_to_the_likely_best() -> None:
    first, second = stats.beta(3, 5), stats.beta(2, 6)
    better, _ = integrate.quad(lambda theta: first.pdf(theta) * second.cdf(theta), 0, 1)
    found = thompson_probabilities(
        np.array([3.0, 2.0]), np.array([5.0, 6.0]), rng=np.random.default_rng(2), positions=2, draws=DRAWS
    )
    assert found[0, 0] == pytest.approx(better, abs=tolerance(better))
    np.testing.assert_allclose(found[1], found[0][::-1])  # whoever is not first is second


def test_as_ranked_one_draw_at_a_time() -> None:
    alpha, beta = np.array([1.0, 2.0, 3.0, 4.0]), np.array([4.0, 3.0, 2.0, 1.0])
    counts = np.zeros((3, 4))
    theta = np.random.default_rng(3).beta(alpha, beta, size=(25_000, 4))
    for row in theta:
        for position, arm in enumerate(sorted(range(4), key=lambda arm: -row[arm])[:3]):
            counts[position, arm] += 1
    found = thompson_probabilities(alpha, beta, rng=np.random.default_rng(3), draws=25_000)
    np.testing.assert_array_equal(found, counts / 25_000)


def test_written_probabilities_read_back(tmp_path: Path) -> None:
    table = np.array([[0.1, 0.9], [2 / 3, 1 / 3]])
    write_probabilities(tmp_path / "deep" / "p.csv", table, ["x", "007"], first_position=1)
    found = read_probabilities(tmp_path / "deep" / "p.csv")
    assert [str(situation) for situation in found.situations] == ["position 1", "position 2"]
    assert found.actions == ("x", "007")
    np.testing.assert_array_equal(found.probability, table.ravel())
