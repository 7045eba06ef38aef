"""States of a mail in the outbox, and which may follow which."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class MailState(StrEnum):
    """What became of a mail so far."""

    DUE = "due"
    """It waits for its time, or for another attempt."""
    WRITING = "writing"
    """It is being decided and written; nothing of it has left the hub. Whoever dies here leaves it due."""
    HANDING = "handing"
    """It may be leaving the hub at this moment. Whoever dies here leaves it uncertain."""
    SENT = "sent"
    """Whoever takes mail for us has said that he has it."""
    UNCERTAIN = "uncertain"
    """It was begun to be handed over and nobody knows whether it left. It is never sent again."""
    REFUSED = "refused"
    """Whoever takes mail for us has said that he will not have it; it did not leave."""
    DROPPED = "dropped"
    """It was decided not to send it; the reason says why."""
    EXPIRED = "expired"
    """Its time ran out before it could be sent."""


OPEN: Final = (MailState.DUE, MailState.WRITING, MailState.HANDING)
WENT: Final = (MailState.HANDING, MailState.SENT, MailState.UNCERTAIN)
"""States in which the person has the mail, or may have it: what counts against caps."""
FOLLOWS: Final = {
    MailState.DUE: {MailState.WRITING, MailState.EXPIRED},
    MailState.WRITING: {MailState.DUE, MailState.HANDING, MailState.DROPPED, MailState.EXPIRED},
    MailState.HANDING: {MailState.DUE, MailState.SENT, MailState.UNCERTAIN, MailState.REFUSED},
    # Who was taken for dead comes back and knows after all; or the reader opens it.
    MailState.UNCERTAIN: {MailState.SENT, MailState.REFUSED},
    MailState.SENT: set[MailState](),
    MailState.REFUSED: set[MailState](),
    MailState.DROPPED: set[MailState](),
    MailState.EXPIRED: set[MailState](),
}
"""Back to `due` from `handing` only where it is certain that nothing left: a refusal before the content was sent."""
