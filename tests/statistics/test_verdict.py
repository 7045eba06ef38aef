"""Verdicts: one word and a sentence, wait whenever something cannot be read."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.statistics.compare import Comparison, Method, compare
from hub.statistics.summary import EMPTY, Summary
from hub.statistics.verdict import Guardrail, Held, Word, guardrail, verdict


def arm(mean: float, *, n: int = 10_000, variance: float = 100.0) -> Summary:
    return Summary.from_sums(n, n * mean, variance * (n - 1) + n * mean * mean)


BETTER = compare(arm(10), arm(11))
WORSE = compare(arm(10), arm(9))
EVEN = compare(arm(10), arm(10.05))


def judged(found: Comparison, **how: object) -> Word:
    return verdict(found, metric="revenue", variant="B", control="A", **how).word  # type: ignore[arg-type]


def test_words() -> None:
    assert judged(BETTER) is Word.SHIP
    assert judged(WORSE) is Word.STOP
    assert judged(EVEN) is Word.WAIT


def test_the_sentence_names_lift_interval_and_arms() -> None:
    said = verdict(BETTER, metric="revenue", variant="B", control="A").sentence
    assert said.startswith("Ship: revenue of B is +10.00% against A (95% +7.12% to +12.95%")
    assert "which is better" in said


def test_less_is_better_where_it_is() -> None:
    assert judged(WORSE, higher_is_better=False) is Word.SHIP
    assert judged(BETTER, higher_is_better=False) is Word.STOP


@given(st.sampled_from([BETTER, WORSE, EVEN]), st.booleans())
def test_what_is_blocked_waits(found: Comparison, higher: bool) -> None:  # noqa: FBT001
    said = verdict(found, metric="revenue", variant="B", higher_is_better=higher, blocked=["the split is broken"])
    assert said.word is Word.WAIT
    assert "the split is broken" in said.sentence


def test_nobody_and_one_unit_wait() -> None:
    nobody = verdict(compare(arm(10), EMPTY), metric="revenue", variant="B")
    assert nobody.word is Word.WAIT
    assert "an arm has no units" in nobody.sentence
    one = verdict(compare(arm(10), Summary.from_sums(1, 10, 100)), metric="revenue", variant="B")
    assert one.word is Word.WAIT
    assert "fewer than two units" in one.sentence


def test_a_corrected_p_value_may_take_the_ship_away() -> None:
    found = compare(arm(10), arm(10.31))
    assert found.p_value < 0.05
    assert judged(found) is Word.SHIP
    assert judged(found, p_value=3 * found.p_value) is Word.WAIT


def test_a_lift_that_is_not_worth_it_stops() -> None:
    assert judged(EVEN, least_lift=0.1) is Word.STOP
    assert judged(EVEN, least_lift=0.01) is Word.WAIT
    assert judged(BETTER, least_lift=0.05) is Word.SHIP


def test_a_control_below_zero() -> None:
    """From -10 to -9 is better, although the relative lift is -10 %."""
    found = compare(arm(-10), arm(-9))
    assert found.relative_lift == pytest.approx(-0.1)
    assert judged(found) is Word.SHIP
    assert judged(compare(arm(-10), arm(-11))) is Word.STOP


def test_a_control_of_zero_is_judged_by_the_absolute_lift() -> None:
    assert judged(compare(arm(0.0), arm(1.0))) is Word.SHIP
    assert judged(compare(arm(0.0), arm(-1.0))) is Word.STOP


def test_bayesian_has_a_chance_instead() -> None:
    said = verdict(compare(arm(10), arm(11), method=Method.BAYESIAN), metric="revenue", variant="B")
    assert said.word is Word.SHIP
    assert "chance to be higher 100.0%" in said.sentence


@pytest.mark.parametrize(
    ("mean", "tolerated", "higher", "state"),
    [
        (10.0, 0.05, True, Held.HELD),
        (10.0, 0.01, True, Held.UNCLEAR),
        (9.0, 0.02, True, Held.BREACHED),
        (9.0, 0.02, False, Held.HELD),
        (11.0, 0.02, False, Held.BREACHED),
        (9.9, 0.0, True, Held.HELD),
        (9.0, 0.0, True, Held.BREACHED),
    ],
)
def test_a_guardrail_is_non_inferiority(mean: float, tolerated: float, higher: bool, state: Held) -> None:  # noqa: FBT001
    found = guardrail("latency", compare(arm(10), arm(mean)), tolerated=tolerated, higher_is_better=higher)
    assert found.state is state
    assert found.sentence.startswith("latency")


@pytest.mark.parametrize(
    ("mean", "higher", "state"),
    [
        (-20.0, True, Held.BREACHED),
        (-5.0, True, Held.HELD),
        (-20.0, False, Held.HELD),
        (-5.0, False, Held.BREACHED),
    ],
)
def test_a_guardrail_of_a_control_below_zero(mean: float, higher: bool, state: Held) -> None:  # noqa: FBT001
    """A loss that doubles is a relative lift of +100 %, and no gain."""
    found = guardrail("profit", compare(arm(-10), arm(mean)), higher_is_better=higher)
    assert found.state is state


def test_what_is_worth_it_below_zero() -> None:
    found = compare(arm(-10), arm(-9))
    assert judged(found, least_lift=0.05) is Word.SHIP
    assert judged(found, least_lift=0.5) is Word.STOP


def test_a_guardrail_without_an_interval_is_unclear() -> None:
    assert guardrail("latency", compare(arm(10), EMPTY)).state is Held.UNCLEAR


def test_guardrails_forbid() -> None:
    guards = {state: Guardrail(name="errors", state=state, tolerated=0.02, sentence="errors") for state in Held}
    assert judged(BETTER, guardrails=[guards[Held.HELD]]) is Word.SHIP
    assert judged(BETTER, guardrails=[guards[Held.HELD], guards[Held.UNCLEAR]]) is Word.WAIT
    assert judged(BETTER, guardrails=list(guards.values())) is Word.STOP
    assert judged(EVEN, guardrails=[guards[Held.BREACHED]]) is Word.STOP
    assert judged(WORSE, guardrails=[guards[Held.UNCLEAR]]) is Word.STOP


def test_nothing_in_it_is_a_nan_that_decides() -> None:
    unknown = compare(EMPTY, EMPTY)
    assert math.isnan(unknown.absolute_lift)
    assert judged(unknown, least_lift=0.1) is Word.WAIT


@pytest.mark.parametrize(
    ("harm", "state"),
    [(0, Held.HELD), (3, Held.UNCLEAR), (60, Held.BREACHED)],
)
def test_a_control_without_any_of_it_is_judged_by_what_the_variant_has(harm: int, state: Held) -> None:
    refunds = compare(Summary.from_sums(10_000, 0, 0), Summary.from_sums(10_000, harm, harm))
    assert guardrail("refunds", refunds, higher_is_better=False).state is state


def test_more_than_a_control_without_any_is_no_harm_where_more_is_better() -> None:
    sales = compare(Summary.from_sums(10_000, 0, 0), Summary.from_sums(10_000, 60, 60))
    assert guardrail("sales", sales).state is Held.HELD


def test_a_guardrail_is_breached_where_both_intervals_say_so() -> None:
    doubtful = msgspec.structs.replace(WORSE, absolute_high=0.1)
    assert guardrail("revenue", WORSE).state is Held.BREACHED
    assert guardrail("revenue", doubtful).state is Held.UNCLEAR
