"""Outcomes find the slot that they belong to, count in time; whatever is wrong counts for nothing, visibly."""

import math
from typing import Any

import msgspec
import pytest
from hub_records import NOW_MS
from rewards_world import ASIDE, CLICKS, HOME, HOUR_MS, join, said, shown

from edgewise.bundle.rewards import RewardDefinition, Worth
from edgewise.ids import DecisionId, ItemId, PlacementName, SubjectId
from edgewise.records import DecisionRecord
from hub.rewards.definition import CLICKED, NO_ITEM
from hub.rewards.joined import RowState

OTHER = SubjectId("7" * 32)


def test_a_click_that_names_its_decision_is_the_reward_of_the_slot() -> None:
    """The other slots of the slate get the default."""
    made = shown(1, "a", "b", "c", propensity=0.5)
    found = join([made], [said(1, "Content Clicked", "b", at_ms=made.time_ms + 5_000, of=made)])

    assert found.item == ("a", "b", "c")
    assert found.slot.tolist() == [1, 2, 3]
    assert found.reward.tolist() == [0, 1, 0]
    assert found.joint_propensity.tolist() == [0.125] * 3
    assert set(found.state) == {RowState.SETTLED}
    assert (found.counts.made, found.counts.shown, found.counts.rewarded) == (1, 1, 1)


def test_what_comes_after_the_wait_is_kept_beside_the_reward() -> None:
    """It makes the row late, and no richer."""
    made = shown(1, "a")
    definition = RewardDefinition({"click": 1.0}, wait_hours=1)
    late = said(1, "Content Clicked", "a", at_ms=made.time_ms + HOUR_MS + 1, of=made)
    found = join([made], [late], definition)

    assert found.reward.tolist() == [0]
    assert found.state == (RowState.LATE,)
    assert [outcome.message_id for outcome in found.late[0]] == ["m1"]
    assert found.is_learnable.tolist() == [True]


def test_a_decision_waits_until_its_wait_is_over() -> None:
    """At its last millisecond something may still come; until then nothing is learned from it."""
    made = shown(1, "a")
    over_ms = made.time_ms + 24 * HOUR_MS
    waiting, settled = join([made], [], now_ms=over_ms), join([made], [], now_ms=over_ms + 1)

    assert (waiting.state, waiting.counts.waiting) == ((RowState.WAITING,), 1)
    assert (settled.state, settled.counts.waiting) == ((RowState.SETTLED,), 0)
    assert waiting.is_learnable.tolist() == [False]


def test_an_order_without_a_decision_goes_to_the_last_place_where_the_visitor_saw_the_item() -> None:
    """Of two placements the later one; nobody else's exposure, no other item's, and none older than the window."""
    first, second = shown(1, "a", "b"), shown(60, "b", placement=ASIDE)
    another = shown(90, "b", subject=OTHER)
    order = said(1, "Order Completed", "a", "b", at_ms=NOW_MS + HOUR_MS)
    definition = RewardDefinition({"order": 10.0})

    home = join([first, second, another], [order], definition)
    aside = join([first, second, another], [order], definition, placement=ASIDE)
    assert home.reward.tolist() == [10, 0, 0]
    assert aside.reward.tolist() == [10]

    short = RewardDefinition({"order": 10.0}, window_hours=0.5)
    assert join([first, second], [order], short).reward.tolist() == [0, 0]


def test_windows_and_waits_hold_their_last_millisecond() -> None:
    """What happens in the moment of showing counts, and what happens when the time is just over."""
    made = shown(1, "a")
    definition = RewardDefinition({"order": 10.0}, window_hours=1, wait_hours=2)
    orders = {
        after_ms: said(1, "Order Completed", "a", at_ms=made.time_ms + after_ms)
        for after_ms in (-1, 0, HOUR_MS, HOUR_MS + 1)
    }
    found = {after_ms: join([made], [order], definition).reward.tolist() for after_ms, order in orders.items()}
    assert found == {-1: [0], 0: [10], HOUR_MS: [10], HOUR_MS + 1: [0]}

    named = {
        after_ms: join([made], [said(1, "Order Completed", "a", at_ms=made.time_ms + after_ms, of=made)], definition)
        for after_ms in (2 * HOUR_MS, 2 * HOUR_MS + 1)
    }
    assert [each.reward.tolist() for each in named.values()] == [[10], [0]]


def test_a_product_of_an_order_that_its_decision_did_not_show_is_looked_for_elsewhere() -> None:
    """The decision that a visitor clicked through is named by the whole cart."""
    first, second = shown(1, "a"), shown(2, "b")
    order = said(1, "Order Completed", "a", "b", "c", at_ms=NOW_MS + HOUR_MS, of=second)

    assert join([first, second], [order], RewardDefinition({"order": 1.0})).reward.tolist() == [1, 1]


def test_a_refund_takes_off_the_order_that_it_undoes() -> None:
    """Even where the item was shown again since; with no order before it, it takes nothing off."""
    first, again = shown(1, "a"), shown(7_200, "a")
    order = said(1, "Order Completed", "a", at_ms=NOW_MS + HOUR_MS, touch={"value_minor": 1_500})
    refund = said(2, "Order Refunded", "a", at_ms=NOW_MS + 3 * HOUR_MS, touch={"value_minor": 500})
    definition = RewardDefinition({"order": Worth(per_minor=0.01), "refund": Worth(per_minor=-0.01)})

    assert join([first, again], [order, refund], definition).reward.tolist() == [10, 0]
    assert join([first, again], [refund], definition).reward.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("aggregate", "reward"), [("sum", 14), ("earliest", 1), ("latest", 3), ("max", 10), ("mean", 14 / 3)]
)
def test_several_outcomes_become_one_number(aggregate: Any, reward: float) -> None:
    made = shown(1, "a")
    came = [
        said(1, "Product Added", "a", at_ms=made.time_ms + 30_000, of=made),
        said(2, "Order Completed", "a", at_ms=made.time_ms + 20_000, of=made),
        said(3, "Content Clicked", "a", at_ms=made.time_ms + 10_000, of=made),
    ]
    definition = RewardDefinition({"click": 1.0, "add": 3.0, "order": 10.0}, aggregate=aggregate)
    found = join([made], came, definition)

    assert found.reward.tolist() == [pytest.approx(reward)]
    assert found.parts == ({"click": 1.0, "order": 10.0, "add": 3.0},)


def test_without_a_definition_a_second_click_adds_nothing() -> None:
    made = shown(1, "a")
    twice = [said(number, "Content Clicked", "a", at_ms=made.time_ms + number, of=made) for number in (1, 2)]
    assert join([made], twice, CLICKED).reward.tolist() == [1]


def test_an_events_own_name_goes_before_its_kind() -> None:
    """A wishlist is an `add`, and worth less here."""
    made = shown(1, "a", "b")
    definition = RewardDefinition({"add": 3.0, "Product Added to Wishlist": 1.0, "Signed Up": 5.0})
    came = [
        said(1, "Product Added", "a", at_ms=made.time_ms, of=made),
        said(2, "Product Added to Wishlist", "b", at_ms=made.time_ms, of=made),
    ]
    assert join([made], came, definition).reward.tolist() == [3, 1]


def test_an_outcome_without_item_counts_where_one_item_was_shown() -> None:
    """Of several nobody can tell which brought it about."""
    one, several = shown(1, "a"), shown(2, "a", "b")
    definition = RewardDefinition({"Signed Up": 5.0})
    signed = [said(each.seq, "Signed Up", at_ms=each.time_ms + 9, of=each) for each in (one, several)]
    found = join([one, several], signed, definition)

    assert found.reward.tolist() == [5, 0, 0]
    assert found.counts.bad == {"no-item": 1}


def test_money_of_another_currency_and_reviews_with_few_stars_are_worth_nothing() -> None:
    made = shown(1, "a", "b")
    definition = RewardDefinition({"order": Worth(per_minor=1.0), "review": Worth(each=1.0, at_least=4)})
    came = [
        said(1, "Order Completed", "a", at_ms=made.time_ms, of=made, currency="JPY", touch={"value_minor": 900}),
        said(2, "Product Reviewed", "a", at_ms=made.time_ms, of=made, touch={"rating": 3.0}),
        said(3, "Product Reviewed", "b", at_ms=made.time_ms, of=made, touch={"rating": 4.0}),
    ]
    assert join([made], came, definition).reward.tolist() == [0, 1]


def test_a_deferred_decision_counts_from_its_activation() -> None:
    """It was shown then, and its wait begins then; without an activation it was not shown."""
    deferred = shown(1, "a", deferred=True)
    seen = said(1, "Promotion Viewed", at_ms=deferred.time_ms + 2 * HOUR_MS, of=deferred)
    click = said(2, "Content Clicked", "a", at_ms=deferred.time_ms + 2 * HOUR_MS + 9, of=deferred)
    definition = RewardDefinition({"click": 1.0}, wait_hours=1)
    found = join([deferred], [seen, click], definition)

    assert found.reward.tolist() == [1]
    assert (found.exposed_ms - found.time_ms).tolist() == [2 * HOUR_MS]
    assert found.deferred.tolist() == [True]
    hidden = join([deferred], [click], definition)
    assert len(hidden) == 0
    assert hidden.counts.dropped == {"not-shown": 1}
    assert hidden.counts.bad == {"decision-left-out": 1}


def test_what_activates_a_decision_is_no_outcome_of_it() -> None:
    deferred = shown(1, "a", deferred=True)
    seen = said(1, "Content Viewed", "a", at_ms=deferred.time_ms + 9, of=deferred)
    again = said(2, "Content Viewed", "a", at_ms=deferred.time_ms + 99, of=deferred)

    assert join([deferred], [seen, again], RewardDefinition({"view": 1.0})).reward.tolist() == [1]


def test_a_slate_that_ends_on_purpose_has_a_row_for_its_end() -> None:
    """The end was chosen with a probability, so it is an action; a slate that was never ours was certain."""
    made = shown(1, "a", propensity=0.5)
    logged = msgspec.json.decode(made.decision)
    logged["placements"][HOME]["nothing"] = {"rank": 2, "reason": "MODEL", "score": 0.1, "propensity": 0.25}
    ended = msgspec.structs.replace(made, decision=msgspec.json.encode(logged))
    external = shown(2)
    click = said(1, "Content Clicked", "theirs", at_ms=external.time_ms + 9, of=external)
    found = join([ended, external], [click])

    assert found.item == ("a", NO_ITEM, NO_ITEM)
    assert found.propensity.tolist() == [0.5, 0.25, 1]
    assert found.joint_propensity.tolist() == [0.125, 0.125, 1]
    assert found.reward.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("propensity", "why"),
    [(0.0, "propensity-0"), (-0.1, "propensity-0"), (1.5, "propensity-above-1"), (None, "propensity-missing")],
)
def test_a_decision_with_an_impossible_propensity_is_counted_and_left_out(propensity: float | None, why: str) -> None:
    """With all its slots: what one of them says of the slate is not known."""
    made, good = shown(1, "a", "b", propensity=propensity), shown(2, "a")
    click = said(1, "Content Clicked", "a", at_ms=made.time_ms + 9, of=made)
    found = join([made, good], [click])

    assert found.decision_id == (good.decision_id,)
    assert found.counts.dropped == {why: 1}
    assert found.counts.bad == {"decision-left-out": 1}
    assert found.counts.made == 2


def test_a_propensity_that_is_no_number_and_a_damaged_decision_are_counted() -> None:
    without = msgspec.structs.replace(shown(1, "a"), decision=shown(1, "a").decision.replace(b',"propensity":0.5', b""))
    damaged = msgspec.structs.replace(shown(2, "a"), decision=b"\xff{")
    not_a_number = shown(3, "a", propensity=math.nan)

    assert join([without, damaged, not_a_number], []).counts.dropped == {"damaged": 1, "propensity-missing": 2}


@pytest.mark.parametrize("probability", [0.0, -0.5, 1.5, math.nan])
def test_a_decision_that_stands_for_nobody_knows_how_many_is_left_out(probability: float) -> None:
    made, good = shown(1, "a", learning_probability=probability), shown(2, "a", learning_probability=0.5)
    found = join([made, good], [])

    assert found.decision_id == (good.decision_id,)
    assert found.counts.dropped == {"learning-probability": 1}


def test_a_placement_that_no_template_could_show_whole_teaches_nothing() -> None:
    """Another placement of the same decision does."""
    made = shown(1, "a", "b", others={ASIDE: ("c",)}, unrendered={PlacementName(HOME): (ItemId("b"),)})
    found = join([made], [])
    assert (found.item, found.counts.dropped) == ((), {"unrendered": 1})
    assert join([made], [], placement=ASIDE).item == ("c",)


@pytest.mark.parametrize(
    "damage", [(b'"rank":1', b'"rank":1099511627776'), (b'"rank":1', b'"rank":-1'), (b"0.5", b'"half"'), (b"{", b"[")]
)
def test_a_record_of_a_shape_that_no_node_writes_is_counted(damage: tuple[bytes, bytes]) -> None:
    made, good = shown(1, "a"), shown(2, "a")
    damaged = msgspec.structs.replace(made, decision=made.decision.replace(*damage))
    found = join([damaged, good], [])

    assert (found.decision_id, found.counts.dropped) == ((good.decision_id,), {"damaged": 1})


def test_an_outcome_before_its_decision_counts_for_nothing() -> None:
    """A second is allowed for two nodes' clocks."""
    made = shown(60, "a", "b")
    early = said(1, "Content Clicked", "a", at_ms=made.time_ms - 1_001, of=made)
    skewed = said(2, "Content Clicked", "b", at_ms=made.time_ms - 1_000, of=made)
    found = join([made], [early, skewed])

    assert found.reward.tolist() == [0, 1]
    assert found.counts.bad == {"before-decision": 1}


def test_an_outcome_of_an_unknown_decision_counts_for_nothing() -> None:
    """Also where the visitor was shown the item: it says itself that it came of something else."""
    made = shown(1, "a")
    lost = said(1, "Content Clicked", "a", at_ms=made.time_ms + 9, decision_id=DecisionId("lost"))
    found = join([made], [lost])

    assert found.reward.tolist() == [0]
    assert found.counts.bad == {"unknown-decision": 1}


def test_a_reward_that_is_no_number_counts_for_nothing() -> None:
    made = shown(1, "a")
    click = said(1, "Content Clicked", "a", at_ms=made.time_ms + 9, of=made)
    for weight in (math.nan, math.inf):
        found = join([made], [click], RewardDefinition({"click": weight}))
        assert found.reward.tolist() == [0]
        assert found.counts.bad == {"not-finite": 1}


def test_a_second_exposure_of_a_decision_is_counted_and_changes_nothing() -> None:
    """The first one counts; a page that shows three items tells of each, and that is no second exposure."""
    deferred = shown(1, "a", "b", deferred=True)
    first = said(1, "Promotion Viewed", "a", at_ms=deferred.time_ms + 10, of=deferred)
    other = said(2, "Promotion Viewed", "b", at_ms=deferred.time_ms + 20, of=deferred)
    second = said(3, "Promotion Viewed", "a", at_ms=deferred.time_ms + 30, of=deferred)
    found = join([deferred], [second, other, first], repeats={deferred.decision_id: 2})

    assert (found.exposed_ms - found.time_ms).tolist() == [10, 10]
    assert found.counts.bad == {"second-exposure": 1, "repeated-decision": 2}


def test_decisions_around_a_jump_of_the_clock_are_left_out() -> None:
    """A worker's clock was an hour ahead and was set back: which side was right nobody can tell."""
    times = [0, 10, 3_600, 3_610, 30, 40, 3_700]
    made = [shown(seq, "a", at_ms=NOW_MS + at_s * 1_000) for seq, at_s in enumerate(times, 1)]
    elsewhere = shown(9, "a", at_ms=NOW_MS + 20_000, producer="n-b/1/0", number=99)
    found = join([*made, elsewhere], [])

    assert found.counts.dropped == {"clock-jump": 4}
    assert [made[index].decision_id for index in (0, 1, 6)] == [
        each for each in found.decision_id if each != elsewhere.decision_id
    ]


def test_what_is_later_than_now_counts_for_nothing() -> None:
    made, ahead = shown(1, "a"), shown(2, "a", at_ms=NOW_MS + HOUR_MS)
    click = said(1, "Content Clicked", "a", at_ms=NOW_MS + HOUR_MS, of=made)
    found = join([made, ahead], [click], now_ms=NOW_MS + 60_000)

    assert found.counts.dropped == {"future": 1}
    assert found.counts.bad == {"future": 1}
    assert found.reward.tolist() == [0]


def test_what_was_not_kept_is_counted_and_not_learned_from() -> None:
    """Its reward is known, for a lift; one over the probability stands for it where it is learned."""
    kept = shown(1, "a", learning_probability=0.25)
    left: DecisionRecord = shown(2, "a", learning_probability=0.25, is_kept=False)
    found = join([kept, left], [], CLICKS)

    assert found.is_learnable.tolist() == [True, False]
    assert found.is_counted.tolist() == [True, True]
    assert found.sample_probability.tolist() == [0.25, 0.25]
    assert found.counts.sampled == 1
