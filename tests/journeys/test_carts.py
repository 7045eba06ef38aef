"""From a cart that is left to one mail, or to none: the whole way over one ledger, with F's outbox."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from journeys_world import CART, JOURNEY, JourneyWorld, person, shop
from mail_world import KEY, Killed

from edgewise.consent import Consent, ConsentState
from edgewise.decision import Decision
from edgewise.ids import ItemId, Producer
from edgewise.mail_links import MailSeal
from edgewise.records import Touch
from hub.journeys.enabling import pause
from hub.lease import Held
from hub.ledger import tables
from hub.ledger.ledger import Ledger, open_ledger
from hub.mail.composing import House, MessageComposer
from hub.mail.sending import address_hash
from hub.mail.states import MailState
from hub.mail.suppressed import COMPLAINED, suppress
from hub.mail.ways import Handed, Prepared
from hub.site.journey_file import QuietHours

ANN, BO = person(1), person(2)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as opened:
        yield opened


@pytest.fixture
def world(ledger: Ledger) -> JourneyWorld:
    world = JourneyWorld(ledger)
    world.joins(ANN)
    return world


def test_a_cart_that_is_left_brings_one_mail_an_hour_later(world: JourneyWorld) -> None:
    world.does(ANN, "Product Added")
    world.later(10)
    world.does(ANN, "Product Viewed")
    assert world.turns(55) == {}, "he was there ten minutes ago"
    assert world.turns(5) == {"sent": 1}
    (row,) = world.rows()
    assert (row.state, row.journey, row.subject) == (MailState.SENT, CART, ANN)
    assert world.turns(600, every=30) == {}, "one a cart"
    decided = [record for _, record in world.ledger.decisions()]
    assert [record.deferred for record in decided] == [True]
    made = msgspec.json.decode(decided[0].decision, type=Decision)
    assert [item.id for item in made.placements["cart_treatments"].items] == ["shipping"]  # type: ignore[index]
    assert made.placements["cart_treatments"].experiment is not None  # type: ignore[index]
    delivered = [each for _, each in world.ledger.events() if each.name == "Email Delivered"]
    assert [each.decision_id for each in delivered] == [decided[0].decision_id]


def test_the_mail_is_a_whole_message_with_what_was_decided(world: JourneyWorld) -> None:
    house = House(sender="shop@shop.example", sender_name="Shop", links="https://edge.shop.example")
    world.composer = MessageComposer(house, MailSeal(KEY), KEY)
    taken: list[bytes] = []

    def keep(mail: Prepared) -> Handed:
        taken.append(mail.data)
        return Handed()

    world.way.answer = keep
    world.does(ANN, "Product Added")
    assert world.turns(65) == {"sent": 1}
    message = message_from_bytes(taken[0], policy=policy.default)
    assert message["Subject"] == "About your cart: shipping"
    assert message["To"] == "p1@example.org"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    text, html = [part.get_content() for part in message.walk() if not part.is_multipart()]
    assert "shipping\nWe kept it." in text.replace("\r\n", "\n")
    assert "Film 0" in text
    assert 'data-edgewise-item="shipping"' in html
    assert 'data-edgewise-item="film-1"' in html
    assert "/v1/mail/" in text, "why, how often and no more"


def test_a_release_that_is_missing_is_said_once_and_ends_for_all(
    world: JourneyWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    for who in (ANN, BO, person(3)):
        world.joins(who)
        world.does(who, "Product Added")
    world.later(60)
    released, world.release = world.release, None
    watcher, sender = world.life(level="error")
    for _ in range(3):
        watched = watcher.turn(world.clock.now_ms())
        assert (watched.put, watched.failed, watched.damaged) == (0, 3, 0)
        world.later(5)
    (line,) = capsys.readouterr().err.splitlines()
    assert "apply the site, approve and promote the release" in line
    assert "Traceback" not in line
    world.release = released
    assert watcher.turn(world.clock.now_ms()).put == 3
    assert sender.turn(Held()).outcomes == {"sent": 3}
    world.release = None
    world.does(BO, "Order Completed")
    world.does(BO, "Product Added")
    world.later(60)
    assert watcher.turn(world.clock.now_ms()).failed == 1
    assert len(capsys.readouterr().err.splitlines()) == 1, "another time is said again"


def test_whoever_ordered_emptied_or_is_there_gets_none(world: JourneyWorld) -> None:
    for who in (BO, person(3), person(4)):
        world.joins(who)
    film = (Touch(ItemId("film-1")),)
    for who in (ANN, BO, person(3)):
        world.does(who, "Product Added", touches=film)
    world.does(ANN, "Order Completed")
    world.does(BO, "Product Removed", touches=film)
    world.does(person(4), "Product Viewed")
    world.later(50)
    world.does(person(3), "Product Viewed")
    assert world.turns(55) == {}
    assert world.turns(10) == {"sent": 1}, "only who came back, an hour after that"
    assert [row.subject for row in world.rows()] == [person(3)]


def test_an_order_that_is_stored_before_it_leaves_keeps_it_from_leaving(world: JourneyWorld) -> None:
    world.does(ANN, "Product Added")
    world.later(60)
    watcher, sender = world.life(
        lambda step: world.does(ANN, "Order Completed", ago_minutes=1) if step == "written" else None
    )
    watcher.turn(world.clock.now_ms())
    assert sender.turn(Held()).outcomes == {"dropped": 1}
    (row,) = world.rows()
    assert (row.state, row.reason) == (MailState.DROPPED, "ordered")
    assert world.way.taken == []


def test_who_comes_back_before_it_leaves_gets_it_once_he_has_gone_again(world: JourneyWorld) -> None:
    world.does(ANN, "Product Added")
    world.later(60)
    watcher, sender = world.life(
        lambda step: world.does(ANN, "Product Viewed", ago_minutes=1) if step == "written" else None
    )
    watcher.turn(world.clock.now_ms())
    assert sender.turn(Held()).outcomes == {"dropped": 1}
    assert world.turns(50) == {}
    assert world.turns(15) == {"sent": 1}
    first, second = world.rows()
    assert (first.reason, second.state, second.key) == ("back", MailState.SENT, f"{first.key}/1")
    assert world.turns(120, every=30) == {}


def test_more_of_the_same_cart_is_the_same_cart_and_the_next_one_is_another(world: JourneyWorld) -> None:
    world.does(ANN, "Product Added")
    assert world.turns(65) == {"sent": 1}
    world.does(ANN, "Product Added")
    assert world.turns(120) == {}, "the same cart"
    world.does(ANN, "Order Completed")
    world.later(1)
    world.does(ANN, "Product Added")
    assert world.turns(65) == {"sent": 1}


def test_without_consent_address_or_dial_nothing_is_sent(world: JourneyWorld) -> None:
    world.states(ANN, consent=Consent(marketing=ConsentState.DENIED))
    world.joins(BO)
    world.later(1)
    world.states(BO, dial=2)
    silent = person(3)
    for who in (ANN, BO, silent):
        world.does(who, "Product Added")
    assert world.turns(65) == {"dropped": 3}
    assert {row.subject: row.reason for row in world.rows()} == {ANN: "consent", BO: "dial", silent: "no-address"}


def test_late_and_disordered_events_make_the_same_run(world: JourneyWorld) -> None:
    world.does(ANN, "Product Added", ago_minutes=5, message="second")
    assert world.turns(60) == {"sent": 1}
    # what the visitor had put in before arrives only now, through another node
    world.does(ANN, "Product Added", ago_minutes=70, node=Producer("n-b/1/0"), message="first")
    assert world.turns(120) == {}
    assert [row.key for row in world.rows()] == ["abandoned-cart/second/0"]


def test_two_who_turn_out_to_be_one_get_one_mail(world: JourneyWorld) -> None:
    world.joins(BO)
    world.does(ANN, "Product Added")
    world.later(1)
    world.does(BO, "Product Added")
    world.later(61)
    watcher, sender = world.life()
    watcher.turn(world.clock.now_ms())
    assert len(world.rows()) == 2
    world.ledger.state_merge(ANN, BO, who="Ann", reason="one person", now_ms=world.clock.now_ms())
    assert sender.turn(Held()).outcomes == {"dropped": 1, "sent": 1}
    assert {row.reason for row in world.rows()} == {"", "twice"}


def test_a_person_who_joined_after_his_mail_gets_no_other(world: JourneyWorld) -> None:
    world.joins(BO)
    world.does(ANN, "Product Added")
    assert world.turns(65) == {"sent": 1}
    world.does(BO, "Product Added", ago_minutes=64)
    world.ledger.state_merge(ANN, BO, who="Ann", reason="one person", now_ms=world.clock.now_ms())
    assert world.turns(120) == {}


def test_an_erased_person_is_watched_and_written_to_no_more(world: JourneyWorld) -> None:
    world.does(ANN, "Product Added")
    world.watch()
    world.ledger.erase(ANN, world.clock.now_ms())
    assert world.turns(120) == {}
    assert world.rows() == []


def test_a_paused_journey_sends_nothing(world: JourneyWorld) -> None:
    world.does(ANN, "Product Added")
    world.later(60)
    watcher, sender = world.life()
    watcher.turn(world.clock.now_ms())
    pause(world.ledger, CART, by="Ann", reason="", now_ms=world.clock.now_ms())
    assert sender.turn(Held()).outcomes == {"dropped": 1}
    assert world.rows()[0].reason == "off"
    world.does(ANN, "Order Completed")
    world.does(ANN, "Product Added")
    assert world.turns(120) == {}


def test_the_champion_waits_a_day_and_is_who_is_held_out(ledger: Ledger) -> None:
    world = JourneyWorld(ledger, release=shop(personal=0.0))
    world.joins(ANN)
    world.does(ANN, "Product Added")
    assert world.turns(24 * 60, every=60) == {}
    assert world.turns(70) == {"sent": 1}
    assert world.rows()[0].payload["champion"] is True
    world.release = shop(personal=1.0, holdout=1.0)
    world.joins(BO)
    world.does(BO, "Product Added")
    assert world.turns(24 * 60, every=60) == {}, "never personalised in any journey"


def test_nothing_is_decided_for_an_address_that_is_not_written_to(world: JourneyWorld) -> None:
    world.does(ANN, "Product Added")
    world.later(60)
    assert world.watch().put == 1
    with world.ledger.storage.writing() as connection:
        suppress(connection, address_hash(KEY, "p1@example.org"), COMPLAINED, "bounce", 1)
    world.release = None  # whoever decides finds none
    _, sender = world.life()
    assert sender.turn(Held()).outcomes == {"dropped": 1}
    assert world.rows()[0].reason == COMPLAINED


def test_nothing_is_a_treatment_that_is_logged(ledger: Ledger) -> None:
    world = JourneyWorld(ledger, release=shop(nothing=True))
    world.joins(ANN)
    world.does(ANN, "Product Added")
    told = world.turns(65)
    assert told == {"dropped": 1}
    assert world.rows()[0].reason == "nothing"
    (record,) = [record for _, record in world.ledger.decisions()]
    assert not record.deferred
    assert b'"nothing":{' in record.decision


def test_a_release_without_the_placements_is_waited_for(world: JourneyWorld) -> None:
    there = world.release
    world.release = None
    world.does(ANN, "Product Added")
    assert world.turns(75) == {}
    world.release = there
    assert world.turns(20) == {"sent": 1}


def test_in_quiet_hours_nobody_is_written_to_and_right_behind_them_he_is(ledger: Ledger) -> None:
    quiet = msgspec.structs.replace(JOURNEY, quiet_hours=QuietHours("21:00", "08:00"), timezone="Europe/Berlin")
    world = JourneyWorld(ledger, {CART: quiet})
    world.joins(ANN)
    world.joins(BO)
    world.later(8 * 60)  # 22:00 in Berlin, 16:00 in New York
    world.does(ANN, "Product Added")
    world.does(BO, "Product Added", body=b'{"context":{"timezone":"America/New_York"}}')
    assert world.turns(65) == {"sent": 1}
    assert world.rows(MailState.SENT)[0].subject == BO
    assert world.turns(8 * 60 + 50, every=10) == {}, "07:55 in Berlin"
    assert world.turns(10) == {"sent": 1}


def test_a_damaged_profile_holds_up_nobody_else(world: JourneyWorld) -> None:
    world.joins(BO)
    world.does(ANN, "Product Added")
    world.does(BO, "Product Added")
    with world.ledger.storage.writing() as connection:
        spoiled = sa.update(tables.profiles).where(tables.profiles.c.subject == ANN)
        connection.execute(spoiled.values(profile=b"\xff"))
    assert world.turns(65) == {"sent": 1}
    assert world.watch().failed == 0, "tried again later, and not at once"


def test_an_import_of_old_carts_writes_to_nobody(world: JourneyWorld) -> None:
    world.does(ANN, "Product Added", ago_minutes=4 * 24 * 60)
    assert world.turns(70) == {}
    assert world.rows() == []


def test_what_became_due_while_the_hub_was_away_is_too_late_and_counted(world: JourneyWorld) -> None:
    world.does(ANN, "Product Added")
    world.later(60 + 61)
    assert world.turn() == {"expired": 1}


def test_a_clock_that_is_set_back_sends_nothing_twice(world: JourneyWorld) -> None:
    world.does(ANN, "Product Added")
    assert world.turns(65) == {"sent": 1}
    world.clock.jump(-40 * 60_000)
    assert world.turns(120) == {}


@pytest.mark.parametrize("step", ["found", "planned", "put", "claimed", "written", "handing", "handed", "sent"])
def test_a_crash_anywhere_sends_one_at_most(world: JourneyWorld, step: str) -> None:
    world.does(ANN, "Product Added")
    world.later(61)

    def die(at: str) -> None:
        if at == step:
            raise Killed

    watcher, sender = world.life(die)

    def live() -> None:
        watcher.turn(world.clock.now_ms())
        sender.turn(Held())

    with pytest.raises(Killed):
        live()
    told = world.turns(30)
    assert len(world.way.taken) <= 1
    if step in {"handing", "handed"}:
        assert told == {"uncertain": 1}
    else:
        assert len(world.way.taken) == 1
    assert len(world.rows()) == 1


def test_nothing_is_decided_for_who_is_not_written_to(ledger: Ledger) -> None:
    """It would promise him a code, and be learned from as a mail that was not sent by choice."""
    world = JourneyWorld(ledger, release=shop(nothing=True))
    world.joins(ANN, Consent(marketing=ConsentState.DENIED, personalisation=ConsentState.GRANTED))
    world.does(ANN, "Product Added", ago_minutes=90)
    assert world.turn() == {"dropped": 1}
    assert [row.reason for row in world.rows()] == ["consent"]
    assert list(ledger.decisions()) == []
