"""`GET, PUT /v1/preferences`: the visitor's own dial, mutes and consent; for the proven visitor only."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated

import msgspec
from msgspec import Meta

from edge.spool.writer import SpoolFullError
from edge.worker.desk import Desk
from edge.worker.endpoint import PRIVATE, Exchange, json_answer
from edge.worker.identity import unproven
from edge.worker.problems import Answer
from edge.worker.visit import standing
from edgewise.consent import Consent
from edgewise.dial import DIAL_EVERYTHING, DIAL_NOTHING
from edgewise.errors import UnavailableError
from edgewise.ids import SubjectId
from edgewise.profile.preferences import MAX_MUTED, MUTE_KINDS, Mutes, Preferences
from edgewise.records import PreferenceRecord
from edgewise.subjects import subject_of

Values = Annotated[list[Annotated[str, Meta(min_length=1, max_length=200)]], Meta(max_length=MAX_MUTED)]
MailDays = Annotated[int, Meta(ge=0, le=365)]
Dial = Annotated[int, Meta(ge=DIAL_NOTHING, le=DIAL_EVERYTHING)]


class Mute(msgspec.Struct, frozen=True):
    """What is never to be shown."""

    categories: list[str] = []
    topics: list[str] = []
    brands: list[str] = []
    items: list[str] = []


class MuteBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is never to be shown from now on; a kind that is left out stays as it was."""

    categories: Values | None = None
    topics: Values | None = None
    brands: Values | None = None
    items: Values | None = None

    def over(self, before: Mutes) -> Mutes:
        """All mutes, after these were stated over those of before."""
        stated = {kind: getattr(self, kind) for kind in MUTE_KINDS}
        return {kind: before.get(kind, ()) if values is None else tuple(values) for kind, values in stated.items()}

    @property
    def is_whole(self) -> bool:
        """Whether nothing of before is needed."""
        return all(getattr(self, kind) is not None for kind in MUTE_KINDS)


class PreferencesAnswer(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What the visitor has stated, defaults where he has not."""

    dial: int
    """0 nothing personal, 1 this page's context only, 2 this session, 3 everything that I agreed to."""
    mute: Mute
    more: list[str]
    less: list[str]
    consent: Consent
    mail_days: int = 0
    """At least so many days between two mails; 0, which is left out: as they come."""


class PreferencesBody(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What is stated now; what is left out stays as it was. What nobody knows is refused: it would state nothing."""

    dial: Dial | None = None
    mute: MuteBody | None = None
    more: Values | None = None
    less: Values | None = None
    consent: Consent = Consent()
    mail_days: MailDays | None = None
    """At least so many days between two mails; 0: as they come."""
    anonymous_id: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """Whose preferences these are; only a server may say so."""


_bodies = msgspec.json.Decoder(PreferencesBody)


class PreferencesRoute:
    """Reads and states preferences."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def get(self, exchange: Exchange) -> Answer:
        """What was stated."""
        subject = self._proven(exchange, None)
        self._is_heard(subject)
        return json_answer(_shown(self._desk.cache.preferences(subject)), headers=[PRIVATE])

    async def put(self, exchange: Exchange) -> Answer:
        """Holds from the next request on, on all workers, and is durable before it is acknowledged."""
        desk = self._desk
        body = _bodies.decode(exchange.body)
        subject = self._proven(exchange, body.anonymous_id)
        is_heard, mute, known = self._is_heard(subject), None, self._known(subject)
        if body.mute is not None:
            if not (is_heard or body.mute.is_whole):
                raise UnavailableError("this node is asking the hub for what was muted before")
            mute = body.mute.over(known.mute.value)
        now_ms = desk.clock.now_ms()
        # After all that he may have stated here before, whatever the clock says: his last word holds.
        before_ms = known.latest_ms if is_heard else max(known.latest_ms, desk.statement_time.latest_ms())
        record = PreferenceRecord(
            producer=desk.spool.producer,
            seq=desk.spool.next_seq,
            subject=subject,
            time_ms=max(now_ms, before_ms + 1),
            received_ms=now_ms,
            dial=body.dial,
            mute=mute,
            more=None if body.more is None else tuple(body.more),
            less=None if body.less is None else tuple(body.less),
            consent=body.consent,
            mail_days=body.mail_days,
        )
        if desk.spool.append(record) is None:
            raise SpoolFullError("the disk of the node is full")
        desk.cache.state(subject, record)
        await asyncio.gather(desk.spool.commit(), asyncio.to_thread(self._keep, record.time_ms))
        return json_answer(_shown(desk.cache.preferences(subject)), headers=[PRIVATE])

    def _keep(self, time_ms: int) -> None:
        """On a disk that fails the statement itself is what matters; that it is durable is for the spool to say."""
        with contextlib.suppress(OSError):
            self._desk.statement_time.keep(time_ms)

    def _known(self, subject: SubjectId) -> Preferences:
        """What was stated before; nothing where it cannot be read, for then it must be possible to state it anew."""
        try:
            return self._desk.cache.preferences(subject)
        except ValueError:
            return Preferences()

    def _is_heard(self, subject: SubjectId) -> bool:
        """Whether this node knows what the visitor stated elsewhere; asks the hub where it does not."""
        desk = self._desk
        with desk.cache.reading() as reading:
            stands = standing(reading, subject, has_hub=desk.has_hub)
        if stands.is_wanted:
            desk.want(subject)
        return stands.is_heard

    def _proven(self, exchange: Exchange, named: str | None) -> SubjectId:
        caller = exchange.caller
        anonymous_id = (named or caller.pseudonym or caller.visitor) if caller.is_server else caller.visitor
        if anonymous_id is None:
            raise unproven("the cookie ew_id, a visitor token, or a server key together with Edgewise-Id")
        return subject_of(self._desk.keys.subject_key, "anonymousId", anonymous_id)


def _shown(preferences: Preferences) -> PreferencesAnswer:
    return PreferencesAnswer(
        dial=preferences.dial.value,
        mute=msgspec.convert(preferences.mute.value, Mute),
        more=list(preferences.more.value),
        less=list(preferences.less.value),
        consent=preferences.stored_consent,
        mail_days=preferences.mail_days,
    )
