"""`hub.train.rewards`: kinds have weights, stars are asked for, and an order that came back is worth less."""

from __future__ import annotations

import itertools

import pytest

from edgewise.consent import Grants
from edgewise.events import Kind
from edgewise.ids import ItemId, MessageId, Producer, SubjectId
from edgewise.records import EventRecord, Touch
from hub.site.recipes import Outcome
from hub.train.history import History
from hub.train.rewards import Rewards

ORDER, REFUND, VIEW, REVIEW = "Order Completed", "Order Refunded", "Product Viewed", "Product Reviewed"
_numbers = itertools.count()


def did(name: str, *items: str, who: str = "ann", rating: float | None = None) -> EventRecord:
    number = next(_numbers)
    return EventRecord(
        producer=Producer("import/past"),
        seq=number,
        subject=SubjectId(who),
        message_id=MessageId(str(number)),
        type="track",
        name=name,
        time_ms=number + 1,
        received_ms=number + 1,
        grants=Grants(personalisation=True),
        touches=tuple(Touch(ItemId(item), rating=rating) for item in items),
    )


def gains(rewards: Rewards, history: History) -> list[dict[str, float]]:
    return [dict(rewards.gains(number, deed.record)) for number, deed in enumerate(history.deeds)]  # type: ignore[arg-type]


def test_without_weights_the_outcome_counts_one() -> None:
    history = History([did(VIEW, "a"), did(ORDER, "a", "b")])
    rewards = Rewards(Outcome("order"))
    assert gains(rewards, history) == [{}, {"a": 1.0, "b": 1.0}]
    assert rewards.outcomes(history, 0, 9) == [1]


def test_every_kind_with_a_weight_is_learned_from() -> None:
    history = History([did(VIEW, "a"), did(ORDER, "a"), did("Product Added", "a"), did(REVIEW, "a", rating=1.0)])
    rewards = Rewards(Outcome("order"), {"view": 1, "order": 10, "review": 3})
    assert gains(rewards, history) == [{"a": 1.0}, {"a": 10.0}, {}, {"a": 3.0}]
    assert rewards.outcomes(history, 1, 9) == [1, 3]
    assert rewards.outcomes(history, 0, 1) == [3]
    starry = Rewards(Outcome("review", 4.0), {"review": 3})
    assert gains(starry, history)[3] == {}


def test_a_refund_is_taken_off_the_latest_order_of_that_visitor_that_did_not_come_back_yet() -> None:
    past = [did(ORDER, "a", "b"), did(ORDER, "a"), did(ORDER, "a", who="bob"), did(REFUND, "a"), did(REFUND, "c")]
    history = History(past)
    rewards = Rewards(Outcome("order"), {"order": 10, "refund": -4})
    rewards.learn_refunds(history, judged_from=len(history))
    assert gains(rewards, history)[:3] == [{"a": 10.0, "b": 10.0}, {"a": 6.0}, {"a": 10.0}]
    twice = History([*past, did(REFUND, "a", "b")])
    all_of_it = Rewards(Outcome("order"), {"order": 10, "refund": -10})
    all_of_it.learn_refunds(twice, judged_from=len(twice))
    assert gains(all_of_it, twice)[:3] == [{}, {}, {"a": 10.0}]
    assert all_of_it.outcomes(twice, 0, 9) == [2]


@pytest.mark.parametrize(("judged_from", "worth"), [(1, 10.0), (2, 6.0), (0, 6.0)])
def test_what_is_learned_before_it_is_judged_knows_of_no_later_refund(judged_from: int, worth: float) -> None:
    """0: the order itself is among what judges, and what comes of it is its own."""
    history = History([did(ORDER, "a"), did(REFUND, "a")])
    rewards = Rewards(Outcome("order"), {"order": 10, "refund": -4})
    rewards.learn_refunds(history, judged_from=judged_from)
    assert gains(rewards, history)[0] == {"a": worth}


def test_all_that_came_of_one_shown_item_counts_each_kind_once() -> None:
    rewards = Rewards(Outcome("click"), {"click": 1, "order": 10, "refund": -10})
    assert rewards.of_all([(Kind.CLICK, 1.0), (Kind.CLICK, 1.0), (Kind.ORDER, 900.0)]) == 11
    assert rewards.of_all([(Kind.ORDER, 900.0), (Kind.REFUND, 900.0)]) == 0
    assert rewards.of_all([(Kind.VIEW, None)]) == 0
    assert Rewards(Outcome("click")).of_all([(Kind.CLICK, 1.0)]) == 1
    assert Rewards(Outcome("review", 4.0), {"review": 2}).of_all([(Kind.REVIEW, 3.0)]) == 0
