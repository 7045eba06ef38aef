"""Outcomes find the slot that they belong to, count in time; whatever is wrong counts for nothing, visibly."""

from hub_records import NOW_MS
from rewards_world import HOUR_MS, join, said, shown

from edgewise.bundle.policy import RewardDefinition
from hub.rewards.joined import RowState


def test_a_click_that_names_its_decision_is_the_reward_of_the_slot() -> None:
    """The other slots of the slate get the default."""
    made = shown(1, "a", "b", "c", propensity=0.5)
    given = join([made], [said(1, "Content Clicked", "b", at_ms=made.time_ms + 5_000, of=made)])

    assert given.item == ("a", "b", "c")
    assert given.slot.tolist() == [1, 2, 3]
    assert given.reward.tolist() == [0, 1, 0]
    assert given.joint_propensity.tolist() == [0.125] * 3
    assert set(given.state) == {RowState.SETTLED}
    assert (given.counts.made, given.counts.shown, given.counts.rewarded) == (1, 1, 1)


def test_what_comes_after_the_wait_is_kept_beside_the_reward() -> None:
    """It makes the row late, and no richer."""
    made = shown(1, "a")
    definition = RewardDefinition({"click": 1.0}, wait_hours=1)
    late = said(1, "Content Clicked", "a", at_ms=made.time_ms + HOUR_MS + 1, of=made)
    given = join([made], [late], definition)

    assert given.reward.tolist() == [0]
    assert given.state == (RowState.LATE,)
    assert [outcome.message_id for outcome in given.late[0]] == ["m1"]


def test_a_decision_waits_until_its_wait_is_over() -> None:
    """At its last millisecond something may still come."""
    made = shown(1, "a")
    over_ms = made.time_ms + 24 * HOUR_MS

    assert join([made], [], now_ms=over_ms).state == (RowState.WAITING,)
    assert join([made], [], now_ms=over_ms + 1).state == (RowState.SETTLED,)
    assert over_ms > NOW_MS
