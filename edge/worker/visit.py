"""Who a request is about and what may be done with him: identity, preferences, consent; before any profile is read."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from edge.profiles.reading import Reading
from edge.worker.identity import Caller
from edgewise.consent import NOTHING, Consent, Grants, effective
from edgewise.dial import DIAL_EVERYTHING, DIAL_NOTHING, DIAL_SESSION, stricter
from edgewise.identifiers import is_blocked
from edgewise.ids import SubjectId
from edgewise.intake import Call
from edgewise.profile.preferences import Preferences, merge_preferences
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
    """Nothing is granted: he may have stated something elsewhere, or here before the cache was lost."""
    wanted: tuple[SubjectId, ...] = ()
    """Of whom the hub is to be asked."""
    is_vouched: bool = False
    """A server names him, so that a userId of his counts before any device."""
    dial: int = DIAL_EVERYTHING
    """The stricter of what he has stated and what he says with this request."""

    @property
    def may_be_known_again(self) -> bool:
        """Whether a browser may be given a proof that outlives its session."""
        return self.grants.personalisation and self.dial > DIAL_SESSION

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


class Standing(NamedTuple):
    """How far this node knows what a visitor has stated."""

    is_heard: bool
    """What he has stated anywhere is known here, as far as the hub could tell."""
    is_wanted: bool
    """The hub is to be asked, so that it tells of every change from now on."""


def standing(reading: Reading, subject: SubjectId, *, has_hub: bool) -> Standing:
    """How a proven visitor stands; `has_hub` is false also for a pseudonym, who is served without asking first."""
    if reading.consent_is_unknown(subject):
        return Standing(is_heard=False, is_wanted=True)
    if not has_hub or reading.is_followed(subject):
        return Standing(is_heard=True, is_wanted=False)
    return Standing(is_heard=reading.is_cached(subject), is_wanted=True)


def recognise(
    reading: Reading,
    key: bytes,
    caller: Caller,
    *,
    anonymous_id: str | None,
    user_id: str | None,
    asked: Consent,
    default: Consent,
    has_hub: bool,
    is_new: bool = False,
    tracked: SubjectId = ANONYMOUS,
) -> Visit:
    """Find out whom a request is about, what he has stated, and what follows.

    `key` is the site's key of subjects. A `user_id` counts only if a server vouches for it, and then before any device;
    an `anonymous_id` is a pseudonym. `tracked` is whose record a call would be that names neither, or only a userId
    that nobody vouches for: it is counted as that subject's, and nothing else follows from it. But he is no pseudonym
    of one browser: he may have denied it anywhere, so that he is heard first like a proven visitor. `is_new`: the id
    was made for this request, so that nobody can have stated anything under it. With a hub, a proven visitor who has
    no row here is unheard (`proto/decisions/0009-unheard-visitors.md`).

    Where a page names a pseudonym and the browser proves another id, the statements of both hold: the will belongs to
    the person in front of it, under whatever name; likewise where a server names a user and his device.
    """
    own = ANONYMOUS if caller.visitor is None else subject_of(key, "anonymousId", caller.visitor)
    named = anonymous_id or caller.pseudonym
    device = ANONYMOUS if named is None or is_blocked(named) else subject_of(key, "anonymousId", named)
    if user_id is not None and caller.is_server and not is_blocked(user_id):
        subject = subject_of(key, "userId", user_id)
    else:
        subject = device or own or tracked
    preferences = Preferences() if subject == ANONYMOUS else reading.preferences(subject)
    others = {own, device} - {ANONYMOUS, subject}
    for other in sorted(others):
        preferences = merge_preferences(preferences, reading.preferences(other))
    heard_first = {own} if device or own else {tracked}
    if caller.is_server and not is_new:
        heard_first = {own, subject, device}
    standings = {
        each: standing(reading, each, has_hub=has_hub and each in heard_first)
        for each in {*others, subject} - {ANONYMOUS}
    }
    is_unheard = not all(each.is_heard for each in standings.values())
    dial = stricter(preferences.dial.value, caller.dial)
    grants = effective(
        stored=preferences.stored_consent,
        asked=asked,
        default=default,
        opted_out=dial == DIAL_NOTHING or is_unheard,
        global_privacy_control=caller.opts_out,
    )
    wanted = tuple(each for each, stands in standings.items() if stands.is_wanted)
    return Visit(subject, own, preferences, grants, is_unheard, wanted, caller.is_server, dial)


def without_claims(call: Call, caller: Caller) -> Call:
    """A call without what its sender has not proven: other identifiers than the pseudonym would merge two people.

    Only a server, or the browser whose proof the call's own id is, may name a user, an e-mail address, a group. A
    userId that stands alone is a pseudonym like any other: it links nobody to anybody.
    """
    is_proven = caller.is_server or (caller.visitor is not None and call.anonymous_id == caller.visitor)
    if is_proven:
        return call
    return msgspec.structs.replace(call, user_id=call.user_id if call.anonymous_id is None else None, linked={})


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
