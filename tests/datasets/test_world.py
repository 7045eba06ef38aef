"""The simulated world: repeatable, plausible, and with something to learn."""

import numpy as np

from hub.datasets.world import EVENTS, FILMS, VISITORS, simulate
from hub.recommend.interactions import encode
from hub.recommend.methods import settings_of
from hub.recommend.report import trial
from hub.recommend.split import divide, parse_split


def test_says_that_it_is_simulated() -> None:
    world = simulate(3, visitors=20, films=30, events=200)
    assert world.simulated
    assert "simulated" in world.name


def test_the_seed_decides_everything() -> None:
    one, again, other = (simulate(seed, visitors=30, films=40, events=400) for seed in (1, 1, 2))
    assert one.ratings.item == again.ratings.item
    assert np.array_equal(one.ratings.rating, again.ratings.rating)
    assert (one.items, one.users) == (again.items, again.users)
    assert one.ratings.item != other.ratings.item


def test_has_the_shape_of_a_film_history() -> None:
    world = simulate()
    ratings = world.ratings
    assert (len(world.users), len(world.items)) == (VISITORS, FILMS)
    assert 0.9 * EVENTS < len(ratings) <= EVENTS
    assert set(ratings.item) <= set(world.items)
    assert set(ratings.user) <= set(world.users)
    assert len(set(zip(ratings.user, ratings.item, strict=True))) == len(ratings)
    assert (np.diff(ratings.time_s) >= 0).all()
    assert set(ratings.rating.tolist()) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert len({film.title for film in world.items.values()}) == FILMS


def test_most_late_visitors_are_new() -> None:
    user = simulate().ratings.user
    known = set(user[: len(user) * 4 // 5])
    late = user[len(user) * 4 // 5 :]
    assert 0.5 < sum(one not in known for one in late) / len(late) < 0.95


def test_what_goes_together_beats_what_is_popular() -> None:
    ratings = simulate().ratings
    interactions = encode(ratings.user, ratings.item)
    divided = divide(interactions, parse_split("random:0.2:0"))
    ndcg = {
        method: trial(
            interactions,
            divided,
            method=method,
            settings=settings_of(method, []),
            split="random:0.2:0",
            ks=(10,),
            seed=0,
        ).intervals["ndcg_cut@10"]
        for method in ("ease", "popular")
    }
    assert ndcg["ease"][0] > ndcg["popular"][1]
