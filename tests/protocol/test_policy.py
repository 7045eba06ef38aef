"""Policies: probabilities that are probabilities, and slates drawn with exactly the propensities that they log."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgewise.bundle.policy import EpsilonGreedy, Exploration, Greedy, SquareCB
from edgewise.policy import best_first, pmf, slate

Scores = NDArray[np.float64]

score_lists = st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, -1e300, 1e300]), min_size=1, max_size=12)
explorations: st.SearchStrategy[Exploration] = st.one_of(
    st.just(Greedy()),
    st.builds(EpsilonGreedy, st.floats(0, 1)),
    st.builds(SquareCB, st.floats(1e-3, 1e6) | st.just(1e308), st.floats(0, 1)),
)


def array(scores: list[float]) -> Scores:
    return np.array(scores, np.float64)


def never(slot: int) -> float:
    raise AssertionError(f"slot {slot} was drawn")


@given(score_lists, explorations)
def test_probabilities_sum_to_one_and_the_best_is_the_likeliest(scores: list[float], exploration: Exploration) -> None:
    probabilities = pmf(array(scores), exploration)
    assert probabilities.sum() == pytest.approx(1, abs=1e-12)
    assert (probabilities >= 0).all()
    assert probabilities[scores.index(max(scores))] >= probabilities.max() - 1e-12


@given(score_lists, st.floats(1e-3, 1e6), st.floats(0, 1))
def test_the_floor_holds_for_every_candidate(scores: list[float], gamma: float, floor: float) -> None:
    probabilities = pmf(array(scores), SquareCB(gamma, floor))
    assert (probabilities >= floor / len(scores) * (1 - 1e-12)).all()


@given(score_lists, st.floats(0, 1))
def test_epsilon_is_shared_alike(scores: list[float], epsilon: float) -> None:
    probabilities = pmf(array(scores), EpsilonGreedy(epsilon))
    best = scores.index(max(scores))
    others = np.delete(probabilities, best)
    assert others == pytest.approx(epsilon / len(scores))
    assert probabilities[best] == pytest.approx(1 - epsilon + epsilon / len(scores))


def test_squarecb_is_its_formula() -> None:
    """Foster and Rakhlin 2020, algorithm 1: 1 / (K + gamma * gap), the rest to the best; then the floor is mixed in."""
    got = pmf(array([0.5, 0.9, 0.1]), SquareCB(gamma=10, floor=0.06))
    second, third = 1 / (3 + 10 * 0.4), 1 / (3 + 10 * 0.8)
    bare = [second, 1 - second - third, third]
    assert got == pytest.approx([0.02 + 0.94 * p for p in bare])


@given(score_lists, st.integers(1, 15), explorations, st.randoms(use_true_random=False))
def test_every_slot_logs_the_probability_of_its_item_among_what_was_left(
    scores: list[float], count: int, exploration: Exploration, random: object
) -> None:
    draws = np.random.default_rng(getattr(random, "randint")(0, 2**32 - 1)).random(count).tolist()  # noqa: B009
    chosen = slate(array(scores), count, exploration, draws.__getitem__)
    assert len(chosen.places) == len(set(chosen.places)) == min(count, len(scores))
    left = list(range(len(scores)))
    for place, propensity, is_greedy in zip(*chosen, strict=True):
        probabilities = pmf(array([scores[entry] for entry in left]), exploration)
        assert propensity == pytest.approx(probabilities[left.index(place)], abs=1e-9)
        assert 0 < propensity <= 1 + 1e-12
        assert is_greedy == (place == max(left, key=lambda entry: (scores[entry], -entry)))
        left.remove(place)


@pytest.mark.parametrize("exploration", [EpsilonGreedy(0.4), SquareCB(4.0), SquareCB(4.0, 0.3), SquareCB(1e3, 1.0)])
def test_the_product_of_propensities_is_the_probability_of_the_slate(exploration: Exploration) -> None:
    """By enumeration of all slates of 2 from 4, with the length of each slot's intervals counted on a grid.

    A slot's line falls into at most 2 * 4 intervals (the floor's, and the others), so a grid of m points measures
    each length within 8 / m, and a product of two within 16 / m.
    """
    scores, points = array([0.3, 0.1, 0.3, 0.2]), 4_000
    grid = [(cell + 0.5) / points for cell in range(points)]

    def shares(earlier: list[float]) -> dict[int, tuple[float, list[float], list[float]]]:
        """Place of the next slot -> (measured share, the draws that lead to it, logged propensities so far)."""
        found: dict[int, list[float]] = {}
        logged: dict[int, list[float]] = {}
        for uniform in grid:
            chosen = slate(scores, len(earlier) + 1, exploration, [*earlier, uniform].__getitem__)
            found.setdefault(chosen.places[-1], []).append(uniform)
            logged[chosen.places[-1]] = chosen.propensities
        return {place: (len(draws) / points, [*earlier, draws[0]], logged[place]) for place, draws in found.items()}

    total = 0.0
    for first_share, draws, _ in shares([]).values():
        for second_share, _, logged in shares(draws).values():
            assert first_share * second_share == pytest.approx(math.prod(logged), abs=16 / points)
            total += math.prod(logged)
    assert total == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    "exploration", [EpsilonGreedy(0.25), SquareCB(20.0), SquareCB(20.0, 0.2), SquareCB(1e-3), Greedy()]
)
def test_the_empirical_frequency_is_the_logged_propensity(exploration: Exploration) -> None:
    """30,000 seeded draws of a slate of 3 from 8: conditional frequencies against logged propensities, slot by slot.

    Hoeffding: P(|frequency - p| > e) <= 2 exp(-2 n e^2). There are 8 + 8 * 7 + 8 * 7 * 6 = 400 histories, so that
    e = sqrt(ln(2 * 400 / 1e-9) / (2 n)) for n conditional draws fails with a probability below 1e-9 in all.
    """
    generator = np.random.default_rng(20_250_101)
    scores = generator.normal(size=8).round(2)
    scores[3] = scores[5]
    draws = generator.random((30_000, 3))
    seen: dict[tuple[int, ...], int] = {}
    logged: dict[tuple[int, ...], float] = {}
    for row in draws.tolist():
        chosen = slate(scores, 3, exploration, row.__getitem__)
        for slot in range(3):
            history = tuple(chosen.places[: slot + 1])
            seen[history] = seen.get(history, 0) + 1
            assert logged.setdefault(history, chosen.propensities[slot]) == chosen.propensities[slot]
    for history, count in seen.items():
        conditional = seen[history[:-1]] if len(history) > 1 else len(draws)
        bound = math.sqrt(math.log(2 * 400 / 1e-9) / (2 * conditional))
        assert abs(count / conditional - logged[history]) <= bound, history


@given(score_lists, st.integers(1, 15))
def test_greedy_draws_nothing_and_orders_ties_by_position(scores: list[float], count: int) -> None:
    chosen = slate(array(scores), count, Greedy(), never)
    ordered = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    assert chosen.places == ordered[:count]
    assert chosen.propensities == [1.0] * len(chosen.places)
    assert chosen.is_greedy == [True] * len(chosen.places)


@given(score_lists, st.integers(1, 15))
def test_no_epsilon_is_greedy(scores: list[float], count: int) -> None:
    assert slate(array(scores), count, EpsilonGreedy(0.0), never) == slate(array(scores), count, Greedy(), never)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=300), st.integers(1, 20))
def test_best_first_equals_a_full_sort(values: list[int], most: int) -> None:
    scores = np.array(values, np.float64)
    ordered = sorted(range(len(values)), key=lambda place: (-values[place], place))
    assert best_first(scores, most).tolist() == ordered[:most]


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-53])
@pytest.mark.parametrize("exploration", [EpsilonGreedy(1.0), EpsilonGreedy(1e-9), SquareCB(7.0), SquareCB(7.0, 1.0)])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_the_ends_of_the_unit_interval_choose_somebody(uniform: float, exploration: Exploration, size: int) -> None:
    scores = np.linspace(0, 1, size)
    chosen = slate(scores, size, exploration, lambda _slot: uniform)
    assert sorted(chosen.places) == list(range(size))
    assert min(chosen.propensities) > 0


def test_a_slate_leaves_the_scores_alone() -> None:
    scores = np.array([0.1, 0.4, 0.2])
    draw: Callable[[int], float] = [0.99, 0.5, 0.0].__getitem__
    slate(scores, 3, SquareCB(3.0, 0.1), draw)
    assert scores.tolist() == [0.1, 0.4, 0.2]
