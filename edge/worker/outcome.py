"""What became of an event, and why it does not move its visitor's profile: for `/status` and `/metrics`.

A shop that connects its first client sees `200 {"success": true}` and an empty profile, because nobody has granted
anything yet. So each event that is taken and leaves no trace in a profile is counted by the reason.
"""

from __future__ import annotations

from enum import StrEnum

from edge.worker.visit import CLOSED, Visit
from edgewise.consent import Consent, ConsentState
from edgewise.dial import DIAL_NOTHING
from edgewise.records import ANONYMOUS, EventRecord


class Outcome(StrEnum):
    """What became of one event; each has exactly one."""

    ACCEPTED = "accepted"
    """Stored, and counted in its visitor's profile."""
    ANALYTICS_ONLY = "analytics_only"
    """Stored with its visitor, who has not granted personalisation: his profile stays as it is."""
    WITHOUT_CONSENT = "without_consent"
    """Counted, and tied to nobody: no identifier and no content of it is stored."""
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


class Reason(StrEnum):
    """Why an event does not move a profile."""

    PENDING = "pending"
    """Nobody has granted it: neither the call, nor the visitor before, nor the site's default."""
    DENIED = "denied"
    """The call, or the visitor before, has denied personalisation."""
    DIAL = "dial"
    """The visitor's dial is at 0."""
    GPC = "gpc"
    """His browser sends `Sec-GPC: 1`."""
    UNHEARD = "unheard"
    """A proven visitor of whom the hub is still being asked."""
    NOBODY = "nobody"
    """The call names nobody whom its sender may name."""
    CACHE = "cache"
    """What he has stated cannot be read, so nothing is granted."""


def outcome_of(record: EventRecord) -> Outcome:
    """What became of an event that was taken."""
    if record.subject == ANONYMOUS:
        return Outcome.WITHOUT_CONSENT
    return Outcome.ACCEPTED if record.grants.personalisation else Outcome.ANALYTICS_ONLY


def reason_of(visit: Visit, asked: Consent, *, global_privacy_control: bool) -> Reason:
    """Why personalisation is not granted on this visit; the first that applies, in the order in which consent looks."""
    if visit is CLOSED:
        return Reason.CACHE
    if visit.subject == ANONYMOUS:
        return Reason.NOBODY
    if visit.is_unheard:
        return Reason.UNHEARD
    if visit.dial == DIAL_NOTHING:
        return Reason.DIAL
    if global_privacy_control:
        return Reason.GPC
    denied = ConsentState.DENIED in (visit.preferences.stored_consent.personalisation, asked.personalisation)
    return Reason.DENIED if denied else Reason.PENDING
