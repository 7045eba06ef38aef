"""Policies: probabilities that are probabilities, and slates drawn with exactly the propensities that they log."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from propensity_law import assert_frequencies_are_the_propensities

from edgewise.bundle.exploration import EpsilonGreedy, Exploration, Greedy, Softmax, SquareCB, Thompson
from edgewise.policy import (
    NOBODY,
    NOTHING,
    UNLIMITED,
    Limits,
    Slate,
    best_first,
    pmf,
    propensities_of,
    slate,
    slates,
)

Scores = NDArray[np.float64]

score_lists = st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, -1e300, 1e300]), min_size=1, max_size=12)
explorations: st.SearchStrategy[Exploration] = st.one_of(
    st.just(Greedy()),
    st.builds(EpsilonGreedy, st.floats(0, 1)),
    st.builds(SquareCB, st.floats(1e-3, 1e6) | st.just(1e308), st.floats(0, 1)),
    st.builds(Softmax, st.floats(1e-3, 1e6) | st.just(1e-300), st.floats(0, 1)),
)
errors_of = st.lists(st.floats(0, 10) | st.just(0.0), min_size=12, max_size=12)
limits = st.builds(
    Limits,
    budget=st.floats(0, 1),
    nothing=st.none() | st.floats(-10, 10),
    kinds=st.none() | st.lists(st.sampled_from([(), (0,), (1,), (0, 1), (2,)]), min_size=12, max_size=12),
    most=st.integers(1, 2),
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


@given(score_lists, st.floats(1e-3, 1e6), st.floats(0, 1), errors_of)
def test_the_floor_holds_for_every_candidate(
    scores: list[float], sharpness: float, floor: float, errors: list[float]
) -> None:
    spread = array(errors[: len(scores)])
    for exploration in (SquareCB(sharpness, floor), Softmax(1 / sharpness, floor), Thompson(floor=floor)):
        probabilities = pmf(array(scores), exploration, errors=spread)
        assert (probabilities >= floor / len(scores) * (1 - 1e-12)).all()


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12), st.floats(0.05, 10))
def test_softmax_is_its_formula(scores: list[float], temperature: float) -> None:
    raised = np.exp((array(scores) - max(scores)) / temperature)
    got = pmf(array(scores), Softmax(temperature))
    np.testing.assert_allclose(got, raised / raised.sum(), rtol=1e-10, atol=1e-14)


def test_thompson_is_uniform_among_equals_and_sure_without_errors() -> None:
    assert pmf(array([0.2] * 4), Thompson(), errors=array([0.5] * 4)) == pytest.approx([0.25] * 4)
    assert pmf(array([0.1, 0.3, 0.2]), Thompson(), errors=np.zeros(3)).tolist() == [0, 1, 0]
    assert pmf(array([0.1, 0.3, 0.2]), Thompson()).tolist() == [0, 1, 0]


def test_a_smaller_scale_explores_less() -> None:
    scores, errors = array([0.3, 0.5, 0.1]), array([0.2, 0.2, 0.2])
    shares = [pmf(scores, Thompson(scale), errors=errors)[1] for scale in (0.1, 0.5, 1.0, 3.0)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.9
    assert shares[-1] < 0.5


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
    scores, points = array([0.3, 0.1, 0.3, 0.2]), 2_000
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


# --- with limits ----------------------------------------------------------------------------------------------------
def closed_after(places: list[int], size: int, within: Limits) -> list[int]:
    """Who is left after these, naively; NOTHING as `size`."""
    left = [place for place in range(size + (within.nothing is not None)) if place not in places]
    if within.kinds is None:
        return left
    kinds = [*within.kinds[:size], ()]
    taken = [kind for place in places for kind in kinds[place]]
    full = {kind for kind in taken if taken.count(kind) >= within.most}
    return [place for place in left if full.isdisjoint(kinds[place])]


def naive(
    scores: list[float], errors: list[float], left: list[int], exploration: Exploration, within: Limits
) -> Scores:
    """The probabilities of those who are left: the policy over them alone, mixed with its greedy choice."""
    worth = [*scores, 0.0 if within.nothing is None else within.nothing]
    spread = [*errors[: len(scores)], 0.0]
    alone, best = array([worth[place] for place in left]), 0
    best = int(alone.argmax())
    bare = pmf(alone, exploration, errors=array([spread[place] for place in left]))
    others = 1 - bare[best]
    share = 1.0 if others <= within.budget else within.budget / others
    mixed = share * bare
    mixed[best] += 1 - share
    return mixed


@given(
    st.lists(st.floats(-10, 10) | st.sampled_from([0.0, 1.0]), min_size=1, max_size=9),
    st.integers(1, 6),
    explorations | st.builds(Thompson, st.floats(0.1, 3), st.floats(0, 1)),
    errors_of,
    limits,
    st.integers(0, 2**32 - 1),
)
def test_within_limits_every_slot_logs_the_probability_among_what_was_left(  # noqa: PLR0917
    scores: list[float], count: int, exploration: Exploration, errors: list[float], within: Limits, seed: int
) -> None:
    draws = np.random.default_rng(seed).random(count)
    limited = within._replace(kinds=None if within.kinds is None else within.kinds[: len(scores)])
    spread = array(errors[: len(scores)])
    chosen = slate(array(scores), count, exploration, draws.tolist().__getitem__, errors=spread, limits=limited)
    told = list(zip(chosen.places, chosen.propensities, chosen.is_greedy, strict=True))
    earlier: list[int] = []
    for place, propensity, is_greedy in told:
        left = closed_after(earlier, len(scores), limited)
        known = len(scores) if place == NOTHING else place
        probabilities = naive(scores, errors, left, exploration, limited)
        assert known in left
        assert propensity == pytest.approx(probabilities[left.index(known)], abs=1e-9)
        assert 0 < propensity <= 1 + 1e-12
        worth = [*scores, within.nothing or 0.0]
        assert is_greedy == (known == max(left, key=lambda entry: (worth[entry], -entry)))
        assert 1 - probabilities[int(array([worth[entry] for entry in left]).argmax())] <= within.budget + 1e-9
        earlier.append(known)
    ended = NOTHING in chosen.places
    assert chosen.places.count(NOTHING) <= 1
    assert not ended or chosen.places[-1] == NOTHING
    assert ended or len(told) == count or not closed_after(earlier, len(scores), limited)
    asked = propensities_of(array(scores), exploration, chosen.places, errors=spread, limits=limited)
    assert asked == chosen.propensities
    assert chosen.joint_propensity == pytest.approx(math.prod(asked))


EVERY_POLICY: list[Exploration] = [
    Greedy(),
    EpsilonGreedy(0.3),
    SquareCB(8.0),
    SquareCB(8.0, 0.2),
    Softmax(0.5),
    Softmax(0.2, 0.1),
    Thompson(),
    Thompson(0.5, 0.1),
]
EVERY_LIMIT = {
    "none": UNLIMITED,
    "budget": Limits(budget=0.15),
    "nothing": Limits(nothing=0.4),
    "diversity": Limits(kinds=[(0,), (0,), (1,), (1, 2), (2,), (), (0,)], most=1),
    "all": Limits(0.3, 0.4, [(0,), (0,), (1,), (1, 2), (2,), (), (0,)], 1),
}


@pytest.mark.parametrize("name", EVERY_LIMIT)
@pytest.mark.parametrize("exploration", EVERY_POLICY)
def test_over_a_hundred_thousand_draws_the_frequency_is_the_logged_propensity(
    exploration: Exploration, name: str
) -> None:
    """Slates of 3 from 7 candidates, and nothing."""
    within = EVERY_LIMIT[name]
    generator = np.random.default_rng(20_261_127)
    scores = generator.normal(size=7).round(2)
    scores[3] = scores[5]
    drawn = slates(
        scores, 3, exploration, generator.random((100_000, 3)), errors=generator.uniform(0.1, 0.6, 7), limits=within
    )
    assert_frequencies_are_the_propensities(drawn, budget=within.budget, settings=40)
    assert len(np.unique(drawn.places[:, 0])) > 2 or isinstance(exploration, Greedy)


@pytest.mark.parametrize("name", EVERY_LIMIT)
@pytest.mark.parametrize("exploration", EVERY_POLICY)
def test_many_slates_at_once_are_the_slates_one_by_one(exploration: Exploration, name: str) -> None:
    generator = np.random.default_rng(7)
    scores, errors, uniforms = generator.normal(size=7), generator.uniform(0.1, 0.6, 7), generator.random((60, 4))
    uniforms[0], uniforms[1] = 0.0, 1 - 2**-53
    within = EVERY_LIMIT[name]
    at_once = slates(scores, 4, exploration, uniforms, errors=errors, limits=within)
    for row, draws in enumerate(uniforms.tolist()):
        one = slate(scores, 4, exploration, draws.__getitem__, errors=errors, limits=within)
        size = len(one.places)
        told = Slate(*(column[row, :size].tolist() for column in at_once))
        assert told == one
        assert (at_once.places[row, size:] == NOBODY).all()


def test_what_is_no_candidate_has_no_probability_and_later_slots_go_on() -> None:
    scores, exploration = array([0.3, 0.9, 0.5]), EpsilonGreedy(0.3)
    assert propensities_of(scores, exploration, [None, 1]) == [0.0, pytest.approx(0.7 + 0.1)]
    assert propensities_of(scores, exploration, [1, 1, 0]) == [pytest.approx(0.8), 0.0, pytest.approx(0.15)]
    assert propensities_of(scores, Greedy(), [1, 2, 0, 0]) == [1.0, 1.0, 1.0, 0.0]
    assert propensities_of(scores, Greedy(), [1, NOTHING], limits=Limits(nothing=0.6)) == [1.0, 1.0]
    assert propensities_of(scores, Greedy(), [NOTHING]) == [0.0]
