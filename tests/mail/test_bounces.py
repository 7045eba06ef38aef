"""What comes back counts only for a mail that was sent; nobody can be silenced by a forged report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_records import decision_id
from mail_reports import OWN, complaint, delivery
from mail_world import ANN, KEY, MailWorld, letter

from hub.ledger.ledger import Ledger, open_ledger
from hub.log import start_log
from hub.mail.bounces import messages_in, report_of, take_inbox, take_message
from hub.mail.sending import address_hash
from hub.mail.suppressed import all_suppressed


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """A mail that was sent."""
    with open_ledger(tmp_path_factory.mktemp("bounces")) as ledger:
        world = MailWorld(ledger)
        world.grant()
        world.writer.write_as = lambda due, _: letter(due, decisions=(world.decided(7),))
        world.put()
        assert world.turn() == {"sent": 1}
        yield ledger


def suppressed(ledger: Ledger) -> list[tuple[str, str]]:
    with ledger.storage.writing() as connection:
        found = [(str(row.subject), row.reason) for row in all_suppressed(connection)]
        connection.exec_driver_sql("DELETE FROM mail_suppressed")
    return found


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (delivery("5.1.1"), "bounced"),
        (delivery("5.1.10"), "bounced"),
        (delivery("5.0.0", kind="text/rfc822-headers"), "bounced"),
        (delivery("5.2.1"), "bounced"),
        (delivery("5.2.2"), None),  # a full mailbox
        (delivery("5.7.1"), None),  # not liked
        (complaint("abuse"), "complained"),
        (complaint("fraud"), "complained"),
        (complaint("opt-out"), "unsubscribed"),
    ],
)
def test_a_report_suppresses_the_address_that_the_mail_went_to(sent: Ledger, data: bytes, reason: str | None) -> None:
    """Not the address that the report names."""
    assert take_message(sent, data, now_ms=1) is not None
    assert suppressed(sent) == ([] if reason is None else [(address_hash(KEY, "ann@example.org"), reason)])


@pytest.mark.parametrize(
    "data",
    [
        delivery("4.4.1", action="delayed"),
        delivery("2.0.0", action="delivered"),
        delivery("5.1.1", own="f" * 32),
        delivery("5.1.1", own="../../etc"),
        complaint("not-spam"),
        complaint("abuse", own="0" * 32),
        b"",
        b"Subject: I am on holiday\r\n\r\nBack on Monday.",
        b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\n--b--",
        delivery("5.1.1")[:-200],
        delivery("5.1.1").replace(b"message/delivery-status", b"text/plain"),
        b"Content-Type: multipart/report; boundary=\r\n\r\n" + b"--\r\n" * 1_000,
        b"\xff\xfe\x00" * 100,
    ],
)
def test_anything_else_changes_nothing(sent: Ledger, data: bytes) -> None:
    assert take_message(sent, data, now_ms=1) is None
    assert suppressed(sent) == []


def test_reports_are_events_of_the_decision_each_once(sent: Ledger) -> None:
    for _ in range(2):
        take_message(sent, delivery("5.1.1"), now_ms=1)
        take_message(sent, complaint("abuse"), now_ms=2)
    suppressed(sent)
    names = [event.name for _, event in sent.events() if event.decision_id == decision_id(7) and event.subject == ANN]
    assert sorted(set(names) - {"Unsubscribed"}) == ["Email Bounced", "Email Delivered", "Email Marked as Spam"]
    assert len(names) == len(set(names))


def test_an_inbox_is_read_once_and_answers_are_left_for_people(sent: Ledger, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    (new / "1.bounce").write_bytes(delivery("5.1.1"))
    (new / "2.answer").write_bytes(b"Subject: Hello\r\n\r\nThank you!")
    log = start_log("critical")
    assert take_inbox(tmp_path, sent, now_ms=3, log=log) == 1
    assert sorted(path.name for path in (tmp_path / "cur").iterdir()) == ["1.bounce:2,S", "2.answer:2,"]
    assert take_inbox(tmp_path, sent, now_ms=4, log=log) == 0
    assert len(suppressed(sent)) == 1


def test_files_hold_one_message_or_a_mailbox(tmp_path: Path) -> None:
    single, several = tmp_path / "one.eml", tmp_path / "box"
    single.write_bytes(delivery("5.1.1"))
    box = b"From a Mon Jan  1 00:00:00 2026\n" + delivery("5.1.1").replace(b"\r\n", b"\n") + b"\n"
    several.write_bytes(box + box)
    for path, many in ((single, 1), (several, 2)):
        reports = [report_of(data) for data in messages_in(path)]
        assert [report.message_id for report in reports if report] == [OWN] * many
