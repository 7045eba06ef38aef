"""Whether a mail may go at this very moment: asked inside the transaction that marks it as being handed over.

What is stored before that transaction counts, what is stored after it came too late. Everything that nobody has granted
fails closed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import sqlalchemy as sa

from edgewise.consent import ConsentState, Purpose
from edgewise.dial import DIAL_EVERYTHING
from edgewise.ids import SubjectId
from edgewise.profile.preferences import Preferences
from edgewise.profile.state import DAY_MS
from hub.ledger.links import members_of_all
from hub.ledger.people import stated_by
from hub.mail.letters import Dropped, Due, Later, Limits
from hub.mail.outbox import Outbox
from hub.mail.quiet import quiet_until
from hub.mail.suppressed import UNSUBSCRIBED, suppressed_among

WEEK_MS: Final = 7 * DAY_MS


def may_go(
    connection: sa.Connection,
    due: Due,
    identifier: SubjectId,
    limits: Limits,
    *,
    most_per_week: int,
    now_ms: int,
) -> Dropped | Later | None:
    """None: it may. `identifier` is the keyed hash of the address, `most_per_week` the hub's own limit."""
    if now_ms > due.not_after_ms:
        return Dropped("late")
    most = most_per_week if limits.most_per_week is None else min(limits.most_per_week, most_per_week)
    if (against := unwanted(connection, due, identifier, most_per_week=most, now_ms=now_ms)) is not None:
        return against
    until_ms = quiet_until(limits.quiet, now_ms)
    return None if until_ms is None else Later(until_ms, "quiet")


def unwanted(
    connection: sa.Connection, due: Due, identifier: SubjectId, *, most_per_week: int, now_ms: int
) -> Dropped | None:
    """Why its reader is not written to whatever the mail would say; None: he may be.

    For whoever decides what it says: that costs codes, and is learned from. `may_go` has the last word.
    """
    members = members_of_all(connection, [due.person])
    whose = {*members, identifier}
    said = stated_by(connection, whose)
    return _unwanted(connection, whose, said) or _too_often(connection, due, members, said, most_per_week, now_ms)


def _unwanted(connection: sa.Connection, whose: Collection[SubjectId], said: Preferences) -> Dropped | None:
    for whom in suppressed_among(connection, set(whose)):
        if whom.reason != UNSUBSCRIBED or granted_ms(said) <= whom.time_ms:
            return Dropped(whom.reason)
    return unwilling(said)


def _too_often(  # noqa: PLR0917  # all of it is one question
    connection: sa.Connection, due: Due, members: Collection[SubjectId], said: Preferences, most: int, now_ms: int
) -> Dropped | None:
    if said.mail_days and Outbox.went_since(connection, members, now_ms - said.mail_days * DAY_MS, but=due.key):
        return Dropped("frequency", f"one in {said.mail_days} days")
    if Outbox.went_since(connection, members, now_ms - WEEK_MS, but=due.key) >= most:
        return Dropped("cap", f"{most} within seven days")
    return None


def granted_ms(preferences: Preferences) -> int:
    """When marketing was granted, 0 where it is not: who comes back after he unsubscribed may be written to again."""
    stated = preferences.consent.get(Purpose.MARKETING)
    return stated.stamp[0] if stated is not None and stated.value is ConsentState.GRANTED else 0


def unwilling(preferences: Preferences) -> Dropped | None:
    """Why somebody who has stated this is not written to; None: he may be.

    A mail is about what a visitor did before this session, so it needs the whole dial.
    """
    said = preferences.stored_consent
    if said.marketing is not ConsentState.GRANTED:
        return Dropped("consent", "marketing was never granted" if said.marketing is None else said.marketing.value)
    if said.personalisation is ConsentState.DENIED:
        return Dropped("consent", "personalisation is denied")
    if preferences.dial.value < DIAL_EVERYTHING:
        return Dropped("dial", f"{preferences.dial.value}")
    return None
