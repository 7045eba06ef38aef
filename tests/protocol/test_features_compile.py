"""The compiled feature pass equals its naive twin, cell by cell and bit by bit."""

from typing import Any

import numpy as np
import pytest
import strategies_features as some
import world
from features_naive import naive_cross, naive_feature
from hypothesis import given
from hypothesis import strategies as st
from sessions_naive import naive_scores, visits_of

from edgewise.bundle.catalogue import Catalogue, Item
from edgewise.bundle.items import ItemTable
from edgewise.bundle.neighbours import Neighbours, decode_neighbours, encode_neighbours
from edgewise.bundle.sessions import Walk, decode_sessions, encode_sessions
from edgewise.bundle.vectors import Vectors
from edgewise.consent import NOTHING, Grants, Purpose
from edgewise.events import Kind
from edgewise.features import table as declared
from edgewise.features.compile import CompiledFeatures, Rows, joined
from edgewise.features.table import FeatureTable, WindowCount
from edgewise.ids import ItemId
from edgewise.profile.read import history
from edgewise.profile.state import DAY_MS, LastTouch, Profile
from edgewise.request import Candidate, Context


def weights_of(neighbours: Neighbours | None) -> dict[ItemId, dict[ItemId, float]]:
    if neighbours is None:
        return {}
    weights: dict[ItemId, dict[ItemId, float]] = {}
    for row, speaker in enumerate(neighbours.items):
        entries = range(neighbours.indptr[row], neighbours.indptr[row + 1])
        weights[speaker] = {neighbours.items[neighbours.indices[e]]: float(neighbours.weights[e]) for e in entries}
    return weights


def twin(
    table: FeatureTable,
    catalogue: Catalogue,
    neighbours: Neighbours | None,
    candidates: list[Candidate],
    vectors: Vectors | None = None,
    **visitor: Any,
) -> np.ndarray[Any, np.dtype[np.float32]]:
    known = {item.id: item.attributes for item in catalogue.items}
    matrix = np.empty((len(candidates), len(table.features)), np.float32)
    for row, candidate in enumerate(candidates):
        attributes = {**known.get(candidate.id, {}), **candidate.attributes}
        for column, feature in enumerate(table.features):
            matrix[row, column] = naive_feature(
                feature,
                item=candidate.id,
                attributes=attributes,
                weights=weights_of(neighbours),
                held=known,
                vectors=rows_of(vectors),
                **visitor,
            )
        for column, feature in enumerate(table.features):
            granted = feature.purpose is None or visitor["grants"].allows(feature.purpose)
            if isinstance(feature, declared.Cross) and granted:
                matrix[row, column] = naive_cross(feature, table, list(matrix[row]))
    return matrix


def rows_of(vectors: Vectors | None) -> dict[ItemId, list[int]]:
    return {} if vectors is None else dict(zip(vectors.items, vectors.rows.tolist(), strict=True))


@given(
    table=some.tables(),
    catalogue=some.catalogues(),
    neighbours=st.none() | some.neighbours(),
    vectors=st.none() | some.vectors(),
    candidates=st.lists(some.candidates, max_size=6),
    profile=some.profiles(),
    context=some.contexts,
    grants=some.grants,
)
def test_every_cell_equals_its_naive_twin(
    *,
    table: FeatureTable,
    catalogue: Catalogue,
    neighbours: Neighbours | None,
    vectors: Vectors | None,
    candidates: list[Candidate],
    profile: Profile,
    context: Context,
    grants: Grants,
) -> None:
    compiled = CompiledFeatures(table, ItemTable(catalogue), neighbours, vectors)
    visitor: dict[str, Any] = {
        "vectors": vectors,
        "profile": profile,
        "context": context,
        "grants": grants,
        "now_ms": world.NOW_MS,
    }
    matrix = compiled.compute(profile, context, grants, world.NOW_MS, candidates)
    assert matrix.dtype == np.float32
    assert matrix.shape == (len(candidates), len(table.features))
    np.testing.assert_array_equal(matrix, twin(table, catalogue, neighbours, candidates, **visitor))

    by_id = [item.id for item in catalogue.items]
    expected = twin(table, catalogue, neighbours, [Candidate(item) for item in by_id], **visitor)
    np.testing.assert_array_equal(compiled.compute(profile, context, grants, world.NOW_MS, by_id), expected)
    codes = compiled.items.codes(by_id)
    np.testing.assert_array_equal(compiled.compute(profile, context, grants, world.NOW_MS, codes), expected)


def crowded_table() -> FeatureTable:
    """Every type of feature that looks at a profile, at parameters where windows, ends and ties matter."""
    features: list[declared.Feature] = [
        *(declared.NeighbourScore(name=f"sum_{last}", last=last) for last in (3, 0, 1, 5)),
        *(declared.NeighbourMax(name=f"max_{last}", last=last) for last in (2, 0)),
        *(declared.WindowCount(name=f"count_{days}", kind=Kind.VIEW, days=days) for days in (1, 2, 7, 400)),
        declared.DaysSinceItem(name="since_item"),
        declared.DaysSinceVisit(name="since_visit"),
        declared.HistoryLength(name="history"),
    ]
    for half_life_days in (0.5, 30.0):
        for dimension in ("category", "brand"):
            name = f"{dimension}_{half_life_days:g}".replace(".", "_")
            common: dict[str, Any] = {"dimension": dimension, "half_life_days": half_life_days}
            features.append(declared.Affinity(name=f"mean_{name}", **common))
            features.append(declared.AffinityMatch(name=f"best_{name}", **common))
    return FeatureTable(features)


@pytest.mark.parametrize("seed", range(12))
def test_crowded_worlds_equal_their_naive_twin(seed: int) -> None:
    """Random worlds in which nearly every value is there; hypothesis prefers empty ones."""
    generator = np.random.default_rng(seed)
    films = [ItemId(f"film-{number}") for number in range(30)]
    values = [f"value-{number}" for number in range(12)]
    today = world.NOW_MS // DAY_MS

    def some_values(most: int) -> list[str]:
        return [values[code] for code in generator.choice(12, generator.integers(0, most + 1), replace=False).tolist()]

    def some_buckets() -> list[tuple[int, int]]:
        ages = sorted(set(generator.integers(-1, 9, 5).tolist()), reverse=True)
        return [(today - age, int(generator.integers(1, 9))) for age in ages]

    attributes: list[dict[str, Any]] = [{"category": some_values(10), "brand": some_values(1)} for _ in films]
    catalogue = Catalogue([Item(film, {}, held) for film, held in zip(films[:25], attributes, strict=False)])
    indices = np.concatenate([generator.choice(30, 12, replace=False) for _ in films]).astype(np.int32)
    neighbours = decode_neighbours(
        encode_neighbours(
            films, np.arange(0, 361, 12, dtype=np.int32), indices, generator.normal(size=360).astype(np.float32)
        )
    )
    touched = generator.choice(30, 9, replace=False).tolist()
    # Whole minutes, so that some touches share their moment and the order of ids decides.
    profile = Profile(
        seen_ms=world.NOW_MS - int(generator.integers(0, 3 * DAY_MS)),
        items={
            films[film]: LastTouch(world.NOW_MS - 60_000 * int(generator.integers(-1, 4)), Kind.VIEW)
            for film in touched
        },
        counts={Kind.VIEW: some_buckets()},
        affinity={
            dimension: {value: some_buckets() for value in some_values(12)} for dimension in ("category", "brand")
        },
    )
    candidates = [Candidate(film, {"category": some_values(10)} if film.endswith("7") else {}) for film in films]
    table = crowded_table()
    compiled = CompiledFeatures(table, ItemTable(catalogue), neighbours)
    visitor: dict[str, Any] = {"profile": profile, "context": Context(), "grants": world.EVERYTHING_GRANTED}
    for now_ms in (world.NOW_MS, today * DAY_MS, today * DAY_MS + DAY_MS - 1):
        got = compiled.compute(profile, Context(), world.EVERYTHING_GRANTED, now_ms, candidates)
        np.testing.assert_array_equal(got, twin(table, catalogue, neighbours, candidates, now_ms=now_ms, **visitor))
        assert np.isfinite(got).mean() > 0.5, "the world is crowded"
        for column, feature in enumerate(table.features):
            alone = CompiledFeatures(FeatureTable([feature]), compiled.items, neighbours)
            column_alone = alone.compute(profile, Context(), world.EVERYTHING_GRANTED, now_ms, candidates)[:, 0]
            np.testing.assert_array_equal(column_alone, got[:, column])

    # Ids alone, also such as only the neighbours know; and who speaks loudest for each.
    by_id = compiled.compute(profile, Context(), world.EVERYTHING_GRANTED, world.NOW_MS, films)
    np.testing.assert_array_equal(
        by_id, twin(table, catalogue, neighbours, [Candidate(film) for film in films], now_ms=world.NOW_MS, **visitor)
    )
    view, weights = compiled.view(profile, Context(), world.NOW_MS), weights_of(neighbours)
    for code, film in enumerate(films):
        for last in (0, 4):
            said = [(weights[speaker].get(film, 0.0), speaker) for speaker in history(profile, last)]
            loudness, speaker = max(said, key=lambda entry: entry[0])
            assert view.loudest(code, last) == ((speaker, loudness) if loudness > 0 else None)


@given(some.tables(), some.catalogues(), some.neighbours(), some.profiles(), st.data())
def test_one_matrix_of_several_placements_is_the_matrices_of_each(
    table: FeatureTable, catalogue: Catalogue, neighbours: Neighbours, profile: Profile, data: st.DataObject
) -> None:
    compiled = CompiledFeatures(table, ItemTable(catalogue), neighbours)
    lists = st.lists(some.candidates, max_size=4) | st.lists(some.items, max_size=4)
    parts = [compiled.rows(part) for part in data.draw(st.lists(lists, min_size=1, max_size=4))]
    view = compiled.view(profile, Context(), world.NOW_MS)
    whole = compiled.matrix(view, joined(parts), world.EVERYTHING_GRANTED)
    each = [compiled.matrix(view, part, world.EVERYTHING_GRANTED) for part in parts]
    np.testing.assert_array_equal(whole, np.concatenate(each))
    assert compiled.ids(joined(parts)) == [item for part in parts for item in compiled.ids(part)]


@given(some.profiles(), some.tables(), some.catalogues(), some.neighbours())
def test_computing_changes_nothing(
    profile: Profile, table: FeatureTable, catalogue: Catalogue, neighbours: Neighbours
) -> None:
    compiled = CompiledFeatures(table, ItemTable(catalogue), neighbours)
    rows = compiled.rows([*some.ITEMS, *some.ITEMS[:2]])
    first = compiled.compute(profile, Context(), world.EVERYTHING_GRANTED, world.NOW_MS, rows)
    kept = first.copy()
    first[:] = -1.0
    again = compiled.compute(profile, Context(), world.EVERYTHING_GRANTED, world.NOW_MS, rows)
    np.testing.assert_array_equal(again, kept)


def test_what_is_not_granted_is_missing_and_the_rest_is_there() -> None:
    features = world.bundle().features
    columns = [features.column_of[name] for name in ("liked_alike", "orders_30d", "popularity")]

    def row(grants: Grants) -> list[bool]:
        matrix = features.compute(world.profile(["film-3"]), Context(), grants, world.NOW_MS, [world.FILMS[4]])
        return [bool(missing) for missing in np.isnan(matrix[0, columns])]

    assert row(world.EVERYTHING_GRANTED) == [False, False, False]
    assert row(Grants(personalisation=True)) == [False, True, False]
    assert row(Grants(marketing=True)) == [True, False, False]
    assert row(NOTHING) == [True, True, False]


def test_a_candidate_states_its_own_attributes_before_the_catalogue() -> None:
    features = world.bundle().features

    def cell(name: str, **attributes: Any) -> float:
        brought = [Candidate(world.FILMS[0], attributes)]
        matrix = features.compute(Profile(), Context(), world.EVERYTHING_GRANTED, world.NOW_MS, brought)
        return float(matrix[0, features.column_of[name]])

    assert cell("popularity") == 100
    assert cell("popularity", popularity=3) == 3
    assert np.isnan(cell("popularity", popularity=None))
    assert cell("is_drama") == 1
    assert cell("is_drama", category=["noir"]) == 0


def test_names_and_sentences_are_in_the_order_of_the_columns() -> None:
    features = world.bundle().features
    assert features.names[0] == "liked_alike"
    assert features.sentences[0] == "Because you looked at {item}"
    assert len(features.names) == len(features.sentences) == len(world.feature_table().features)


def test_an_event_kind_that_does_not_exist_is_refused() -> None:
    table = FeatureTable([WindowCount(name="x", kind="telepathy", days=1, purpose=Purpose.ANALYTICS)])
    with pytest.raises(ValueError, match="telepathy"):
        CompiledFeatures(table, ItemTable(world.catalogue()))


def test_rows_can_be_taken_in_any_order() -> None:
    features = world.bundle().features
    for rows in (features.rows([*world.FILMS[:4]]), features.rows([Candidate(ItemId("new")), Candidate(ItemId("x"))])):
        places = np.array([1, 0], np.intp)
        assert features.ids(rows.take(places)) == features.ids(rows)[1::-1]
    assert len(Rows(np.array([], np.intp))) == 0


@given(
    looked_at=st.lists(st.sampled_from(world.FILMS), unique=True, max_size=5),
    sets=st.lists(st.sets(st.integers(0, 23), min_size=1, max_size=4), min_size=1, max_size=10),
    grants=some.grants,
)
def test_session_scores_equal_their_naive_twin(looked_at: list[ItemId], sets: list[set[int]], grants: Grants) -> None:
    members = np.array([code for one in sets for code in sorted(one)])
    bounds = np.cumsum([0, *(len(one) for one in sets)])
    sessions = decode_sessions(
        encode_sessions(list(world.FILMS), np.linspace(0, 2, 24), bounds, members, Walk(last=3, neighbours=4))
    )
    feature = declared.SessionScore(name="visits")
    compiled = CompiledFeatures(FeatureTable([feature]), ItemTable(world.catalogue()), sessions=sessions)
    candidates = [*world.FILMS, ItemId("unknown")]
    profile = world.profile(looked_at)
    matrix = compiled.compute(profile, Context(), grants, world.NOW_MS, candidates)
    weights = dict(zip(sessions.items, sessions.weights.astype(np.float64).tolist(), strict=True))
    heard = naive_scores(looked_at[::-1], visits_of(sessions), weights, sessions.walk) if looked_at else {}
    visitor: dict[str, Any] = {"profile": profile, "context": Context(), "grants": grants, "now_ms": world.NOW_MS}
    expected = [
        [naive_feature(feature, item=item, attributes={}, weights={}, heard=heard, **visitor)] for item in candidates
    ]
    np.testing.assert_array_equal(matrix, np.array(expected, np.float32))


def test_live_numbers_move_every_column_that_is_made_of_them() -> None:
    """As if the catalogue itself said so; what it does not say stays as released."""
    table = FeatureTable(
        [
            declared.ItemAttribute(name="price", attribute="price"),
            declared.ItemIs(name="is_five", attribute="price", value="5"),
            declared.PriceDistance(name="far"),
            declared.Code(name="step", of="item.price", values=("5", "6", "7.5")),
            declared.Hash(name="bucket", of="item.price", buckets=1_000),
            declared.Cross(name="twice", of=("price", "step")),
        ]
    )
    released, live = [5.0, 6.0, 8.0, 9.0], [7.5, np.nan, 5.0, np.nan]
    said = [new if new == new else old for old, new in zip(released, live, strict=True)]  # noqa: PLR0124
    visitor = Profile(price_bands={Kind.VIEW: [0, 0, 3, 1]})
    matrices = []
    for prices in (released, said):
        items = ItemTable(Catalogue([Item(ItemId(f"i{n}"), {}, {"price": price}) for n, price in enumerate(prices)]))
        features = CompiledFeatures(table, items)
        if prices is released:
            column = {"price": np.array([*live, np.nan])}
            features = features.under(items.under(column), column)
        codes = np.array([0, 1, 2, 3, -1], np.intp)
        matrices.append(features.compute(visitor, Context(), world.EVERYTHING_GRANTED, world.NOW_MS, codes))
    np.testing.assert_array_equal(matrices[0], matrices[1])
    assert matrices[0][0].tolist()[3:4] == [2.0]
