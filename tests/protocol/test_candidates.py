"""Pools, gates and ranking by rule, against naive twins."""

import math

import numpy as np
import pytest
import world
from hypothesis import given
from hypothesis import strategies as st

from edgewise.bundle.policy import ByAttribute, ByPriority
from edgewise.candidates import OPEN, Catalogued, Gate, Pool, rule_scores
from edgewise.eligibility import Mask
from edgewise.features.compile import Rows
from edgewise.ids import ItemId
from edgewise.nearness import Places
from edgewise.request import Candidate

BUNDLE = world.bundle()
FEATURES = BUNDLE.features
POOL = BUNDLE.placements[world.HERO].pool


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
    assert len(pool.order("popularity")) == 0
    assert len(rule_scores(pool, pool.everything, ByAttribute("popularity"))) == 0


def test_a_gate_asks_a_test_only_of_those_who_passed_the_tests_before_it() -> None:
    asked: list[list[int]] = []

    def even(places: Places) -> Mask:
        asked.append(places.tolist())
        is_even: Mask = places % 2 == 0
        return is_even

    def nobody(places: Places) -> Mask:
        asked.append(places.tolist())
        return np.zeros(len(places), np.bool_)

    assert Gate([even, nobody, even]).passing(np.array([4, 3, 2])).tolist() == []
    assert asked == [[4, 3, 2], [4, 2]]
    assert OPEN.passing(np.array([4, 3])).tolist() == [4, 3]
    assert Gate([even], is_closed=True).passing(np.array([4, 3])).tolist() == []
