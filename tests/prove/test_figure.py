"""What a figure must be, and how a proof is told."""

from __future__ import annotations

import math

import msgspec
import pytest

from hub.prove.figure import NONE, Figure, Must, Proof, in_digits
from hub.prove.page import page
from hub.prove.words import as_object, failures, in_rows


@pytest.mark.parametrize(
    ("must", "holds", "fails"),
    [
        (Must("=", 2.0), 2.0, 2.1),
        (Must("<=", 1.5), 1.5, 1.51),
        (Must("<", 1.2), 1.19, 1.2),
        (Must(">=", 300.0), 300.0, 299.0),
    ],
)
def test_a_bound_holds_up_to_its_limit(must: Must, holds: float, fails: float) -> None:
    assert must.holds(holds)
    assert not must.holds(fails)


def test_what_could_not_be_measured_holds_no_bound() -> None:
    for must in (NONE, Must("<=", 0.0), Must("<", 1.0), Must(">=", 0.0)):
        assert not must.holds(math.nan)
    assert Figure("told for its own sake", math.nan).passed


@pytest.mark.parametrize(
    ("value", "written"), [(12_345.0, "12,345"), (0.0, "0"), (1.23456, "1.235"), (61.26, "61.3"), (math.nan, "-")]
)
def test_digits_are_as_many_as_a_reader_can_use(value: float, written: str) -> None:
    assert in_digits(value) == written


GOOD = Proof("kills", {"seed": 1, "kills": 4}, 9.0, [Figure("kill -9", 4.0), Figure("events lost", 0.0, must=NONE)])
BAD = Proof("swaps", {"seed": 1}, 9.0, [Figure("<mixed> answers", 2.0, must=NONE)], logs="/tmp/there")
ENDED = Proof("hub-away", {"seed": 1}, 9.0, failed="the hub did not start")
NOT_HERE = Proof("full-disk", {"seed": 1}, 0.1, not_run="no small tmpfs can be mounted here")


def test_one_figure_that_is_not_what_it_must_be_fails_its_proof() -> None:
    assert [proof.passed for proof in (GOOD, BAD, ENDED, NOT_HERE)] == [True, False, False, True]
    assert failures([GOOD, BAD, ENDED, NOT_HERE]) == [
        "swaps: <mixed> answers: 2, must be = 0",
        "swaps: logs are in /tmp/there",
        "hub-away: the hub did not start",
    ]


def test_rows_say_what_ran_what_came_of_it_and_why_nothing_did() -> None:
    assert in_rows(GOOD) == [
        ["kills", "seed 1, kills 4", "9 s", "", "pass"],
        ["", "kill -9", "4", "", ""],
        ["", "events lost", "0", "= 0", "pass"],
    ]
    whole = msgspec.structs.replace(GOOD, parameters={"whole_lab": True, "step_s": 4.0})
    assert in_rows(whole)[0][1] == "whole_lab yes, step_s 4"
    assert in_rows(NOT_HERE)[0][4] == "not run"
    assert in_rows(NOT_HERE)[1][1] == NOT_HERE.not_run
    assert in_rows(ENDED)[1][1] == ENDED.failed


def test_programs_get_the_same_with_null_where_nothing_is_demanded() -> None:
    told = as_object(GOOD)
    assert told["passed"] is True
    assert told["figures"][0]["must"] is None
    assert told["figures"][1] == {"what": "events lost", "value": 0.0, "unit": "", "must": "= 0", "passed": True}


def test_the_page_says_whether_all_is_well_and_takes_no_word_for_markup() -> None:
    assert "Every figure is what it must be." in page([GOOD, NOT_HERE])
    drawn = page([GOOD, BAD])
    assert "Not every figure" in drawn
    assert "&lt;mixed&gt; answers" in drawn
    assert "<mixed>" not in drawn
    assert "<script" not in drawn
