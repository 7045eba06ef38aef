"""The gate: whatever single thing speaks against a challenger stops it, and only proof recommends it."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loop_world import HOUR_MS, PLAN, evidence, off_policy_said

from hub.learning.evidence import (
    DataEvidence,
    GateEvidence,
    GuardrailEvidence,
    HeldOut,
    Interval,
    OffPolicy,
    ParityEvidence,
    SegmentEvidence,
)
from hub.learning.gate import alpha_of_look, is_too_old, judge

BETTER, WORSE = Interval(0.03, 0.01, 0.05), Interval(-0.03, -0.05, -0.01)


def told(made: GateEvidence) -> tuple[bool, str]:
    verdict = judge(made, PLAN.gate)
    assert verdict.recommend is not bool(verdict.against)
    return verdict.recommend, "\n".join(verdict.against)


def log(**changes: Any) -> GateEvidence:
    return evidence(off_policy=off_policy_said(**changes))


def data(**changes: Any) -> GateEvidence:
    said: DataEvidence = msgspec.structs.replace(evidence().data, **changes)
    return evidence(data=said)


def test_a_proven_lift_with_nothing_against_it_is_recommended() -> None:
    verdict = judge(evidence(), PLAN.gate)
    assert verdict.recommend
    assert verdict.in_favour == (
        "lift +0.03 [+0.01, +0.05] on 0.1 by the log of 4,000 users, in both halves of the time",
    )


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (evidence(parity=None), "nobody has compared"),
        (evidence(parity=ParityEvidence(0, 0, 0.0)), "nobody has compared"),
        (evidence(parity=ParityEvidence(9, 1, 0.3)), "1 of 9 rows otherwise"),
        (evidence(parity=ParityEvidence(9, 0, 0.0, finite=0.9)), "10.0% of its scores are no numbers"),
        (data(new=4), "4 new"),
        (data(newest_ms=0), "1,000 hours old"),
        (data(newest_ms=1_001 * HOUR_MS), "a clock is wrong"),
        (data(waiting=0.1), "may still come"),
        (data(dropped=0.5), "50% of the decisions could not be used"),
        (data(dropped=nan), "could not be used"),
        (data(learned=0.01), "it has learned from 1%"),
        (data(skewed=("popularity",)), "nodes serve popularity otherwise"),
        (evidence(held_out=HeldOut("hit_rate@10", 50, above_champion=WORSE)), "surely below the champion"),
        (evidence(held_out=HeldOut("hit_rate@10", 50, above_rule=WORSE)), "surely below the rule"),
        (evidence(held_out=HeldOut("hit_rate@10", 50, learned=0.9, value=0.2)), "knows its lessons by heart"),
        (evidence(off_policy=None, no_off_policy="nothing was logged"), "nothing was logged"),
        (log(lift=Interval(0.03, -0.001, 0.06)), "not surely above 0"),
        (log(lift=Interval(nan, nan, nan)), "lift unknown"),
        (log(halves=()), "each half of the time"),
        (log(halves=(WORSE, BETTER)), "none in the earlier half"),
        (log(halves=(BETTER, Interval(nan, nan, nan))), "none in the later half"),
        (log(alpha=0.04), "its interval misses with 0.04"),
        (log(refused=("effective sample size 2",)), "effective sample size 2"),
        (log(ess=50.0), "effective sample size 50 of 4,000"),
        (log(ess=nan), "effective sample size nan"),
        (log(share_of_largest=0.2), "20% of all weight in one user"),
        (log(largest_reward_share=0.2), "20% of all reward comes of one user"),
        (log(unsupported=0.3), "30% of what it would show was never shown"),
        (log(mean_weights={"challenger": Interval(1.6, 1.5, 1.7)}), "propensities are wrong"),
        (log(mean_weights={"champion": Interval(0.6, 0.5, 0.7)}), "weights of the champion average 0.600"),
        (log(undecided=0.9), "tells no two candidates apart"),
        (log(explores=0.01), "the next turn could learn nothing"),
        (log(choices=1.0), "everybody would see the same"),
        (log(segments=(SegmentEvidence("device.type=mobile", 0.4, WORSE),)), "device.type=mobile, 40% of the log"),
        (log(guardrails=(GuardrailEvidence("refunds", Interval(-0.2, -0.39, -0.01), 0.05),)), "surely worse: -20.0%"),
        (log(guardrails=(GuardrailEvidence("refunds", Interval(-0.02, -0.06, 0.02), 0.05),)), "is not ruled out"),
        (log(guardrails=(GuardrailEvidence("refunds", Interval(nan, nan, nan), 0.05),)), "guardrail refunds"),
        (evidence(flags=("flag 3: it stands there again",)), "flag 3"),
    ],
)
def test_each_thing_alone_stops_it_and_says_its_figure(made: GateEvidence, reason: str) -> None:
    recommend, against = told(made)
    assert not recommend
    assert reason in against


def test_harm_to_few_and_harm_that_may_be_chance_do_not_stop_it() -> None:
    few = SegmentEvidence("geo.country=SM", 0.01, WORSE)
    chance = SegmentEvidence("device.type=mobile", 0.4, Interval(-0.01, -0.03, 0.01))
    assert told(log(segments=(few, chance)))[0]


def test_a_guardrail_that_a_log_cannot_tell_is_a_caution() -> None:
    rare = GuardrailEvidence("refunds", Interval(-0.02, -0.4, 0.36), 0.05)
    verdict = judge(log(guardrails=(rare,)), PLAN.gate)
    assert verdict.recommend
    assert verdict.cautions == (
        "guardrail refunds: -2.0% [-40.0%, +36.0%]; a change below -5.0% cannot be told from chance by this log",
    )


def test_the_same_model_with_newer_data_need_not_be_better_only_not_worse() -> None:
    same = Interval(0.0, -0.001, 0.001)
    fresh = evidence(is_refresh=True, off_policy=off_policy_said(lift=same))
    assert told(fresh)[0]
    assert not told(msgspec.structs.replace(fresh, is_refresh=False))[0]
    worse = off_policy_said(lift=Interval(-0.004, -0.006, -0.002))
    assert "2% less" in told(msgspec.structs.replace(fresh, off_policy=worse))[1]
    no_rule = HeldOut("hit_rate@10", 40, above_rule=Interval(0.01, -0.01, 0.03))
    assert "expected surely more" in told(msgspec.structs.replace(fresh, held_out=no_rule))[1]
    assert "compared it with the rule" in told(msgspec.structs.replace(fresh, held_out=None))[1]


def test_looks_spend_no_more_than_all_of_alpha() -> None:
    spent = sum(alpha_of_look(0.01, look) for look in range(1, 10_000))
    assert 0.0099 < spent <= 0.01
    second = off_policy_said(alpha=alpha_of_look(PLAN.gate.alpha, 2))
    assert told(evidence(looks=2, off_policy=second))[0]
    assert not told(evidence(looks=3, off_policy=second))[0]


def test_a_candidate_is_too_old_after_the_stale_hours() -> None:
    limit_ms = round(PLAN.gate.stale_hours * HOUR_MS)
    assert not is_too_old(0, limit_ms, PLAN.gate)
    assert is_too_old(0, limit_ms + 1, PLAN.gate)


NUMBERS = st.sampled_from([nan, inf, -inf, 0.0, -1.0, 1.0, 1e9])


@given(field=st.sampled_from(["ess", "share_of_largest", "largest_reward_share", "unsupported"]), value=NUMBERS)
def test_no_figure_that_is_no_number_ever_recommends(field: str, value: float) -> None:
    recommend, _ = told(log(**{field: value}))
    if value != value or (field == "ess" and value < PLAN.gate.least_ess):  # noqa: PLR0124  # NaN
        assert not recommend


@given(low=NUMBERS, estimate=NUMBERS)
def test_only_a_low_end_above_zero_recommends(low: float, estimate: float) -> None:
    recommend, _ = told(log(lift=Interval(estimate, low, inf)))
    assert recommend is (low > 0)


def test_whatever_speaks_against_it_adds_up() -> None:
    def both(change: Callable[[OffPolicy], OffPolicy]) -> int:
        return len(judge(evidence(off_policy=change(off_policy_said())), PLAN.gate).against)

    assert both(lambda said: said) == 0
    assert both(lambda said: msgspec.structs.replace(said, ess=1.0, undecided=1.0, lift=WORSE)) == 3
