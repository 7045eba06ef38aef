"""When a log can tell, when only with a warning, and when not at all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.evaluation.logged import Floats
from hub.evaluation.verdict import Judgement, Verdict, judge, overlap


def judged(weights: Floats, rewards: Floats | None = None, unsupported: float = 0.0) -> Judgement:
    rows = len(weights)
    return judge(overlap(weights, np.ones(rows) if rewards is None else rewards, np.full(rows, unsupported)))


def test_a_log_that_covers_the_target_is_ok() -> None:
    rng = np.random.default_rng(1)
    assert judged(rng.choice([0.5, 1.5], size=5_000)) == Judgement(Verdict.OK, ())


def test_one_decision_with_most_of_the_weight_is_refused_by_both_numbers() -> None:
    weights = np.append(np.ones(9_999), 21_739.0)
    verdict, (reason, _) = judged(weights)
    assert verdict is Verdict.REFUSED
    assert "effective sample size 2 of 10,000" in reason
    assert "largest weight 21,739" in reason


def test_a_million_weight_outlier_in_a_large_log_is_refused() -> None:
    # the effective sample size alone, 81, would pass
    weights = np.append(np.ones(8_000_000), 1_000_000.0)
    verdict, (reason,) = judged(weights)
    assert verdict is Verdict.REFUSED
    assert reason.startswith("largest weight 1,000,000, 11% of all weight in one decision")


def test_a_policy_that_shows_nothing_of_the_log_is_refused() -> None:
    verdict, (reason,) = judged(np.zeros(500), unsupported=1.0)
    assert verdict is Verdict.REFUSED
    assert reason == "none of the 500 logged actions would ever be shown by this policy"


def test_missing_support_is_refused_then_warned_of() -> None:
    weights = np.ones(5_000)
    verdict, reasons = judged(weights * 0.8, unsupported=0.2)
    assert verdict is Verdict.REFUSED
    assert "20.0% of the policy's choices" in reasons[0]
    verdict, reasons = judged(weights * 0.95, unsupported=0.05)
    assert verdict is Verdict.WARN
    assert "IPS misses what they would earn" in reasons[0]


@pytest.mark.parametrize(
    ("weights", "rewards", "words"),
    [
        (np.ones(400), None, "effective sample size 400 of 400"),
        (np.repeat([80.0, 0.0], [600, 47_400]), None, "effective sample size 600 of 48,000"),
        (np.append(np.ones(9_900), 150.0), None, "largest weight 150, 1% of all weight"),
        (np.ones(10_000), np.repeat([1.0, 0.0], [20, 9_980]), "few rewarded decisions: effectively 20.0"),
        (np.full(10_000, 1.5), None, "weights average 1.500, expected 1.000"),
    ],
)
def test_warnings(weights: Floats, rewards: Floats | None, words: str) -> None:
    verdict, reasons = judged(weights, rewards)
    assert verdict is Verdict.WARN
    assert any(words in reason for reason in reasons), reasons


@given(st.integers(1, 60))
def test_a_small_log_is_refused_below_thirty_however_well_it_covers_the_target(rows: int) -> None:
    assert judged(np.ones(rows)).verdict is (Verdict.REFUSED if rows < 30 else Verdict.WARN)


@pytest.mark.parametrize(("rewarded", "verdict"), [(0, Verdict.REFUSED), (3, Verdict.REFUSED), (4, Verdict.WARN)])
def test_a_log_with_hardly_a_reward_is_refused(rewarded: int, verdict: Verdict) -> None:
    found = judged(np.ones(10_000), np.repeat([1.0, 0.0], [rewarded, 10_000 - rewarded]))
    assert found.verdict is verdict
    assert found.reasons[0].startswith(f"few rewarded decisions: effectively {rewarded}.0")


def test_a_thousand_rows_of_ten_users_are_ten() -> None:
    user = np.arange(1_000) % 10
    verdict, (reason, *_) = judge(overlap(np.ones(1_000), np.ones(1_000), np.zeros(1_000), user, unit_name="user"))
    assert verdict is Verdict.REFUSED
    assert reason.startswith("effective sample size 10 of 10 users, below 30")


def test_weights_that_go_together_within_a_user_raise_no_alarm_about_propensities() -> None:
    user = np.repeat(np.arange(100), 200)
    weights = np.repeat([0.2, 1.8], [44, 56])[user]
    alarm = "the logged propensities may be wrong"
    alone, together = (
        judge(overlap(weights, np.ones(20_000), np.zeros(20_000), unit)).reasons for unit in (None, user)
    )
    assert any(alarm in reason for reason in alone)
    assert not any(alarm in reason for reason in together)


def test_cautions_turn_ok_into_warn_and_leave_a_refusal_alone() -> None:
    assert Judgement(Verdict.OK, ()).with_cautions(["x"]) == Judgement(Verdict.WARN, ("x",))
    assert Judgement(Verdict.WARN, ("a",)).with_cautions(["x"]) == Judgement(Verdict.WARN, ("a", "x"))
    assert Judgement(Verdict.OK, ()).with_cautions([]) == Judgement(Verdict.OK, ())
    assert Judgement(Verdict.REFUSED, ("a",)).with_cautions(["x"]) == Judgement(Verdict.REFUSED, ("a",))


def test_rounded_propensities_of_a_uniform_log_raise_no_alarm() -> None:
    assert judged(np.full(10_000, (1 / 3) / 0.333)).verdict is Verdict.OK
