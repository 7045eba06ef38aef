"""Who a request is about and what may be done with him: identity, preferences, consent; before any profile is read."""

from __future__ import annotations

from typing import Final

import msgspec

from edge.profiles.cache import Reading
from edge.worker.identity import Caller
from edgewise.consent import NOTHING, Consent, Grants, effective
from edgewise.ids import SubjectId
from edgewise.intake import Call
from edgewise.profile.preferences import DIAL_NOTHING, Preferences, merge_preferences
from edgewise.records import ANONYMOUS
from edgewise.request import Context
from edgewise.subjects import subject_of


class Visit(msgspec.Struct, frozen=True):
    """One visitor, as one request may know him."""

    subject: SubjectId
    """Whose profile this would be; ANONYMOUS where the request names nobody."""
    own: SubjectId
    """The subject that the browser has proven to be; ANONYMOUS without a proof."""
    preferences: Preferences
    grants: Grants
    is_unheard: bool = False
    """Nothing is granted because the cache was lost, and with it what he may have stated: the hub is to be asked."""

    @property
    def logged_as(self) -> SubjectId:
        """The subject that may stand in a log: ANONYMOUS unless personalisation or analytics is granted."""
        return self.subject if self.grants.personalisation or self.grants.analytics else ANONYMOUS

    @property
    def owners(self) -> tuple[SubjectId, ...]:
        """Who may ask about what was decided; nobody where nothing may be tied to a person."""
        if self.logged_as == ANONYMOUS:
            return ()
        return tuple({self.subject, self.own} - {ANONYMOUS})


CLOSED: Final = Visit(ANONYMOUS, ANONYMOUS, Preferences(), NOTHING)
"""Somebody whose preferences cannot be read: consent fails closed."""


def recognise(
    reading: Reading,
    key: bytes,
    caller: Caller,
    *,
    anonymous_id: str | None,
    user_id: str | None,
    asked: Consent,
    default: Consent,
) -> Visit:
    """Find out whom a request is about, what he has stated, and what follows.

    `key` is the site's key of subjects. An `anonymous_id` is a pseudonym, a `user_id` counts only if a server
    vouches for it. Where a page names a pseudonym and the browser proves another id, the statements of both hold: the
    will belongs to the person in front of it, under whatever name.
    """
    own = ANONYMOUS if caller.visitor is None else subject_of(key, "anonymousId", caller.visitor)
    named = anonymous_id or caller.pseudonym
    if named is not None:
        subject = subject_of(key, "anonymousId", named)
    elif user_id is not None and caller.is_server:
        subject = subject_of(key, "userId", user_id)
    else:
        subject = own
    preferences = Preferences() if subject == ANONYMOUS else reading.preferences(subject)
    if own not in (ANONYMOUS, subject):
        preferences = merge_preferences(preferences, reading.preferences(own))
    is_unheard = subject != ANONYMOUS and reading.consent_is_unknown(subject)
    grants = effective(
        stored=preferences.stored_consent,
        asked=asked,
        default=default,
        opted_out=preferences.dial.value == DIAL_NOTHING or is_unheard,
        global_privacy_control=caller.opts_out,
    )
    return Visit(subject, own, preferences, grants, is_unheard)


def without_claims(call: Call, caller: Caller) -> Call:
    """A call without what its sender has not proven: other identifiers than the pseudonym would merge two people.

    Only a server, or the browser whose proof the call's own id is, may name a user, an e-mail address, a group.
    """
    is_proven = caller.is_server or (caller.visitor is not None and call.anonymous_id == caller.visitor)
    if is_proven:
        return call
    traits = {name: value for name, value in call.traits.items() if name not in {"email", "phone"}}
    return msgspec.structs.replace(call, user_id=None, traits=traits, linked={})


def without_queries(context: Context) -> Context:
    """A context whose addresses end before `?` and `#`, where sites put e-mail addresses and tokens.

    To be decided by, and not only logged, where nothing may be tied to a person: a replay must see the same.
    """
    page = context.page
    return msgspec.structs.replace(
        context,
        page=msgspec.structs.replace(
            page, path=_address(page.path), referrer=_address(page.referrer), url=_address(page.url)
        ),
    )


def _address(url: str) -> str:
    return url.partition("?")[0].partition("#")[0]
