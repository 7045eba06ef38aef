"""Ids become codes in the order of the ids; a matrix counts a user's item once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import InputError
from hub.recommend.interactions import encode, matrix, sorted_ids

rows = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(["1", "2", "10", "9"])), min_size=1, max_size=40)


def test_integers_are_ordered_as_numbers_and_anything_else_as_text() -> None:
    assert sorted_ids(["10", "9", "1", "10"]) == ("1", "9", "10")
    assert sorted_ids(["10", "9", "x"]) == ("10", "9", "x")
    assert sorted_ids(["-3", "+2", "02", "2"]) == ("-3", "+2", "02", "2")


@given(rows)
def test_codes_point_back_to_the_ids(pairs: list[tuple[str, str]]) -> None:
    coded = encode([user for user, _ in pairs], [item for _, item in pairs])
    assert [(coded.users[u], coded.items[i]) for u, i in zip(coded.user, coded.item, strict=True)] == pairs


@given(rows)
def test_a_cell_is_one_however_often_the_pair_came(pairs: list[tuple[str, str]]) -> None:
    coded = encode([user for user, _ in pairs], [item for _, item in pairs])
    cells = matrix(coded, np.arange(len(coded))).toarray()
    expected = [[float((user, item) in pairs) for item in coded.items] for user in coded.users]
    assert cells.tolist() == expected


def test_weights_of_a_pair_add_up() -> None:
    coded = encode(["u", "u", "v"], ["1", "1", "2"], weight=[0.5, 2.0, 1.0])
    assert matrix(coded, np.arange(3)).toarray().tolist() == [[2.5, 0.0], [0.0, 1.0]]


def test_the_catalogue_adds_items_that_nobody_used() -> None:
    assert encode(["u"], ["2"], catalogue=["1", "3"]).items == ("1", "2", "3")


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused_with_its_row(bad: float) -> None:
    with pytest.raises(InputError, match=r"row 2: weight is .*, expected a number above 0"):
        encode(["u", "v"], ["1", "2"], weight=[1.0, bad])


def test_nothing_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="no interactions"):
        encode([], [])


def test_a_time_that_is_none_is_refused_with_its_row() -> None:
    with pytest.raises(InputError, match="row 1: time is nan"):
        encode(["u"], ["1"], time=[float("nan")])
