"""Each row lands in exactly one part, by the rule that was asked for."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import InputError
from hub.recommend.interactions import Interactions, encode
from hub.recommend.split import (
    FileSplit,
    LeaveOneOut,
    PerUserSplit,
    RandomSplit,
    TimeSplit,
    divide,
    parse_split,
)

SPLITS = ("random:0.3:1", "per-user:0.25:2", "per-user:0.2,0.2:3", "leave-one-out", "time:0.6")


@st.composite
def histories(draw: st.DrawFn) -> Interactions:
    """At least ten rows of one user, so that each of `SPLITS` finds something for every part."""
    users = draw(st.permutations(["2"] * 10 + draw(st.lists(st.sampled_from(["1", "2", "3", "10"]), max_size=40))))
    times = draw(st.lists(st.integers(0, 5), min_size=len(users), max_size=len(users)))
    return encode(users, [str(row) for row in range(len(users))], time=times)


def test_every_syntax_is_understood() -> None:
    assert parse_split("random:0.2") == RandomSplit(0.2, 0)
    assert parse_split("random:0.2", seed=7) == RandomSplit(0.2, 7)
    assert parse_split("random:0.2:3", seed=7) == RandomSplit(0.2, 3)
    assert parse_split("per-user:0.25:1") == PerUserSplit(0.25, None, 1)
    assert parse_split("per-user:0.1,0.2:4") == PerUserSplit(0.1, 0.2, 4)
    assert parse_split("leave-one-out") == LeaveOneOut()
    assert parse_split("time:0.8") == TimeSplit(0.8)
    assert parse_split("file:a:b.csv") == FileSplit(Path("a:b.csv"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "random",
        "random:",
        "random:0",
        "random:1",
        "random:nan",
        "random:x",
        "random:0.2:-1",
        "random:0.2:x",
        "random:0.2:",
        "random:0.1,0.1",
        "per-user:0.6,0.4",
        "per-user:0.1,0.1,0.1",
        "time:0.8:3",
        "leave-one-out:2",
        "file:",
        "week:1",
    ],
)
def test_anything_else_is_refused_with_the_syntax(text: str) -> None:
    with pytest.raises(InputError, match="per-user:TEST,VALID"):
        parse_split(text)


@pytest.mark.parametrize("text", SPLITS)
@given(histories())
def test_the_parts_are_a_partition(text: str, history: Interactions) -> None:
    divided = divide(history, parse_split(text))
    assert sorted(np.concatenate(divided).tolist()) == list(range(len(history)))


def test_a_row_is_train_when_its_draw_in_file_order_is_below_the_share() -> None:
    history = encode(["u"] * 1_000, [str(row) for row in range(1_000)])
    divided = divide(history, parse_split("random:0.2:3"))
    draws = np.random.default_rng(3).random(1_000)
    assert divided.train.tolist() == [row for row in range(1_000) if draws[row] < 1 - 0.2]


@given(histories())
def test_per_user_shuffles_the_users_in_order_with_one_generator(history: Interactions) -> None:
    generator = np.random.default_rng(5)
    train: list[int] = []
    test: list[int] = []
    for user in sorted(set(history.user.tolist())):
        rows = np.flatnonzero(history.user == user)
        generator.shuffle(rows)
        train += rows[: round(0.75 * len(rows))].tolist()
        test += rows[round(0.75 * len(rows)) :].tolist()
    divided = divide(history, parse_split("per-user:0.25:5"))
    assert (divided.train.tolist(), divided.test.tolist()) == (train, test)


@given(histories())
def test_leave_one_out_tests_the_latest_row_of_everybody_who_has_two(history: Interactions) -> None:
    assert history.time is not None
    latest = set()
    for user in set(history.user.tolist()):
        rows = np.flatnonzero(history.user == user).tolist()
        if len(rows) > 1:
            latest.add(max(rows, key=lambda row: (history.time[row], row)))  # type: ignore[index]
    assert set(divide(history, LeaveOneOut()).test.tolist()) == latest


def test_leave_one_out_without_times_takes_the_last_row() -> None:
    assert divide(encode(["u", "u", "v"], ["1", "2", "1"]), LeaveOneOut()).test.tolist() == [1]


def test_time_keeps_file_order_among_equals() -> None:
    history = encode(["u"] * 5, list("abcde"), time=[3, 1, 3, 1, 2])
    divided = divide(history, parse_split("time:0.6"))
    assert (divided.train.tolist(), divided.test.tolist()) == ([1, 3, 4], [0, 2])


def test_time_without_times_is_refused() -> None:
    with pytest.raises(InputError, match="--time"):
        divide(encode(["u", "u"], ["1", "2"]), parse_split("time:0.5"))


def test_the_rows_of_the_test_file_are_test() -> None:
    history = encode(["u", "u", "v"], ["1", "2", "1"])
    divided = divide(history, FileSplit(Path("test.csv")), first_of_file=2)
    assert (divided.train.tolist(), divided.valid.tolist(), divided.test.tolist()) == ([0, 1], [], [2])


def test_a_part_that_stays_empty_is_refused() -> None:
    history = encode(["u", "v"], ["1", "2"], time=[1, 2])
    with pytest.raises(InputError, match="to judge by"):
        divide(history, LeaveOneOut())
    with pytest.raises(InputError, match="to learn from"):
        divide(history, parse_split("time:0.1"))
