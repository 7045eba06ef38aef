"""How a mail leaves the hub, and what whoever takes it can have answered."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import msgspec

from hub.mail.letters import Due, Letter


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A mail, ready to be handed over."""

    due: Due
    letter: Letter
    sender: str
    """The bare address that bounces go to."""
    to: str
    """The bare address."""
    message_id: str
    """Without angle brackets and domain."""
    data: bytes
    """As RFC 5322 has it, with CRLF."""
    html: str = ""
    """Its parts as they were put into it, for a platform that builds messages itself."""
    text: str = ""
    unsubscribe: str = ""
    """URL that ends it by one POST (RFC 8058)."""


class Handed(NamedTuple):
    """It was taken: whoever took it answers for it now."""

    words: str = ""


class NotNow(NamedTuple):
    """It was turned away before its content was sent, and may be tried again."""

    reason: str
    words: str = ""


class NotAtAll(NamedTuple):
    """It was turned away for good, and has not left."""

    reason: str
    words: str = ""
    is_bad_address: bool = False
    """Nobody can be reached there: it is not written to again."""


class Unknown(NamedTuple):
    """Nobody can say whether it left."""

    words: str


Answer = Handed | NotNow | NotAtAll | Unknown


class Way(Protocol):
    """One way for mail to leave: a mail server, a platform."""

    activation: str
    """Name of the event that a mail which was taken gives rise to: `Email Delivered`, or `Email Sent` where the
    platform itself reports what it delivered."""

    def hand(self, mail: Prepared, now_ms: int) -> Answer:
        """Hand it over, once. What is raised counts as Unknown."""
        ...
