"""ALS and BPR on a world whose right answer is known: two camps that share no item."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from edgewise.errors import InputError
from hub.recommend.factors import AlsItems, fit_als, fit_bpr

ITEMS = 12


def camps(users: int = 60) -> np.ndarray:
    """Even users like even items, odd ones odd items; each has four of six."""
    draw = np.random.default_rng(3)
    x = np.zeros((users, ITEMS))
    for user in range(users):
        x[user, draw.choice(np.arange(user % 2, ITEMS, 2), 4, replace=False)] = 1.0
    return x


def als() -> AlsItems:
    return fit_als(csr_array(camps()), factors=4, regularisation=0.5, alpha=2.0, iterations=10, seed=1)


def bpr() -> np.ndarray:
    return fit_bpr(csr_array(camps()), factors=4, regularisation=0.01, learning_rate=0.05, iterations=60, seed=1)


def newcomer(item: int) -> csr_array:
    x = np.zeros((1, ITEMS))
    x[0, item] = 1.0
    return csr_array(x)


@pytest.mark.parametrize("item", [0, 3])
def test_one_item_tells_the_camp_of_somebody_who_was_not_there(item: int) -> None:
    learned = als()
    for scores in (learned.users(newcomer(item)) @ learned.vectors.T, newcomer(item) @ bpr()):
        own, other = np.asarray(scores).ravel()[item % 2 :: 2], np.asarray(scores).ravel()[1 - item % 2 :: 2]
        assert np.sort(own)[1] > other.max()  # the item itself has no weight of its own in BPR's


def test_a_visitors_vector_is_the_minimum_of_what_als_minimises() -> None:
    learned = als()
    x = camps()[:1]
    vector = learned.users(csr_array(x))[0]

    def loss(candidate: np.ndarray) -> float:
        confidence = 1.0 + learned.alpha * x[0]
        return float(confidence @ (x[0] - learned.vectors @ candidate) ** 2) + learned.regularisation * float(
            candidate @ candidate
        )

    draw = np.random.default_rng(0)
    assert all(loss(vector) < loss(vector + draw.normal(scale=0.01, size=len(vector))) for _ in range(20))


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert als().vectors.tobytes() == als().vectors.tobytes()
    assert bpr().tobytes() == bpr().tobytes()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"factors": 0}, "factors is 0"),
        ({"factors": 9_999}, "factors is 9999"),
        ({"iterations": 0}, "iterations is 0"),
        ({"regularisation": -1.0}, "regularisation is -1"),
        ({"alpha": 0.0}, "alpha is 0"),
    ],
)
def test_a_setting_out_of_range_is_named(wrong: dict[str, float], message: str) -> None:
    good = {"factors": 2, "regularisation": 0.1, "alpha": 1.0, "iterations": 1, "seed": 0}
    with pytest.raises(InputError, match=message):
        fit_als(csr_array(camps()), **{**good, **wrong})  # type: ignore[arg-type]


def test_a_learning_rate_of_0_learns_nothing_and_is_refused() -> None:
    with pytest.raises(InputError, match="learning_rate is 0"):
        fit_bpr(csr_array(camps()), factors=2, regularisation=0.1, learning_rate=0.0, iterations=1, seed=0)
