"""What is handed around between whoever decides to write, the outbox, and whoever hands mail over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import msgspec
import sqlalchemy as sa

from edgewise.ids import SubjectId
from edgewise.records import DecisionRecord
from hub.mail.quiet import NEVER_QUIET, Quiet


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that is to be written now."""

    key: str
    """What the mail is about, and what makes it one: a second `put` under the same key is none."""
    journey: str
    person: SubjectId
    due_ms: int
    not_after_ms: int
    """Later than that it is not sent any more."""
    tries: int = 0
    """How often it was begun before."""
    payload: dict[str, Any] = {}
    """What whoever put it there wants to know again."""


class Dropped(NamedTuple):
    """It is not sent, for good."""

    reason: str
    """One word, as figures count it: `ordered`, `no-consent`, `cap`, `nothing`, …"""
    words: str = ""
    """What a person should know besides."""


class Later(NamedTuple):
    """It is not sent now; at this moment it is written anew."""

    due_ms: int
    reason: str


class Limits(NamedTuple):
    """How often and when a person is written to. Looked at when the mail is handed over, not when it is planned."""

    most_per_week: int | None = None
    """Mails of all journeys to one person within seven days, this one included; None: as many as the hub allows."""
    quiet: Quiet = NEVER_QUIET


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A mail as it was decided and written."""

    to: str
    """The raw address. It is not stored: the outbox keeps its keyed hash."""
    subject: str
    html: str
    text: str
    locale: str = "en"
    decisions: tuple[DecisionRecord, ...] = ()
    """What was decided for it, deferred: each counts as shown once the mail is sent. Producer and number are given
    here; the first one is what opens and clicks belong to."""
    why: tuple[str, ...] = ()
    """Why it says what it says, in sentences for its reader."""
    trouble: str = ""
    """What could not be said as it was meant, and why: for operators, and no reason not to send it."""
    limits: Limits = Limits()
    on_sent: Callable[[sa.Connection, int], None] | None = None
    """Called once it is sent, in the transaction that writes that down."""


class Writer(Protocol):
    """Whoever decides what a mail says. Asked again for each attempt."""

    def write(self, due: Due, now_ms: int) -> Letter | Dropped | Later:
        """Decide and write; no transaction is open. Whatever is raised is tried again later, and holds up no other."""
        ...

    def still(self, connection: sa.Connection, due: Due, now_ms: int) -> Dropped | Later | None:
        """Whether the reason to write still stands (no order since, …): asked inside the transaction that lets it go.

        None: it does.
        """
        ...
