"""Looking for items first and showing them to the gate then finds what the naive order of steps finds."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import pytest
import world
from hypothesis import given
from hypothesis import strategies as st
from sessions_naive import naive_scores, visits_of

from edgewise.bundle.items import ItemTable
from edgewise.bundle.neighbours import decode_neighbours, encode_neighbours
from edgewise.bundle.policy import (
    ByNeighbours,
    ByRetrieval,
    BySessions,
    ByVectors,
    Compare,
    Everything,
    Placement,
    Retrieval,
)
from edgewise.bundle.sessions import Sessions, Walk, decode_sessions, encode_sessions
from edgewise.bundle.vectors import Vectors, decode_vectors, encode_vectors, quantised
from edgewise.candidates import OPEN, Catalogued, Gate, Pool, rule_scores
from edgewise.eligibility import Blocks, Mask
from edgewise.features.compile import CompiledFeatures
from edgewise.features.table import FeatureTable, NeighbourScore
from edgewise.ids import ItemId
from edgewise.nearness import Places
from edgewise.policy import best_first
from edgewise.profile.state import DAY_MS
from edgewise.request import Candidate, Context
from edgewise.retrieval import retrieve
from edgewise.rules import Facts

BUNDLE: Final = world.bundle()
FEATURES: Final = BUNDLE.features
SOME: Final = 400
"""More than a first look takes, so that it has to be taken again."""
films = st.sampled_from(world.FILMS)


def vectors_of(count: int, *, without: int = 7) -> Vectors:
    """Vectors of films in a few directions, so that many are equally near; every `without`-th film has none."""
    generator = np.random.default_rng(4)
    numbers = [number for number in range(count) if number % without]
    rows = quantised(generator.integers(-2, 3, (len(numbers), 3)).astype(np.float64))
    return decode_vectors(encode_vectors([ItemId(f"film-{number}") for number in numbers], rows))


def sessions_of(count: int) -> Sessions:
    """Visits of three films each, some of which lie far apart; all weigh the same, so that many are equally loud."""
    films = [ItemId(f"film-{number}") for number in range(count)]
    starts = np.random.default_rng(5).integers(0, count - 5, 300)
    members = np.concatenate([[start, start + 1 + start % 3, start + 5] for start in starts.tolist()])
    bounds = np.arange(0, len(members) + 1, 3)
    return decode_sessions(encode_sessions(films, np.ones(count), bounds, members, Walk(last=3)))


class Many:
    """A collection of SOME films; popularity is the number modulo 40, and some are not there any more."""

    def __init__(self) -> None:
        items = [world.item(number, popularity=float(number % 40)) for number in range(SOME)]
        scheduled = [
            msgspec.structs.replace(item, ends_ms=world.NOW_MS) if number % 11 == 3 else item
            for number, item in enumerate(items)
        ]
        self.sessions = sessions_of(SOME)
        self.features = CompiledFeatures(
            FeatureTable([]), ItemTable(world.catalogue(scheduled)), BUNDLE.neighbours, sessions=self.sessions
        )
        self.vectors = vectors_of(SOME)

    def catalogued(self, placement: Placement) -> Catalogued:
        return Catalogued(placement, self.features.items.ids, self.features, self.vectors)


MANY: Final = Many()
retrievals: st.SearchStrategy[Retrieval] = st.one_of(
    st.builds(Everything, st.integers(1, 1_000)),
    st.builds(ByNeighbours, st.just("popularity"), st.integers(1, 1_000)),
    st.builds(ByVectors, st.just("popularity"), st.integers(1, 1_000), st.sampled_from([0.5, 14.0])),
    st.builds(BySessions, st.just("popularity"), st.integers(1, 1_000)),
)


@given(
    retrieval=retrievals,
    looked_at=st.lists(films, unique=True, max_size=6),
    muted=st.lists(st.sampled_from(world.GENRES), max_size=5),
    exclude=st.sets(st.integers(0, SOME - 1), max_size=300),
    floor=st.sampled_from([0.0, 5.5, 7.0, 9.0]),
    exclude_seen=st.booleans(),
)
def test_looking_first_finds_what_checking_first_finds(
    *,
    retrieval: Retrieval,
    looked_at: list[ItemId],
    muted: list[str],
    exclude: set[int],
    floor: float,
    exclude_seen: bool,
) -> None:
    rule = Compare("item.price", "ge", "$context.attributes.floor")
    catalogued = MANY.catalogued(world.placement(eligibility=[rule], exclude_seen=exclude_seen))
    profile = world.profile(looked_at)
    view = MANY.features.view(profile, Context(attributes={"floor": floor}), world.NOW_MS)
    blocks = Blocks(MANY.features.items, {"categories": tuple(muted)}, profile, world.NOW_MS)
    unwanted = frozenset(ItemId(f"film-{number}") for number in exclude)
    gate = catalogued.gate(blocks, unwanted, Facts(view), world.NOW_MS)
    eligible = gate.passing(catalogued.pool.everything)
    got = retrieve(catalogued.pool, gate, retrieval, view)
    assert got.tolist() == retrieve(catalogued.pool, _only(eligible), retrieval, view).tolist()
    assert set(got.tolist()) <= set(eligible.tolist())
    assert len(got) == min(retrieval.limit, len(eligible)), "no place stays empty while there is an item"


def _only(places: Places) -> Gate:
    """The gate that was asked of everybody beforehand."""
    is_open = np.zeros(SOME, np.bool_)
    is_open[places] = True

    def test(asked: Places) -> Mask:
        return is_open[asked]

    return Gate([test], named=SOME)  # a first look at everybody


@given(
    looked_at=st.lists(films, unique=True, max_size=6),
    eligible=st.sets(st.integers(0, len(world.FILMS) - 1)).map(sorted),
    limit=st.integers(1, 30),
)
def test_retrieval_by_neighbours_equals_its_naive_twin(
    looked_at: list[ItemId], eligible: list[int], limit: int
) -> None:
    view = FEATURES.view(world.profile(looked_at), Context(), world.NOW_MS)
    pool = BUNDLE.placements[world.HERO].pool
    got = retrieve(pool, _only(np.array(eligible, np.intp)), ByNeighbours("popularity", limit), view)

    def score(place: int) -> float:
        total = 0.0
        for film in reversed(looked_at):
            total += float(np.float32(world.neighbour_weight(int(film.removeprefix("film-")), place)))
        return float(np.float32(total))

    spoken_for = sorted((place for place in eligible if score(place) > 0), key=lambda place: (-score(place), place))
    rest = [place for place in eligible if score(place) <= 0]  # popularity falls with the place
    assert got.tolist() == (spoken_for + rest)[:limit]


@given(
    looked_at=st.lists(films, unique=True, max_size=6),
    gap_days=st.integers(0, 30),
    limit=st.integers(1, SOME),
    half_life_days=st.sampled_from([0.25, 14.0, 1e300, 1e-300]),
)
def test_retrieval_by_vectors_equals_its_naive_twin(
    looked_at: list[ItemId], gap_days: int, limit: int, half_life_days: float
) -> None:
    profile = world.profile(looked_at, gap_ms=gap_days * DAY_MS + 1)
    view = MANY.features.view(profile, Context(), world.NOW_MS)
    pool = MANY.catalogued(world.placement()).pool
    got = retrieve(pool, OPEN, ByVectors("popularity", limit, half_life_days), view)

    rows = {item: MANY.vectors.rows[code].tolist() for item, code in MANY.vectors.code_of.items()}
    mind = [0.0, 0.0, 0.0]
    known = [film for film in reversed(looked_at) if film in rows]
    latest_ms = max((profile.items[film].time_ms for film in known), default=0)
    for film in known:
        weight = 2.0 ** ((profile.items[film].time_ms - latest_ms) / DAY_MS / half_life_days)
        mind = [total + weight * component for total, component in zip(mind, rows[film], strict=True)]
    largest = max(map(abs, mind))
    likes = [round(127 * component / largest) if largest else 0 for component in mind]

    def score(place: int) -> int:
        row = rows.get(MANY.features.items.ids[place], [0, 0, 0])
        return sum(one * other for one, other in zip(likes, row, strict=True))

    everybody = range(SOME)
    near = sorted((place for place in everybody if score(place) > 0), key=lambda place: (-score(place), place))
    rest = sorted(set(everybody) - set(near[:limit]), key=lambda place: (-(place % 40), place))
    assert got.tolist() == (near + rest)[:limit]


@given(looked_at=st.lists(films, unique=True, max_size=6), limit=st.integers(1, SOME))
def test_retrieval_by_sessions_equals_its_naive_twin(looked_at: list[ItemId], limit: int) -> None:
    view = MANY.features.view(world.profile(looked_at), Context(), world.NOW_MS)
    pool = MANY.catalogued(world.placement()).pool
    got = retrieve(pool, OPEN, BySessions("popularity", limit), view)
    latest = looked_at[::-1]
    weights = dict.fromkeys(MANY.sessions.items, 1.0)
    heard = naive_scores(latest, visits_of(MANY.sessions), weights, MANY.sessions.walk) if latest else {}
    place_of = {item: place for place, item in enumerate(MANY.features.items.ids)}
    loud = sorted((place_of[item] for item in heard), key=lambda place: (-heard[MANY.features.items.ids[place]], place))
    rest = sorted(set(range(SOME)) - set(loud[:limit]), key=lambda place: (-(place % 40), place))
    assert got.tolist() == (loud + rest)[:limit]
    ranked = rule_scores(pool, got, ByRetrieval())
    assert got[best_first(ranked, limit)].tolist() == got.tolist(), "ranking by retrieval keeps its order"


def test_a_set_of_neighbours_has_its_own_word() -> None:
    other = decode_neighbours(
        encode_neighbours(
            [world.FILMS[3], world.FILMS[9]], np.array([0, 1, 1]), np.array([1]), np.array([1.0], np.float32)
        )
    )
    table = FeatureTable([NeighbourScore(name="usual"), NeighbourScore(name="apart", source="apart")])
    features = CompiledFeatures(table, ItemTable(world.catalogue()), BUNDLE.neighbours, named={"apart": other})
    view = features.view(world.profile(["film-1", "film-3"]), Context(), world.NOW_MS)
    pool = Pool(features, features.rows(world.FILMS))
    assert features.ids(pool.rows.take(retrieve(pool, OPEN, ByNeighbours("popularity", 1), view))) == ["film-2"]
    apart = retrieve(pool, OPEN, ByNeighbours("popularity", 1, source="apart"), view)
    assert features.ids(pool.rows.take(apart)) == ["film-9"]
    matrix = features.matrix(view, features.rows([world.FILMS[2], world.FILMS[9]]), world.EVERYTHING_GRANTED)
    assert matrix.tolist() == [[pytest.approx(1.6), 0.0], [0.0, 1.0]]
    latest = retrieve(pool, OPEN, ByNeighbours("popularity", 3, last=1), view)
    assert set(features.ids(pool.rows.take(latest))) <= {"film-2", "film-4", "film-1", "film-5"}
    silent = features.view(world.profile(["film-1"]), Context(), world.NOW_MS)
    got = retrieve(pool, OPEN, ByNeighbours("popularity", 1, source="apart"), silent)
    assert features.ids(pool.rows.take(got)) == ["film-0"], "nobody speaks: the most popular"


def test_what_a_caller_brings_is_retrieved_by_sessions() -> None:
    features = MANY.features
    start = int(MANY.sessions.members[0])
    heard = features.view(world.profile([f"film-{start}"]), Context(), world.NOW_MS).heard()
    known = MANY.sessions.items[int(heard.codes[heard.scores.argmax()])]
    brought = [Candidate(ItemId("new"), {"popularity": 500}), Candidate(known)]
    pool = Pool(features, features.rows(brought))
    view = features.view(world.profile([f"film-{start}"]), Context(), world.NOW_MS)
    assert features.ids(pool.rows.take(retrieve(pool, OPEN, BySessions("popularity", 2), view))) == [known, "new"]


def test_a_visitor_of_whom_nothing_is_known_gets_the_filling() -> None:
    pool = MANY.catalogued(world.placement()).pool
    view = MANY.features.view(world.profile(), Context(), world.NOW_MS)
    assert retrieve(pool, OPEN, ByVectors("popularity", 3), view).tolist() == [39, 79, 119]


def test_a_rule_is_asked_of_as_few_items_as_are_needed() -> None:
    asked: list[int] = []

    def slow(places: Places) -> Mask:
        asked.extend(places.tolist())
        return np.ones(len(places), np.bool_)

    pool = MANY.catalogued(world.placement()).pool
    view = MANY.features.view(world.profile(["film-3"]), Context(), world.NOW_MS)
    for retrieval in (Everything(10), ByNeighbours("popularity", 10), ByVectors("popularity", 10)):
        asked.clear()
        assert len(retrieve(pool, Gate([slow]), retrieval, view)) == 10
        assert len(asked) <= 2 * (10 + 50)


def test_nobody_passes_a_closed_gate() -> None:
    pool = MANY.catalogued(world.placement()).pool
    view = MANY.features.view(world.profile(["film-3"]), Context(), world.NOW_MS)
    for retrieval in (Everything(10), ByNeighbours("popularity", 10), ByVectors("popularity", 10)):
        assert retrieve(pool, Gate(is_closed=True), retrieval, view).tolist() == []


# --- what a caller brings ------------------------------------------------------------------------------------------
def test_what_a_caller_brings_is_retrieved_by_neighbours_and_its_own_attributes() -> None:
    brought = [
        Candidate(ItemId("new-1"), {"popularity": 5}),
        Candidate(world.FILMS[20], {"popularity": None}),
        Candidate(ItemId("new-2"), {"popularity": 500}),
        Candidate(world.FILMS[4]),
    ]
    pool = Pool(FEATURES, FEATURES.rows(brought))
    view = FEATURES.view(world.profile(["film-3"]), Context(), world.NOW_MS)
    got = retrieve(pool, OPEN, ByNeighbours("popularity", 4), view)
    assert FEATURES.ids(pool.rows.take(got)) == ["film-4", "new-2", "new-1", "film-20"]


def test_what_a_caller_brings_is_retrieved_by_its_content_where_that_is_known() -> None:
    vectors = decode_vectors(
        encode_vectors(
            [ItemId("new-1"), world.FILMS[3], world.FILMS[4]], quantised(np.array([[1, 0], [1, 0.5], [-1, 0]]))
        )
    )
    brought = [Candidate(ItemId("new-2"), {"popularity": 500}), Candidate(world.FILMS[4]), Candidate(ItemId("new-1"))]
    pool = Pool(FEATURES, FEATURES.rows(brought), vectors)
    view = FEATURES.view(world.profile(["film-3"]), Context(), world.NOW_MS)
    got = retrieve(pool, OPEN, ByVectors("popularity", 3), view)
    assert FEATURES.ids(pool.rows.take(got)) == ["new-1", "new-2", "film-4"]


def test_an_item_that_only_the_neighbours_know_is_retrieved() -> None:
    items = ItemTable(world.catalogue([world.item(0)]))
    features = CompiledFeatures(FeatureTable([]), items, BUNDLE.neighbours)
    pool = Pool(features, features.rows([Candidate(ItemId("stranger")), Candidate(world.FILMS[4])]))
    view = features.view(world.profile(["film-3"]), Context(), world.NOW_MS)
    got = retrieve(pool, OPEN, ByNeighbours("popularity", 1), view)
    assert features.ids(pool.rows.take(got)) == ["film-4"]


@pytest.mark.parametrize(
    "retrieval", [Everything(), ByNeighbours("popularity"), ByVectors("popularity"), BySessions("popularity")]
)
def test_nothing_is_retrieved_from_an_empty_pool(retrieval: Retrieval) -> None:
    pool = Pool(FEATURES, FEATURES.rows([]), MANY.vectors)
    view = FEATURES.view(world.profile(["film-3"]), Context(), world.NOW_MS)
    assert len(retrieve(pool, OPEN, retrieval, view)) == 0
