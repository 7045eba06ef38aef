"""What comes back: delivery reports (RFC 3464) and complaints (ARF, RFC 5965), as mail.

Anybody can send such a report. It counts only when it holds the Message-ID of a mail of the outbox, which is a keyed
hash that nobody can guess: who was never written to cannot be silenced by a forged bounce, and no address is believed
that a report names.
"""

from __future__ import annotations

import re
from email import policy
from email.message import EmailMessage, Message
from email.parser import BytesParser
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import sqlalchemy as sa

from edgewise.consent import NOTHING
from edgewise.ids import DecisionId, MessageId, SubjectId
from edgewise.records import EventRecord
from hub.ledger import tables
from hub.ledger.ledger import Ledger
from hub.ledger.storing import append_events
from hub.log import Log
from hub.mail.shown import PRODUCER
from hub.mail.suppressed import BOUNCED, COMPLAINED, UNSUBSCRIBED, suppress

MOST_BYTES: Final = 2 << 20
AT_ONCE: Final = 500
_OWN_ID: Final = re.compile(r"<?([0-9a-f]{32})@[^\s<>@]+>?")
_GONE: Final = re.compile(r"5\.(?:1\.\d+|2\.1|0\.0)")
"""Enhanced codes that mean that there is nobody at this address; a full mailbox, or a message that was not liked, is
another thing."""
_SOURCE: Final = "bounce"


class Report(NamedTuple):
    """What a message reports."""

    event: str
    """Segment's name for it."""
    message_id: str
    reason: str | None
    """Why its reader is not written to any more; None: he may be."""
    words: str = ""


def report_of(data: bytes) -> Report | None:
    """What a message reports of a mail of ours; None for any other message, however it is made."""
    try:
        message = BytesParser(policy=policy.default).parsebytes(data[:MOST_BYTES])
        if message.get_content_type() != "multipart/report":
            return None
        own = _own_id(message)
        if own is None:
            return None
        return _delivery(message, own) or _feedback(message, own)
    except (ValueError, LookupError, AttributeError, TypeError, UnicodeError, RecursionError):
        return None  # the library's parsers raise all of these for messages that nobody should have sent


def take_report(connection: sa.Connection, report: Report, *, now_ms: int) -> bool:
    """Write it down, once however often it comes; False where the outbox knows no such mail."""
    outbox = tables.mail_outbox.c
    row = connection.execute(
        sa.select(outbox.key, outbox.subject, outbox.identifier, outbox.decision_id).where(
            outbox.message_id == report.message_id
        )
    ).first()
    if row is None:
        return False
    if report.reason is not None and row.identifier:
        suppress(connection, SubjectId(row.identifier), report.reason, _SOURCE, now_ms)
    kind = "hard" if report.reason == BOUNCED else "soft"
    properties = {"bounceType": kind} if report.event == "Email Bounced" else {}
    event = EventRecord(
        producer=PRODUCER,
        seq=0,
        subject=SubjectId(row.subject),
        message_id=MessageId(f"mail/{report.message_id}/{report.event}"),
        type="track",
        name=report.event,
        time_ms=now_ms,
        received_ms=now_ms,
        grants=NOTHING,
        decision_id=DecisionId(row.decision_id) if row.decision_id else None,
        body=msgspec.json.encode({"type": "track", "event": report.event, "properties": properties}),
        vouched=True,
    )
    append_events(connection, PRODUCER, [event], now_ms)
    return True


def take_message(ledger: Ledger, data: bytes, *, now_ms: int) -> Report | None:
    """Read one message and write down what it reports; None where it reports nothing of a mail of ours."""
    report = report_of(data)
    if report is None:
        return None
    with ledger.storage.writing() as connection:
        return report if take_report(connection, report, now_ms=now_ms) else None


def take_inbox(inbox: Path, ledger: Ledger, *, now_ms: int, log: Log) -> int:
    """Read what is new in a Maildir, and move it to `cur`, reports as seen; returns how many reports there were.

    Messages that are no reports are somebody's answers: they are left for people.
    """
    found = 0
    (inbox / "cur").mkdir(parents=True, exist_ok=True)
    for path in sorted((inbox / "new").glob("*"))[:AT_ONCE]:
        try:
            with path.open("rb") as file:
                data = file.read(MOST_BYTES)
            report = take_message(ledger, data, now_ms=now_ms)
            path.rename(inbox / "cur" / f"{path.name}:2,{'S' if report else ''}")
        except OSError as refused:
            log.warning("a message of the mail inbox cannot be read", file=path.name, reason=str(refused))
            continue
        found += report is not None
    return found


def _own_id(message: EmailMessage) -> str | None:
    """The Message-ID of the mail that is reported on, as its headers came back."""
    for part in message.walk():
        if part is message:
            continue
        kind = part.get_content_type()
        if kind == "message/rfc822":
            text = next((str(each.get("Message-ID", "")) for each in _messages(part)), "")
        elif kind == "text/rfc822-headers":
            headers = re.search(r"(?im)^message-id:\s*(\S+)", str(part.get_payload()))
            text = headers.group(1) if headers else ""
        else:
            continue
        if (own := _OWN_ID.fullmatch(text.strip())) is not None:
            return own.group(1)
    return None


def _delivery(message: EmailMessage, own: str) -> Report | None:
    for part in message.walk():
        if part.get_content_type() != "message/delivery-status":
            continue
        for group in _messages(part):
            if str(group.get("Action", "")).strip().lower() != "failed":
                continue
            status = str(group.get("Status", "")).split(" ")[0].strip()
            gone = _GONE.fullmatch(status) is not None
            return Report("Email Bounced", own, BOUNCED if gone else None, status)
    return None


def _feedback(message: EmailMessage, own: str) -> Report | None:
    for part in message.walk():
        if part.get_content_type() != "message/feedback-report":
            continue
        text = "\n".join(map(str, _messages(part))) or str(part.get_payload())
        found = re.search(r"(?im)^feedback-type:\s*([\w-]+)", text)
        kind = found.group(1).lower() if found else ""
        if kind in {"abuse", "fraud", "other"}:
            return Report("Email Marked as Spam", own, COMPLAINED, kind)
        if kind.startswith("opt-out"):
            return Report("Unsubscribed", own, UNSUBSCRIBED, kind)
    return None


def _messages(part: Message) -> list[Message]:
    """What a part of kind `message/…` holds."""
    held = part.get_payload()
    return [each for each in held if isinstance(each, Message)] if isinstance(held, list) else []


def messages_in(path: Path) -> list[bytes]:
    """The messages of a file: one, or an mbox of several. Raises OSError."""
    import mailbox

    with path.open("rb") as file:
        start = file.read(5)
    if start != b"From ":
        return [path.read_bytes()]
    box = mailbox.mbox(str(path), create=False)
    try:
        return [box.get_bytes(key) for key in box.iterkeys()]
    finally:
        box.close()
