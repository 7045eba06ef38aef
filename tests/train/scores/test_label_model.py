"""Weak rules are weighed by how they agree: the truth comes out without one true label."""

from __future__ import annotations

import numpy as np
import pytest

from edgewise.errors import InputError
from hub.train.scores.label_model import fit_label_model

OF_CLASS = np.array([0, 0, 0, 1, 1, 2, 2])
FOUND = np.array([0.9, 0.7, 0.5, 0.85, 0.6, 0.8, 0.75])
MISTAKEN = np.array([0.02, 0.1, 0.3, 0.05, 0.05, 0.1, 0.02])
PRIOR = np.array([0.5, 0.3, 0.2])


def planted(seed: int, carts: int) -> tuple[np.ndarray, np.ndarray]:
    """(carts, rules) of what is spoken, and the true class."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, carts, p=PRIOR)
    chance = np.where(truth[:, None] == OF_CLASS, FOUND, MISTAKEN)
    return rng.random(chance.shape) < chance, truth


def test_it_finds_out_how_far_each_rule_is_to_be_believed() -> None:
    """Four standard errors of a share of 800 carts, 4 * .5 / sqrt(800), are .07; the rest is for the latent classes."""
    speaks, _ = planted(1, 4_000)
    model = fit_label_model(speaks, OF_CLASS, 3)
    assert np.abs(model.found - FOUND).max() < 0.1
    assert np.abs(model.mistaken - MISTAKEN).max() < 0.05
    assert np.abs(model.prior - PRIOR).max() < 0.05


def test_its_odds_come_true_as_often_as_they_say() -> None:
    speaks, truth = planted(2, 4_000)
    belief = fit_label_model(speaks, OF_CLASS, 3).belief(speaks)
    sure = belief.max(axis=1)
    right = belief.argmax(axis=1) == truth
    assert np.allclose(belief.sum(axis=1), 1)
    # four standard errors of a share of 4,000
    assert abs(sure.mean() - right.mean()) < 4 * 0.5 / np.sqrt(4_000)


def test_it_is_better_than_a_plain_vote() -> None:
    """Where rules of one reason are many and loud, votes are theirs."""
    speaks, truth = planted(3, 4_000)
    votes = np.stack([speaks[:, number == OF_CLASS].sum(axis=1) for number in range(3)], axis=1)
    belief = fit_label_model(speaks, OF_CLASS, 3).belief(speaks)
    assert (belief.argmax(axis=1) == truth).mean() > (votes.argmax(axis=1) == truth).mean() + 0.02


def test_the_same_rules_in_another_order_are_believed_alike() -> None:
    speaks, _ = planted(4, 500)
    order = np.array([6, 2, 0, 3, 1, 5, 4])
    one, other = fit_label_model(speaks, OF_CLASS, 3), fit_label_model(speaks[:, order], OF_CLASS[order], 3)
    assert np.allclose(one.found[order], other.found)
    assert np.allclose(one.belief(speaks), other.belief(speaks[:, order]))


def test_few_carts_are_refused() -> None:
    speaks, _ = planted(5, 99)
    with pytest.raises(InputError, match="99 carts that were left; expected at least 100"):
        fit_label_model(speaks, OF_CLASS, 3)
