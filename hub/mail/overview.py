"""The outbox at a glance: how many of what, those that nobody knows the fate of, and who is not written to."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from edgewise.ids import SubjectId
from hub.ledger import tables
from hub.ledger.ledger import Ledger
from hub.mail.outbox import MailRow, Outbox
from hub.mail.states import MailState

_SHOWN = 100


class MailCount(msgspec.Struct, frozen=True):
    """How many mails of a journey are in a state, for a reason."""

    journey: str
    state: MailState
    reason: str
    mails: int


class ShownMail(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A mail, without anything of its content: that is decided when it is sent, and not kept."""

    key: str
    journey: str
    person: SubjectId
    state: MailState
    due_ms: int
    not_after_ms: int
    changed_ms: int
    handed_ms: int | None
    tries: int
    reason: str
    words: str
    message_id: str
    decision_id: str


class MailView(msgspec.Struct, frozen=True, rename="camel"):
    """All of it."""

    counts: list[MailCount]
    next_due_ms: int | None
    """When the next mail is due; None: none waits."""
    uncertain: list[ShownMail]
    """The latest of those that were begun to be handed over, and nobody knows whether they left; never sent again."""
    suppressed: dict[str, int]
    """Reason -> how many addresses and people are not written to."""


def view(ledger: Ledger) -> MailView:
    """As it stands now."""
    with ledger.storage.reading() as connection:
        return MailView(
            counts=counts(connection),
            next_due_ms=Outbox.next_due_ms(connection),
            uncertain=[shown(row) for row in Outbox.rows(connection, (MailState.UNCERTAIN,), limit=_SHOWN)],
            suppressed=suppressed_counts(connection),
        )


def counts(connection: sa.Connection) -> list[MailCount]:
    """By journey, state and reason."""
    return [MailCount(*key, mails) for key, mails in Outbox.counts(connection).items()]


def suppressed_counts(connection: sa.Connection) -> dict[str, int]:
    """By reason."""
    reason = tables.mail_suppressed.c.reason
    rows = connection.execute(sa.select(reason, sa.func.count()).group_by(reason).order_by(reason))
    return {row[0]: row[1] for row in rows}


def shown(row: MailRow) -> ShownMail:
    """What people see of it."""
    return ShownMail(
        key=row.key,
        journey=row.journey,
        person=row.subject,
        state=row.state,
        due_ms=row.due_ms,
        not_after_ms=row.not_after_ms,
        changed_ms=row.changed_ms,
        handed_ms=row.handed_ms,
        tries=row.tries,
        reason=row.reason,
        words=row.words,
        message_id=row.message_id,
        decision_id=row.decision_id,
    )
