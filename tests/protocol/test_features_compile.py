"""The compiled feature pass equals its naive twin, cell by cell and bit by bit."""

from typing import Any

import numpy as np
import pytest
import strategies_features as some
import world
from features_naive import naive_feature
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.bundle.catalogue import Catalogue
from edgewise.bundle.items import ItemTable
from edgewise.bundle.neighbours import Neighbours
from edgewise.consent import NOTHING, Grants, Purpose
from edgewise.features.compile import CompiledFeatures, Rows, joined
from edgewise.features.table import FeatureTable, WindowCount
from edgewise.ids import ItemId
from edgewise.profile.state import Profile
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
    **visitor: Any,
) -> np.ndarray[Any, np.dtype[np.float32]]:
    known = {item.id: item.attributes for item in catalogue.items}
    matrix = np.empty((len(candidates), len(table.features)), np.float32)
    for row, candidate in enumerate(candidates):
        attributes = {**known.get(candidate.id, {}), **candidate.attributes}
        for column, feature in enumerate(table.features):
            matrix[row, column] = naive_feature(
                feature, item=candidate.id, attributes=attributes, weights=weights_of(neighbours), **visitor
            )
    return matrix


@settings(max_examples=300)
@given(
    table=some.tables(),
    catalogue=some.catalogues(),
    neighbours=st.none() | some.neighbours(),
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
    candidates: list[Candidate],
    profile: Profile,
    context: Context,
    grants: Grants,
) -> None:
    compiled = CompiledFeatures(table, ItemTable(catalogue), neighbours)
    visitor = {"profile": profile, "context": context, "grants": grants, "now_ms": world.NOW_MS}
    matrix = compiled.compute(profile, context, grants, world.NOW_MS, candidates)
    assert matrix.dtype == np.float32
    assert matrix.shape == (len(candidates), len(table.features))
    np.testing.assert_array_equal(matrix, twin(table, catalogue, neighbours, candidates, **visitor))

    by_id = [item.id for item in catalogue.items]
    expected = twin(table, catalogue, neighbours, [Candidate(item) for item in by_id], **visitor)
    np.testing.assert_array_equal(compiled.compute(profile, context, grants, world.NOW_MS, by_id), expected)
    codes = compiled.items.codes(by_id)
    np.testing.assert_array_equal(compiled.compute(profile, context, grants, world.NOW_MS, codes), expected)


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
