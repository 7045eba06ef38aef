"""Whether a mail may go at this very moment: asked inside the transaction that marks it as being handed over.

What is stored before that transaction counts, what is stored after it came too late. Everything that nobody has granted
fails closed.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from edgewise.consent import ConsentState
from edgewise.dial import DIAL_EVERYTHING
from edgewise.ids import SubjectId
from edgewise.profile.preferences import Preferences
from edgewise.profile.state import DAY_MS
from hub.ledger.links import members_of_all
from hub.ledger.people import stated_by
from hub.mail.letters import Dropped, Due, Later, Limits
from hub.mail.outbox import Outbox
from hub.mail.quiet import quiet_until
from hub.mail.suppressed import suppressed_among

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
    members = members_of_all(connection, [due.person])
    if (whom := suppressed_among(connection, {*members, identifier})) is not None:
        return Dropped(whom.reason)
    if (against := unwilling(stated_by(connection, {*members, identifier}))) is not None:
        return against
    most = most_per_week if limits.most_per_week is None else min(limits.most_per_week, most_per_week)
    if Outbox.went_since(connection, members, now_ms - WEEK_MS, but=due.key) >= most:
        return Dropped("cap", f"{most} within seven days")
    if (until_ms := quiet_until(limits.quiet, now_ms)) is not None:
        return Later(until_ms, "quiet")
    return None


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
