"""The outbox on either database: one mail a key, and no step by whoever has lost it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_records import decision_id
from mail_world import ANN, MailWorld

from edgewise.consent import Grants
from edgewise.ids import SubjectId
from hub.ledger.ledger import Ledger, open_ledger
from hub.mail.outbox import Outbox, Shown
from hub.mail.states import FOLLOWS, OPEN, MailState

pytestmark = pytest.mark.usefixtures("either_database")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as opened:
        yield opened


@pytest.fixture
def world(ledger: Ledger) -> MailWorld:
    return MailWorld(ledger)


def test_a_key_is_put_once_whatever_became_of_it(world: MailWorld) -> None:
    assert world.put("cart-1", payload={"cart": ["a", 1]})
    assert not world.put("cart-1", payload={"other": True})
    assert world.row().payload == {"cart": ["a", 1]}
    with world.ledger.storage.writing() as connection:
        assert Outbox.drop(connection, "cart-1", "ordered", now_ms=1)
        assert not Outbox.drop(connection, "cart-1", "ordered", now_ms=2)
    assert not world.put("cart-1")
    assert (world.state(), world.row().reason) == (MailState.DROPPED, "ordered")


def test_a_put_goes_with_the_transaction_that_it_is_part_of(world: MailWorld) -> None:
    def fails() -> None:
        with world.ledger.storage.writing() as connection:
            assert Outbox.put(
                connection, key="k", journey="j", person=ANN, due_ms=0, not_after_ms=1, payload={}, now_ms=0
            )
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert world.put("k")


def test_claims_are_of_what_is_due_and_timely_in_the_order_of_waiting(world: MailWorld) -> None:
    world.put("later", in_ms=10)
    world.put("second", in_ms=0)
    world.put("first", in_ms=-5)
    world.put("too-late", in_ms=-9, not_after_ms=world.clock.now_ms() - 1)
    now_ms = world.clock.now_ms()
    with world.ledger.storage.writing() as connection:
        assert Outbox.next_due_ms(connection) == now_ms - 9
        claimed = Outbox.claim(connection, "me", now_ms=now_ms, most=9)
        assert [row.key for row in claimed] == ["first", "second"]
        assert [row.tries for row in claimed] == [1, 1]
        assert Outbox.claim(connection, "other", now_ms=now_ms, most=9) == []
        assert Outbox.expire(connection, now_ms=now_ms) == 1
    assert world.state("too-late") is MailState.EXPIRED
    assert world.row("first") == claimed[0]


def test_what_the_dead_were_writing_is_due_again_and_what_they_were_handing_over_is_uncertain(
    world: MailWorld,
) -> None:
    world.put("a")
    world.put("b")
    now_ms = world.clock.now_ms()
    with world.ledger.storage.writing() as connection:
        Outbox.claim(connection, "dead", now_ms=now_ms, most=2)
        assert hand(connection, "b", "dead")
        assert Outbox.reclaim(connection, now_ms=now_ms) == (1, 1)
        assert Outbox.reclaim(connection, now_ms=now_ms) == (0, 0)
    assert (world.state("a"), world.state("b")) == (MailState.DUE, MailState.UNCERTAIN)


def test_who_was_only_slow_does_nothing_with_what_another_has_taken(world: MailWorld) -> None:
    world.put()
    now_ms = world.clock.now_ms()
    with world.ledger.storage.writing() as connection:
        Outbox.claim(connection, "slow", now_ms=now_ms, most=1)
        Outbox.reclaim(connection, now_ms=now_ms)
        assert not Outbox.is_mine(connection, "cart-1", "slow", MailState.WRITING)
        assert not hand(connection, "cart-1", "slow")
        assert not Outbox.again(connection, "cart-1", "slow", now_ms=now_ms, due_ms=0, reason="x")
        assert not Outbox.end(connection, "cart-1", "slow", MailState.DROPPED, now_ms=now_ms, reason="x")
        assert not Outbox.sent(connection, "cart-1", "slow", now_ms=now_ms)
    assert world.state() is MailState.DUE


def test_who_was_taken_for_dead_may_still_say_that_it_was_sent(world: MailWorld) -> None:
    world.put()
    now_ms = world.clock.now_ms()
    with world.ledger.storage.writing() as connection:
        Outbox.claim(connection, "slow", now_ms=now_ms, most=1)
        hand(connection, "cart-1", "slow")
        Outbox.reclaim(connection, now_ms=now_ms)
        assert not Outbox.sent(connection, "cart-1", "next", now_ms=now_ms)
        assert Outbox.sent(connection, "cart-1", "slow", now_ms=now_ms)
        assert not Outbox.sent(connection, "cart-1", "slow", now_ms=now_ms)
    assert world.state() is MailState.SENT


def test_another_attempt_that_would_be_too_late_is_none(world: MailWorld) -> None:
    world.put(not_after_ms=world.clock.now_ms() + 100)
    now_ms = world.clock.now_ms()
    with world.ledger.storage.writing() as connection:
        Outbox.claim(connection, "me", now_ms=now_ms, most=1)
        late = Outbox.again(connection, "cart-1", "me", now_ms=now_ms, due_ms=now_ms + 101, reason="greylisted")
        assert late is MailState.EXPIRED
    row = world.row()
    assert (row.state, row.reason, row.holder) == (MailState.EXPIRED, "greylisted", "")


def test_an_open_of_an_uncertain_mail_tells_that_it_was_sent(world: MailWorld) -> None:
    world.put()
    now_ms = world.clock.now_ms()
    with world.ledger.storage.writing() as connection:
        Outbox.claim(connection, "dead", now_ms=now_ms, most=1)
        hand(connection, "cart-1", "dead")
        assert Outbox.resolve(connection, decision_id(7), now_ms=now_ms) is None
        Outbox.reclaim(connection, now_ms=now_ms)
        found = Outbox.resolve(connection, decision_id(7), now_ms=now_ms)
        assert found is not None
        assert found.shown[0].decision_id == decision_id(7)
        assert Outbox.resolve(connection, decision_id(7), now_ms=now_ms) is None
    assert world.state() is MailState.SENT


def test_counts_tell_why_what_was_not_sent_was_not(world: MailWorld) -> None:
    for key in ("a", "b", "c"):
        world.put(key)
    with world.ledger.storage.writing() as connection:
        Outbox.drop(connection, "a", "ordered", now_ms=1)
        Outbox.drop(connection, "b", "cap", now_ms=2)
        assert Outbox.counts(connection) == {
            ("abandoned-cart", MailState.DROPPED, "cap"): 1,
            ("abandoned-cart", MailState.DROPPED, "ordered"): 1,
            ("abandoned-cart", MailState.DUE, ""): 1,
        }
        listed = Outbox.rows(connection, (MailState.DROPPED,), journey="abandoned-cart", people=[ANN])
        assert [row.key for row in listed] == ["b", "a"]
        assert Outbox.rows(connection, people=[SubjectId("b" * 32)]) == []


def test_what_is_over_is_forgotten_in_the_end_and_work_is_seen_without_taking_it(world: MailWorld) -> None:
    world.put("a")
    world.put("later", in_ms=10)
    now_ms = world.clock.now_ms()
    with world.ledger.storage.writing() as connection:
        assert Outbox.has_work(connection, now_ms=now_ms)
        assert not Outbox.has_work(connection, now_ms=now_ms - 1)
        Outbox.claim(connection, "me", now_ms=now_ms, most=1)
        assert Outbox.has_work(connection, now_ms=now_ms - 1)
        Outbox.end(connection, "a", "me", MailState.DROPPED, now_ms=now_ms, reason="x")
        assert not Outbox.has_work(connection, now_ms=now_ms)
        assert Outbox.forget(connection, before_ms=now_ms) == 0
        assert Outbox.forget(connection, before_ms=now_ms + 1) == 1
        assert Outbox.row(connection, "a") is None
        assert Outbox.row(connection, "later") is not None


def test_every_state_that_can_be_left_is_open_or_uncertain() -> None:
    assert {state for state, after in FOLLOWS.items() if after} == {*OPEN, MailState.UNCERTAIN}
    assert set(FOLLOWS) == set(MailState)


def hand(connection: object, key: str, holder: str) -> bool:
    return Outbox.hand(
        connection,  # type: ignore[arg-type]
        key,
        holder,
        now_ms=5,
        identifier=SubjectId("e" * 32),
        message_id="m",
        shown=[Shown(decision_id(7), (), Grants())],
    )
