"""What a log says of two policies together: true values are found, and flaws are figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from logged_world import small_world

from edgewise.errors import InputError
from hub.evaluation.logged import LoggedDecisions
from hub.evaluation.policies import Target, uniform
from hub.learning.evidence import OffPolicy
from hub.learning.off_policy import Watched, off_policy

ALPHA = 0.025


def said(log: LoggedDecisions, target: Target, champion: Target | None = None, **more: Any) -> OffPolicy:
    times = np.arange(log.rows, dtype=np.int64)
    made: dict[str, Any] = {
        "time_ms": times,
        "alpha": ALPHA,
        "rng": np.random.default_rng(1),
        "resamples": 1_000,
        **more,
    }
    return off_policy(log, target, champion, **made)


@pytest.fixture(scope="module")
def asked() -> tuple[LoggedDecisions, Target]:
    return small_world().log(6_000, np.random.default_rng(2))


def test_the_true_lift_lies_between_the_ends(asked: tuple[LoggedDecisions, Target]) -> None:
    world = small_world()
    log, target = asked
    found = said(log, target)
    lift = world.value(world.target) - world.value(world.logging)
    assert found.lift.low < lift < found.lift.high
    assert found.lift.low > 0, "the target prefers what pays"
    assert found.challenger - found.champion == pytest.approx(found.lift.estimate)
    assert found.champion == pytest.approx(float(log.reward.mean()))
    assert len(found.halves) == 2
    assert found.lift.low < found.halves[0].estimate < found.lift.high * 2


@pytest.mark.slow
def test_ends_are_missed_as_often_as_alpha_allows() -> None:
    """60 logs at 10 % an end: 12 misses expected; more than 22 or so has a chance of a thousandth (binomial)."""
    world = small_world()
    lift = world.value(world.target) - world.value(world.logging)
    misses = 0
    for seed in range(60):
        log, target = world.log(800, np.random.default_rng(seed))
        found = said(log, target, alpha=0.1, resamples=300)
        misses += not found.lift.low <= lift <= found.lift.high
    assert misses <= 22


def test_a_policy_has_no_lift_over_itself(asked: tuple[LoggedDecisions, Target]) -> None:
    log, target = asked
    found = said(log, target, target)
    assert (found.lift.estimate, found.lift.low, found.lift.high) == (0.0, 0.0, 0.0)
    assert (found.explores, found.choices) == (found.champion_explores, found.champion_choices)


def test_exploration_and_choices_are_those_of_the_target(asked: tuple[LoggedDecisions, Target]) -> None:
    log, _ = asked
    assert said(log, uniform(log)).explores == pytest.approx(1 - 1 / len(log.actions))
    one = Target("one", np.zeros(log.rows, np.int64), np.eye(len(log.actions))[:1], np.zeros(1))
    found = said(log, one)
    assert (found.explores, found.choices) == (0.0, 1.0)
    assert found.champion_choices > 1


def test_wrong_propensities_show_in_the_mean_weight(asked: tuple[LoggedDecisions, Target]) -> None:
    log, target = asked
    sound = said(log, target).mean_weights["challenger"]
    assert sound.low < 1 < sound.high
    halved = replace(log, propensity=log.propensity / 2)
    wrong = said(halved, target).mean_weights["challenger"]
    assert wrong.low > 1


def test_harm_to_a_segment_and_to_a_guardrail_is_a_figure(asked: tuple[LoggedDecisions, Target]) -> None:
    log, target = asked
    weights = target.of_logged(log) / log.propensity
    half = np.arange(log.rows) % 2 == 0
    reward = np.where(half, (weights > 1) * 1.0, (weights < 1) * 1.0)
    split = replace(log, reward=reward)
    mutes = Watched("mutes", np.where(weights > 1, 1.0, 0.0), 0.1, higher_is_better=False)
    found = said(split, target, segments={"half": np.where(half, "loves", "hates")}, guardrails=[mutes])
    by_name = {segment.name: segment for segment in found.segments}
    assert by_name["half=loves"].lift.low > 0
    assert by_name["half=hates"].lift.high < 0
    assert by_name["half=hates"].share == pytest.approx(0.5)
    (guardrail,) = found.guardrails
    assert guardrail.relative.high < 0


def test_a_million_weight_outlier_is_named_and_widens_the_interval(asked: tuple[LoggedDecisions, Target]) -> None:
    log, target = asked
    propensity = log.propensity.copy()
    propensity[0] = 1e-6
    found = said(replace(log, propensity=propensity), target)
    assert found.share_of_largest > 0.8
    assert found.refused
    assert found.max_weight > 1e4


@pytest.mark.parametrize("rows", [1, 2])
def test_a_log_of_hardly_any_rows_gives_no_finite_certainty(rows: int) -> None:
    log, target = small_world().log(rows, np.random.default_rng(4))
    found = said(log, target)
    assert not found.lift.low > 0
    assert found.refused


def test_a_log_without_rows_is_refused() -> None:
    log, target = small_world().log(0, np.random.default_rng(4))
    with pytest.raises(InputError, match="no logged row"):
        said(log, target)
