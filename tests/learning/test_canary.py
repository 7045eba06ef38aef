"""Few nodes first: which, and what is reason to take it back. Sure harm stops, doubt waits."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loop_world import PLAN

from edgewise.ids import BundleVersion, NodeId
from edgewise.reasons import State
from hub.learning.canary import CanarySeen, Group, Word, choose, degraded_above, judge_canary, reward_change
from hub.ledger.rows import NodeRow

N_A = NodeId("n-a")


def nodes(count: int, **changes: Any) -> list[NodeRow]:
    made = NodeRow(N_A, State.READY, BundleVersion(1), "", 1, True, 0, 0)
    return [msgspec.structs.replace(made, node=NodeId(f"n-{number}"), **changes) for number in range(count)]


def group(decisions: int, mean: float, *, degraded: int = 0, seed: int = 0) -> Group:
    """Visitors with two decisions each, whose rewards are drawn."""
    rewards = np.random.default_rng(seed).binomial(2, mean, size=decisions // 2).astype(np.float64)
    counts = np.full(len(rewards), 2.0)
    return Group(
        made=decisions,
        decisions=decisions,
        degraded=degraded,
        units=len(rewards),
        reward=float(rewards.sum()),
        reward_squares=float(rewards @ rewards),
        decision_squares=float(counts @ counts),
        products=float(rewards @ counts),
    )


def seen(**changes: Any) -> CanarySeen:
    said = CanarySeen(nodes=(N_A,), hours=3.0, canary=group(4_000, 0.2), others=group(8_000, 0.2, seed=1))
    return msgspec.structs.replace(said, **changes)


@given(count=st.integers(0, 40), share=st.floats(0.01, 0.5), turn=st.integers(1, 50))
def test_some_nodes_try_and_some_never_do(count: int, share: float, turn: int) -> None:
    chosen = choose(nodes(count), share, turn)
    assert chosen == choose(nodes(count)[::-1], share, turn), "the same whoever asks"
    assert len(chosen) == (0 if count < 2 else max(1, int(share * count)))
    assert len(chosen) < count or not chosen


def test_only_nodes_that_are_there_and_serve_are_chosen() -> None:
    assert choose(nodes(5, connected=False), 0.5, 1) == []
    assert choose(nodes(5, state=State.ERROR), 0.5, 1) == []
    turns = {tuple(choose(nodes(10), 0.1, turn)) for turn in range(1, 12)}
    assert len(turns) > 1, "not always the same visitors meet what is new"


def test_nothing_against_it_for_long_enough_is_ready() -> None:
    assert judge_canary(seen(), PLAN).word is Word.READY


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"hours": 1.0}, "1.0 of 2 hours"),
        ({"canary": Group()}, "0 of 1 decisions"),
        ({"silent": (N_A,)}, "n-a is not there"),
    ],
)
def test_too_little_waits(changes: dict[str, Any], reason: str) -> None:
    verdict = judge_canary(seen(**changes), PLAN)
    assert (verdict.word, verdict.reasons) == (Word.WAIT, (reason,))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"refusals": ("n-a: digest: torn",)}, "refused by n-a: digest: torn"),
        ({"errors": (N_A,)}, "n-a serves only the built-in fallback"),
        ({"canary": group(4_000, 0.2, degraded=400)}, "decisions without a model: +10.0%"),
        ({"canary": group(4_000, 0.1)}, "reward of a decision: -"),
        ({"canary": Group(made=400)}, "decisions that cannot be used: +99.7%"),
    ],
)
def test_sure_harm_stops_at_once(changes: dict[str, Any], reason: str) -> None:
    verdict = judge_canary(seen(hours=0.1, **changes), PLAN)
    assert verdict.word is Word.STOP
    assert reason in verdict.reasons[0]


def test_what_nobody_scrolled_to_is_no_harm_where_it_is_so_everywhere() -> None:
    unseen = {name: msgspec.structs.replace(getattr(seen(), name), made=40_000) for name in ("canary", "others")}
    unseen["others"] = msgspec.structs.replace(unseen["others"], made=80_000)
    assert judge_canary(seen(**unseen), PLAN).word is Word.READY


def test_harm_that_may_be_chance_does_not_stop() -> None:
    few = group(40, 0.1)
    assert reward_change(seen(canary=few)).estimate < -PLAN.canary_tolerated
    assert judge_canary(seen(canary=few), PLAN).word is Word.READY


def test_the_change_of_reward_is_found_and_covers_the_truth() -> None:
    change = reward_change(seen(canary=group(40_000, 0.3), others=group(40_000, 0.2, seed=1)))
    assert change.low < 0.5 < change.high
    assert change.high - change.low < 0.1


@pytest.mark.parametrize("empty", [Group(), group(2, 0.5)])
def test_with_nothing_to_compare_nothing_is_known(empty: Group) -> None:
    assert np.isnan(reward_change(seen(canary=empty)).estimate)
    assert np.isnan(reward_change(seen(others=empty)).estimate)
    assert degraded_above(seen(canary=Group())).low < 0 < degraded_above(seen(canary=Group())).high
