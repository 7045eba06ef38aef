"""Turns of the outbox: what is sent counts as shown, what is not does not, and no crash sends anything twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from databases import empty_ledger
from hub_records import decision_id, event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mail_world import ANN, GRANTED, KEY, Killed, MailWorld, letter

from edgewise.consent import Consent, ConsentState
from edgewise.errors import InputError, RefusedError, UnavailableError
from edgewise.ids import SubjectId
from edgewise.profile.state import DAY_MS
from hub.lease import Held
from hub.ledger.ledger import Ledger
from hub.mail.letters import Dropped, Later, Limits
from hub.mail.outbox import Outbox
from hub.mail.quiet import Quiet
from hub.mail.sending import MOST_TRIES, address_hash, wait_ms
from hub.mail.states import MailState
from hub.mail.suppressed import all_suppressed, suppress, unsuppress
from hub.mail.ways import Answer, Handed, NotAtAll, NotNow, Prepared, Unknown

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
STEPS = ("claimed", "written", "handing", "handed", "sent")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(empty_ledger(tmp_path)) as opened:
        yield opened


@pytest.fixture
def world(ledger: Ledger) -> MailWorld:
    world = MailWorld(ledger)
    world.grant()
    return world


def test_what_is_due_is_written_and_sent_and_counts_as_shown(world: MailWorld) -> None:
    told: list[int] = []
    world.writer.write_as = lambda due, _: letter(
        due, decisions=(world.decided(7),), on_sent=lambda _connection, now_ms: told.append(now_ms)
    )
    world.put(payload={"cart": "c"})
    assert world.turn() == {"sent": 1}
    assert world.writer.asked[0].payload == {"cart": "c"}
    assert (world.way.taken, told) == (["cart-1"], [world.clock.now_ms()])
    logged = world.ledger.decision(decision_id(7))
    assert logged is not None
    assert logged.deferred
    assert world.events_of(decision_id(7)) == ["Email Delivered"]
    row = world.row()
    assert row.identifier == address_hash(KEY, " Ann@Example.org")
    assert row.decision_id == decision_id(7)
    assert world.turn() == {}


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        (NotAtAll("rejected", "550 no"), "refused", "rejected"),
        (Unknown("reset"), "uncertain", "unanswered"),
        (NotNow("greylisted", "451"), "due", "greylisted"),
    ],
)
def test_what_was_not_taken_does_not_count_as_shown(
    world: MailWorld, answer: Answer, outcome: str, reason: str
) -> None:
    world.writer.write_as = lambda due, _: letter(due, decisions=(world.decided(7),))
    world.way.answer = lambda _: answer
    world.put()
    assert world.turn() == {outcome: 1}
    assert (world.state().value, world.row().reason) == (outcome, reason)
    assert world.events_of(decision_id(7)) == []


def test_what_was_turned_away_before_it_left_is_tried_again_until_it_is_too_late(world: MailWorld) -> None:
    world.way.answer = lambda _: NotNow("greylisted")
    world.put(not_after_ms=world.clock.now_ms() + 12_000)
    assert world.turn() == {"due": 1}
    assert world.turn() == {}
    world.clock.advance(6_000)
    assert world.turn() == {"due": 1}
    world.clock.advance(5_000)
    assert world.turn() == {"expired": 1}
    world.clock.advance(120_000)
    assert world.turn() == {}
    assert world.row().reason == "greylisted"
    assert world.way.taken == []


@pytest.mark.parametrize(("window", "grey"), [(15, 13), (60, 53)])
def test_a_server_that_turns_everything_away_at_first_is_asked_again_within_the_mails_time(
    world: MailWorld, window: int, grey: int
) -> None:
    began_ms = world.clock.now_ms()
    world.way.answer = lambda _: (
        Handed() if world.clock.now_ms() - began_ms >= grey * MINUTE_MS else NotNow("greylisted", "450")
    )
    world.put(not_after_ms=began_ms + window * MINUTE_MS)
    told: list[dict[str, int]] = []
    while world.clock.now_ms() <= began_ms + window * MINUTE_MS:
        told.append(world.turn())
        world.clock.advance(15_000)
    assert {"sent": 1} in told
    assert {"expired": 1} not in told
    assert told.count({"due": 1}) <= MOST_TRIES
    assert world.way.taken == ["cart-1"]


def test_a_turn_that_the_ledger_broke_off_is_gone_on_with_by_the_same_process(world: MailWorld) -> None:
    away = True

    def at(step: str) -> None:
        if step == "written" and away:
            raise UnavailableError("the ledger is away")

    world.put("a")
    world.put("b")
    sender = world.sender(at)
    with pytest.raises(UnavailableError):
        world.turn(sender)
    assert [world.state(key) for key in "ab"] == [MailState.WRITING] * 2
    away = False
    assert world.turn(sender) == {"sent": 2}


def test_what_is_missing_for_every_mail_is_said_once(world: MailWorld, capsys: pytest.CaptureFixture[str]) -> None:
    def write(_due: object, _: int) -> object:
        raise UnavailableError("there is no live release")

    world.writer.write_as = write  # type: ignore[assignment]
    sender = world.sender(level="error")
    for key in "abc":
        world.put(key)
    assert world.turn(sender) == {"due": 3}
    world.clock.advance(MINUTE_MS)
    assert world.turn(sender) == {"due": 3}
    (line,) = capsys.readouterr().err.splitlines()
    assert "there is no live release" in line
    assert "Traceback" not in line
    world.writer.write_as = lambda due, _: letter(due)
    world.clock.advance(2 * MINUTE_MS)
    assert world.turn(sender) == {"sent": 3}


def test_the_hub_gives_up_on_a_server_that_never_takes_it(world: MailWorld) -> None:
    world.way.answer = lambda _: NotNow("greylisted")
    world.put(not_after_ms=world.clock.now_ms() + 10 * DAY_MS)
    outcome: dict[str, int] = {}
    for tries in range(1, MOST_TRIES + 1):
        outcome = world.turn()
        world.clock.advance(wait_ms(tries, DAY_MS))
    assert outcome == {"refused": 1}


def test_what_a_mail_could_not_say_as_it_was_meant_is_counted_and_said_once(
    world: MailWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.writer.write_as = lambda due, _: letter(due, trouble="without its template 'cart': no title")
    sender = world.sender(level="warning")
    world.put("a")
    world.put("b")
    assert world.turn(sender) == {"sent": 2}
    with world.ledger.storage.reading() as connection:
        assert Outbox.counts(connection) == {("abandoned-cart", MailState.SENT, "unfit"): 2}
    assert world.row("a").words == "without its template 'cart': no title"
    (line,) = capsys.readouterr().err.splitlines()
    assert "no title" in line


def test_an_address_that_nobody_has_is_not_written_to_again(world: MailWorld) -> None:
    world.way.answer = lambda _: NotAtAll("rejected", "550 5.1.1", is_bad_address=True)
    world.put("a")
    world.turn()
    world.way.answer = lambda _: Handed()
    world.put("b")
    assert world.turn() == {"dropped": 1}
    assert world.row("b").reason == "bounced"


def test_a_writer_that_fails_holds_up_nobody_else(world: MailWorld) -> None:
    def write(due: object, _: int) -> object:
        if due.key == "damaged":  # type: ignore[attr-defined]
            raise ValueError("a damaged profile")
        return letter(due)  # type: ignore[arg-type]

    world.writer.write_as = write  # type: ignore[assignment]
    world.put("damaged", in_ms=-1)
    world.put("sound")
    assert world.turn() == {"due": 1, "sent": 1}
    assert world.row("damaged").words == "ValueError: a damaged profile"
    outcome: dict[str, int] = {}
    for tries in range(1, MOST_TRIES):
        world.clock.advance(wait_ms(tries, DAY_MS))
        outcome = world.turn()
    assert outcome == {"dropped": 1}


def test_a_letter_that_cannot_be_a_message_is_dropped(world: MailWorld) -> None:
    def write(_due: object, _: int) -> object:
        raise InputError("a subject with a line break")

    world.writer.write_as = write  # type: ignore[assignment]
    world.put()
    assert world.turn() == {"dropped": 1}
    assert (world.row().reason, world.row().words) == ("unfit", "a subject with a line break")


@pytest.mark.parametrize(
    ("will", "reason"),
    [
        ({"consent": Consent(marketing=ConsentState.DENIED)}, "consent"),
        ({"consent": Consent(marketing=ConsentState.PENDING)}, "consent"),
        ({"consent": Consent(personalisation=ConsentState.DENIED)}, "consent"),
        ({"dial": 0}, "dial"),
        ({"dial": 2}, "dial"),
    ],
)
def test_what_a_visitor_states_before_it_is_handed_over_holds(
    world: MailWorld, will: dict[str, Any], reason: str
) -> None:
    """Also what he states while it is being written."""

    def write(due: object, _: int) -> object:
        world.state_will(**will)
        return letter(due)  # type: ignore[arg-type]

    world.writer.write_as = write  # type: ignore[assignment]
    world.put()
    assert world.turn() == {"dropped": 1}
    assert (world.row().reason, world.way.taken) == (reason, [])


def test_nobody_is_written_to_who_never_granted_it(world: MailWorld) -> None:
    world.put(person=SubjectId("b" * 32))
    assert world.turn() == {"dropped": 1}
    assert world.row().words == "marketing was never granted"


def test_a_denial_under_the_address_counts_for_who_has_it(world: MailWorld) -> None:
    world.state_will(address_hash(KEY, "ann@example.org"), consent=Consent(marketing=ConsentState.DENIED))
    world.put()
    assert world.turn() == {"dropped": 1}


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("Email Bounced", b"{}", "bounced"),
        ("Email Marked as Spam", b"", "complained"),
        ("Unsubscribed", b"", "unsubscribed"),
        ("Email Bounced", b'{"properties": {"bounceType": "Transient"}}', None),
        ("Email Opened", b"", None),
    ],
)
def test_bounces_and_complaints_that_events_tell_of_suppress(
    world: MailWorld, name: str, body: bytes, reason: str | None
) -> None:
    address = address_hash(KEY, "ann@example.org")
    world.store(event(world.seq(), name=name, subject=SubjectId("c" * 32), identifiers={"email": address}, body=body))
    world.put()
    assert world.turn() == ({"sent": 1} if reason is None else {"dropped": 1})
    assert world.row().reason == (reason or "")


def test_who_grants_it_again_after_he_unsubscribed_may_be_written_to_but_no_address_that_bounced(
    world: MailWorld,
) -> None:
    world.store(event(world.seq(), name="Unsubscribed", subject=ANN, time_ms=world.clock.now_ms()))
    world.put("a")
    assert world.turn() == {"dropped": 1}
    world.clock.advance(1_000)
    world.grant()
    world.put("b")
    assert world.turn() == {"sent": 1}
    with world.ledger.storage.writing() as connection:
        suppress(connection, address_hash(KEY, "ann@example.org"), "bounced", "bounce", 1)
    world.put("c")
    assert world.turn() == {"dropped": 1}
    assert world.row("c").reason == "bounced"


def test_a_reader_gets_mails_as_rarely_as_he_asked_for(world: MailWorld) -> None:
    world.state_will(mail_days=30)
    world.put("a")
    assert world.turn() == {"sent": 1}
    world.clock.advance(29 * DAY_MS)
    world.put("b")
    assert world.turn() == {"dropped": 1}
    assert world.row("b").reason == "frequency"
    world.clock.advance(DAY_MS)
    world.put("c")
    assert world.turn() == {"sent": 1}


def test_an_event_of_a_mail_suppresses_the_address_that_it_went_to(world: MailWorld) -> None:
    world.writer.write_as = lambda due, _: letter(due, decisions=(world.decided(7),))
    world.put("a")
    world.turn()
    world.store(event(world.seq(), name="Email Bounced", subject=SubjectId("c" * 32), decision_id=decision_id(7)))
    world.writer.write_as = lambda due, _: letter(due)
    world.put("b")
    assert world.turn() == {"dropped": 1}
    with world.ledger.storage.writing() as connection:
        (row,) = all_suppressed(connection)
        assert (row.subject, row.reason) == (address_hash(KEY, "ann@example.org"), "bounced")
        assert not suppress(connection, row.subject, "stated", "officer", 1)
        assert unsuppress(connection, row.subject)
        assert not unsuppress(connection, row.subject)


def test_an_open_of_an_uncertain_mail_counts_it_as_shown(world: MailWorld) -> None:
    world.writer.write_as = lambda due, _: letter(due, decisions=(world.decided(7),))
    world.way.answer = lambda _: Unknown("reset")
    world.put()
    world.turn()
    world.store(event(world.seq(), name="Email Opened", subject=ANN, decision_id=decision_id(7)))
    world.way.answer = lambda _: Handed()
    world.writer.write_as = lambda due, _: letter(due)
    world.put("next")
    assert world.turn() == {"sent": 1}
    assert world.state() is MailState.SENT
    assert sorted(world.events_of(decision_id(7))) == ["Email Delivered", "Email Opened"]


def test_a_person_gets_no_more_than_the_cap_and_uncertain_ones_count(world: MailWorld) -> None:
    world.writer.write_as = lambda due, _: letter(due, limits=Limits(most_per_week=2))
    world.way.answer = lambda mail: Unknown("?") if mail.due.key == "a" else Handed()
    for number, key in enumerate("abc"):
        world.put(key, in_ms=number - 5)
    assert world.turn() == {"uncertain": 1, "sent": 1, "dropped": 1}
    assert world.row("c").reason == "cap"
    world.clock.advance(7 * DAY_MS)
    world.put("d")
    assert world.turn() == {"sent": 1}


def test_the_hubs_own_cap_holds_over_a_journeys(world: MailWorld) -> None:
    world.writer.write_as = lambda due, _: letter(due, limits=Limits(most_per_week=9))
    world.put("a")
    world.put("b")
    assert world.turn(world.sender(most_per_week=1)) == {"sent": 1, "dropped": 1}


def test_quiet_hours_put_it_off_to_their_end(world: MailWorld) -> None:
    """The clock stands at 22:13 UTC."""
    world.writer.write_as = lambda due, _: letter(due, limits=Limits(quiet=Quiet(21 * 60, 8 * 60)))
    world.put()
    assert world.turn() == {"due": 1}
    row = world.row()
    assert row.reason == "quiet"
    world.clock.advance(row.due_ms - world.clock.now_ms() - 1)
    assert world.turn() == {}
    world.clock.advance(1)
    assert world.turn() == {"sent": 1}


@pytest.mark.parametrize(
    ("stands", "outcome", "reason"),
    [(Dropped("ordered"), "dropped", "ordered"), (Later(1_700_000_000_001, "paused"), "due", "paused")],
)
def test_the_writer_has_the_last_word(world: MailWorld, stands: Dropped | Later, outcome: str, reason: str) -> None:
    world.writer.stands = stands
    world.put()
    assert world.turn() == {outcome: 1}
    assert world.row().reason == reason
    assert world.way.taken == []


def test_what_is_written_too_slowly_is_too_late(world: MailWorld) -> None:
    def write(due: object, _: int) -> object:
        world.clock.advance(2 * HOUR_MS)
        return letter(due)  # type: ignore[arg-type]

    world.writer.write_as = write  # type: ignore[assignment]
    world.put(not_after_ms=world.clock.now_ms() + HOUR_MS)
    assert world.turn() == {"expired": 1}


def test_who_loses_the_lease_stops_before_the_next_mail(world: MailWorld) -> None:
    lease = Held("the outbox")

    def answer(_: Prepared) -> Answer:
        lease.lose()
        return Handed()

    world.way.answer = answer
    world.put("a")
    world.put("b")
    with pytest.raises(RefusedError, match="gone on with the outbox"):
        world.sender().turn(lease)
    assert world.way.taken == ["a"]
    world.way.answer = lambda _: Handed()
    assert world.turn() == {"sent": 1}


def test_what_the_ledger_could_not_take_is_written_down_by_the_next_turn(world: MailWorld) -> None:
    class Away(Exception):  # noqa: N818
        pass

    def on_sent(_connection: object, _now_ms: int) -> None:
        if world.clock.monotonic_ms() == 0:
            raise Away

    world.writer.write_as = lambda due, _: letter(due, on_sent=on_sent)
    world.put()
    sender = world.sender()
    with pytest.raises(Away):
        world.turn(sender)
    assert world.state() is MailState.HANDING
    world.clock.advance(1)
    assert world.turn(sender) == {"sent": 1}
    assert world.way.taken == ["cart-1"]


@given(deaths=st.lists(st.tuples(st.integers(0, 5), st.sampled_from(STEPS)), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_crash_anywhere_sends_a_mail_twice_or_loses_one(
    tmp_path_factory: pytest.TempPathFactory, deaths: list[tuple[int, str]]
) -> None:
    """Each life dies at the n-th passing of a step; every mail ends sent once, or uncertain and sent at most once."""
    with closing(empty_ledger(tmp_path_factory.mktemp("outbox"))) as ledger:
        world = MailWorld(ledger)
        keys = [f"cart-{number}" for number in range(4)]
        for number, key in enumerate(keys):
            person = SubjectId(f"{number:032x}")
            world.state_will(person, consent=GRANTED)
            world.put(key, person=person)
        for count, step in deaths:
            passed = {"left": count}

            def die(at: str, step: str = step, passed: dict[str, int] = passed) -> None:
                if at == step:
                    passed["left"] -= 1
                    if passed["left"] < 0:
                        raise Killed

            try:
                world.turn(world.sender(die))
            except Killed:
                continue
        world.turn()
        for key in keys:
            state, taken = world.state(key), world.way.taken.count(key)
            assert (state is MailState.SENT and taken == 1) or (state is MailState.UNCERTAIN and taken <= 1)
        uncertain = [key for key in keys if world.state(key) is MailState.UNCERTAIN]
        assert len(uncertain) <= sum(step in {"handing", "handed"} for _, step in deaths)
