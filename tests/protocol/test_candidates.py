"""Retrieval and ranking by rule, against naive twins."""

import math

import numpy as np
import pytest
import world
from hypothesis import given
from hypothesis import strategies as st

from edgewise.bundle.items import ItemTable
from edgewise.bundle.policy import ByAttribute, ByNeighbours, ByPriority, Everything
from edgewise.candidates import Catalogued, Pool, retrieve, rule_scores
from edgewise.features.compile import CompiledFeatures, Rows
from edgewise.features.table import FeatureTable
from edgewise.ids import ItemId
from edgewise.request import Candidate, Context

BUNDLE = world.bundle()
FEATURES = BUNDLE.features
POOL = BUNDLE.placements[world.HERO].pool
films = st.sampled_from(world.FILMS)
places = st.lists(st.integers(0, len(world.FILMS) - 1), unique=True).map(sorted)


@given(st.lists(films, unique=True, max_size=6), places, st.integers(1, 30))
def test_retrieval_by_neighbours_equals_its_naive_twin(
    looked_at: list[ItemId], eligible: list[int], limit: int
) -> None:
    view = FEATURES.view(world.profile(looked_at), Context(), world.NOW_MS)
    got = retrieve(POOL, np.array(eligible, np.intp), ByNeighbours("popularity", limit), view)

    def score(place: int) -> float:
        total = 0.0
        for film in reversed(looked_at):
            total += float(np.float32(world.neighbour_weight(int(film.removeprefix("film-")), place)))
        return float(np.float32(total))

    spoken_for = sorted((place for place in eligible if score(place) > 0), key=lambda place: (-score(place), place))
    rest = [place for place in eligible if score(place) <= 0]  # popularity falls with the place
    assert got.tolist() == (spoken_for + rest)[:limit]


@given(places, st.integers(1, 30))
def test_retrieving_everything_keeps_the_order(eligible: list[int], limit: int) -> None:
    view = FEATURES.view(world.profile(), Context(), world.NOW_MS)
    assert retrieve(POOL, np.array(eligible, np.intp), Everything(limit), view).tolist() == eligible[:limit]


def test_what_a_caller_brings_is_retrieved_by_neighbours_and_its_own_attributes() -> None:
    brought = [
        Candidate(ItemId("new-1"), {"popularity": 5}),
        Candidate(world.FILMS[20], {"popularity": None}),
        Candidate(ItemId("new-2"), {"popularity": 500}),
        Candidate(world.FILMS[4]),
    ]
    pool = Pool(FEATURES, FEATURES.rows(brought))
    view = FEATURES.view(world.profile(["film-3"]), Context(), world.NOW_MS)
    got = retrieve(pool, pool.everything, ByNeighbours("popularity", 4), view)
    assert FEATURES.ids(pool.rows.take(got)) == ["film-4", "new-2", "new-1", "film-20"]


def test_an_item_that_only_the_neighbours_know_is_retrieved() -> None:
    items = ItemTable(world.catalogue([world.item(0)]))
    features = CompiledFeatures(FeatureTable([]), items, BUNDLE.neighbours)
    pool = Pool(features, features.rows([Candidate(ItemId("stranger")), Candidate(world.FILMS[4])]))
    view = features.view(world.profile(["film-3"]), Context(), world.NOW_MS)
    got = retrieve(pool, pool.everything, ByNeighbours("popularity", 1), view)
    assert features.ids(pool.rows.take(got)) == ["film-4"]


@given(
    values=st.lists(st.none() | st.integers(-3, 3) | st.just("text"), min_size=1, max_size=8), descending=st.booleans()
)
def test_ranking_by_attribute_puts_what_has_no_value_last(values: list[int | str | None], *, descending: bool) -> None:
    brought = [Candidate(ItemId(f"new-{place}"), {"x": value}) for place, value in enumerate(values)]
    pool = Pool(FEATURES, FEATURES.rows(brought))
    scores = rule_scores(pool, pool.everything, ByAttribute("x", descending))
    assert np.isfinite(scores).all()
    known = [value if isinstance(value, int) else -math.inf if descending else math.inf for value in values]
    expected = sorted(range(len(values)), key=lambda place: (-known[place] if descending else known[place], place))
    assert np.argsort(-scores, kind="stable").tolist() == expected


def test_ranking_by_attribute_scores_by_its_value() -> None:
    scores = rule_scores(POOL, np.array([2, 0], np.intp), ByAttribute("popularity"))
    assert scores.tolist() == [98, 100]
    assert rule_scores(POOL, np.array([2, 0], np.intp), ByAttribute("popularity", descending=False)).tolist() == [
        -98,
        -100,
    ]
    assert POOL.numbers("popularity")[0] == 100, "the column itself was left alone"


def test_ranking_by_priority_is_the_order_of_the_collection() -> None:
    scores = rule_scores(POOL, np.array([5, 0, 3], np.intp), ByPriority())
    assert scores.tolist() == [-5, 0, -3]
    assert math.copysign(1, scores[1]) == 1, "no minus zero in an answer"


def test_a_collection_may_list_an_item_twice_and_ignores_strangers() -> None:
    collection = [world.FILMS[3], ItemId("gone"), world.FILMS[1], world.FILMS[3]]
    pool = Catalogued(world.placement(), collection, FEATURES).pool
    assert FEATURES.ids(pool.rows) == ["film-3", "film-1"]


@pytest.mark.parametrize("rows", [Rows(np.zeros(0, np.intp)), FEATURES.rows([])])
def test_an_empty_pool_has_empty_answers(rows: Rows) -> None:
    pool = Pool(FEATURES, rows)
    view = FEATURES.view(world.profile(["film-3"]), Context(), world.NOW_MS)
    assert len(pool.order("popularity")) == 0
    assert len(retrieve(pool, pool.everything, ByNeighbours("popularity"), view)) == 0
    assert len(rule_scores(pool, pool.everything, ByAttribute("popularity"))) == 0
