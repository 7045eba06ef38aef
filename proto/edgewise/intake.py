"""From a Segment call to a record: validated, its clock corrected, its identifiers hashed, its items enriched.

Follows Segment's HTTP tracking API. What its properties say of items, money, time and tickets: `edgewise.touches`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from edgewise.consent import Consent, ConsentState, Grants
from edgewise.errors import InputError, Problem
from edgewise.ids import DecisionId, MessageId, PlacementName, Producer
from edgewise.money import SITE_CURRENCY
from edgewise.naming import identifiers_of, names_of, subject_of_call
from edgewise.pointing import problem_in
from edgewise.profile.state import EARLIEST_MS
from edgewise.records import ANONYMOUS, EventRecord
from edgewise.subjects import subject_of
from edgewise.touches import MAX_PRODUCTS, MAX_TEXT, AttributesOf, said_of

MAX_CALL_BYTES: Final = 32 * 1024
"""Segment's own limit for one call."""

CallType = Literal["track", "identify", "page", "screen", "group", "alias"]
BATCHES: Final = ("batch", "b", "import", "import/")
"""What clients call several calls at once; the older ones say import, of Java with a slash behind it."""

_Id = Annotated[str, Meta(min_length=1, max_length=200)] | int
_Number = int | float | None

_NEVER_IN_PROPERTIES: Final = frozenset({"email", "phone", "userid", "anonymousid"})
"""As `_folded`, at any depth: they belong into the call, where they are hashed."""
_DROPPED_TRAITS: Final = _NEVER_IN_PROPERTIES | frozenset(
    (
        *("name", "firstname", "middlename", "lastname", "fullname", "givenname", "familyname", "surname"),
        *("displayname", "nickname", "username", "avatar", "birthday", "birthdate", "dateofbirth", "dob"),
        *("address", "address1", "address2", "street", "street1", "street2", "streetaddress", "emailaddress"),
        *("mobile", "mobilephone", "mobilenumber", "phonenumber", "telephone", "tel", "cell", "cellphone", "fax"),
    )
)
"""As `_folded`: what names a person is no trait; nodes get all traits."""
_ADDRESS: Final = re.compile(r"[^\s@]@[^\s@]+\.[^\s@]")
"""An e-mail address, by any name: too many names are possible."""
_SCORES: Final = "score."
"""Of traits that a vendor's model states, by a source: they may decide what a person is shown."""
_JOINTS: Final = str.maketrans("", "", "_- ")
_MAX_DEPTH: Final = 64
"""Of properties; nobody's are nested half as deep."""
_KEPT_CONTEXT: Final = ("page", "locale", "timezone", "campaign", "library", "device", "screen", "app")
_CONSENT_WORDS: Final = {
    "personalisation": "personalisation",
    "personalization": "personalisation",
    "analytics": "analytics",
    "marketing": "marketing",
    "advertising": "marketing",
}


class _ConsentContext(msgspec.Struct, rename="camel"):
    category_preferences: dict[str, bool] = {}


class _CallContext(msgspec.Struct):
    consent: _ConsentContext = msgspec.field(default_factory=_ConsentContext)


class _Within(msgspec.Struct):
    """The context where it stands, so that problems name the whole path."""

    context: _CallContext


class Envelope(msgspec.Struct, rename="camel"):
    """One call as it is sent; which fields it needs depends on its type (`decode_call`)."""

    type: CallType | None = None
    message_id: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    anonymous_id: _Id | None = None
    user_id: _Id | None = None
    previous_id: _Id | None = None
    group_id: _Id | None = None
    event: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    name: Annotated[str, Meta(max_length=500)] | None = None
    timestamp: dt.datetime | None = None
    sent_at: dt.datetime | None = None
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None
    context: dict[str, Any] | None = None


class Call(msgspec.Struct, frozen=True):
    """One valid Segment call. Raw identifiers live here and nowhere behind `record_of`."""

    type: CallType
    name: str
    anonymous_id: str | None
    user_id: str | None
    message_id: MessageId | None
    consent: Consent
    timestamp: dt.datetime | None
    sent_at: dt.datetime | None
    properties: dict[str, Any]
    traits: dict[str, Any]
    context: dict[str, Any]
    linked: dict[str, str]
    """Further identifiers by kind, normalised: `groupId`, `previousId`, e-mail, phone, `context.externalIds`."""


_decoder = msgspec.json.Decoder(Envelope)
_encoder = msgspec.json.Encoder(order="deterministic")


def decode_call(
    raw: bytes | msgspec.Raw,
    *,
    type: CallType | None,  # noqa: A002  # Segment's word
    fallback_id: str | None = None,
    most_bytes: int = MAX_CALL_BYTES,
) -> Call:
    """Decode one call; `type` is the route's, or None where the message names its own.

    `fallback_id` is the anonymous id that the request around it names (a cookie, a decision's visitor), for a call
    that names nobody itself. `most_bytes`: an import may bring an order of a thousand lines, which no visitor sends.

    Raises:
        InputError: with a path and what was expected, for anything that is no valid call.
    """
    if len(bytes(raw)) > most_bytes:
        raise _wrong("$", f"a call has at most {most_bytes} bytes, this one {len(bytes(raw))}")
    try:
        envelope = _decoder.decode(raw)
        context = msgspec.convert({"context": envelope.context or {}}, _Within).context
    except msgspec.ValidationError as wrong:
        problem = problem_in(wrong, partial(msgspec.json.decode, raw))
        raise _wrong(problem.path, problem.message) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as broken:
        raise _wrong("$", f"not JSON: {broken}") from None
    kind = type or envelope.type
    if kind is None:
        raise _wrong("$.type", "expected one of track, identify, page, screen, group, alias; got nothing")
    _refuse_nul(envelope)
    names = names_of(envelope, kind, fallback_id)
    if kind == "track" and envelope.event is None:
        raise _wrong("$.event", "expected the name of what was done, such as 'Product Viewed'; got nothing")
    return Call(
        type=kind,
        name=(envelope.event if kind == "track" else envelope.name) or "",
        anonymous_id=names.anonymous_id,
        user_id=names.user_id,
        message_id=MessageId(envelope.message_id) if envelope.message_id else None,
        consent=_consent(context.consent.category_preferences),
        timestamp=envelope.timestamp,
        sent_at=envelope.sent_at,
        properties=envelope.properties or {},
        traits=envelope.traits or {},
        context=envelope.context or {},
        linked=names.linked,
    )


def record_of(
    call: Call,
    *,
    producer: Producer,
    seq: int,
    message_id: MessageId,
    subject_key: bytes,
    grants: Grants,
    received_ms: int,
    attributes_of: AttributesOf,
    most_products: int = MAX_PRODUCTS,
    vouched: bool = False,
    site_currency: str = SITE_CURRENCY,
) -> EventRecord:
    """The record of a call that may be stored. `message_id` is the call's own, or a fresh one where it has none.

    `vouched`: a server or an import sent it, so that its userId says whose record this is.

    Without a grant to personalise or to analyse the record is ANONYMOUS and names nobody: no body is kept, and of the
    message id only a keyed hash, by which a repetition can still be told.

    Raises:
        InputError: when something in the properties is not what it should be (`edgewise.touches`).
    """
    said = said_of(
        call.type, call.name, call.properties, attributes_of, site_currency=site_currency, most_products=most_products
    )
    identified = grants.personalisation or grants.analytics
    return EventRecord(
        producer=producer,
        seq=seq,
        subject=subject_of_call(call, subject_key, vouched=vouched) if identified else ANONYMOUS,
        message_id=message_id if identified else MessageId(subject_of(subject_key, "messageId", message_id)),
        type=call.type,
        name=call.name,
        time_ms=event_time_ms(call, received_ms),
        received_ms=received_ms,
        grants=grants,
        touches=said.touches,
        decision_id=_property(call.properties, "decisionId", DecisionId),
        placement=_property(call.properties, "placement", PlacementName),
        traits=_traits(call.traits, vouched=vouched) if identified and call.type == "identify" else {},
        identifiers=identifiers_of(call, subject_key) if identified else {},
        currency=said.currency,
        engaged_ms=said.engaged_ms,
        topics=said.topics,
        ticket=said.ticket if identified else "",
        mood=said.mood if identified else None,
        body=_body(call) if identified else b"",
        vouched=vouched and identified,
    )


def event_time_ms(call: Call, received_ms: int) -> int:
    """When it happened: receipt minus the age that the sender's own clock gives it (Segment's clock skew rule).

    Never later than receipt: a clock that runs ahead must not push a visitor's horizon into the future. Never
    before `EARLIEST_MS`.
    """
    if call.timestamp is None:
        return received_ms
    stated_ms = _epoch_ms(call.timestamp)
    if call.sent_at is not None:
        stated_ms = received_ms - (_epoch_ms(call.sent_at) - stated_ms)
    return max(EARLIEST_MS, min(stated_ms, received_ms))


def _epoch_ms(moment: dt.datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return int(aware.timestamp() * 1_000)


def _property(properties: Mapping[str, Any], name: str, kind: Callable[[str], Any]) -> Any:
    stated = properties.get(name)
    if stated is None:
        return None
    if not isinstance(stated, str) or not 0 < len(stated) <= 200 or "\0" in stated:  # noqa: PLR2004
        raise _wrong(f"$.properties.{name}", f"expected a text of 1 to 200 characters without NUL, got {stated!r:.80}")
    return kind(stated)


def _refuse_nul(envelope: Envelope) -> None:
    """Databases hold no text with the character NUL, so that a record with one could never be stored."""
    for path, value in (
        ("messageId", envelope.message_id),
        ("anonymousId", envelope.anonymous_id),
        ("userId", envelope.user_id),
        ("previousId", envelope.previous_id),
        ("groupId", envelope.group_id),
        ("event", envelope.event),
        ("name", envelope.name),
    ):
        if isinstance(value, str) and "\0" in value:
            raise _wrong(f"$.{path}", f"expected a text without the character NUL, got {value!r:.80}")


def _traits(traits: Mapping[str, Any], *, vouched: bool) -> dict[str, str | int | float | bool | None]:
    kept: dict[str, str | int | float | bool | None] = {}
    for name, value in sorted(traits.items()):
        if len(name) > MAX_TEXT or _folded(name) in _DROPPED_TRAITS:
            continue
        if isinstance(value, str) and _ADDRESS.search(value):
            continue
        if name.startswith(_SCORES) and not vouched:
            raise _wrong(f"$.traits.{name}", f"expected no trait that begins with {_SCORES!r}: a source states scores")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise _wrong(f"$.traits.{name}", f"expected an integer of 64 bits, got {value!r:.80}")
        if value is None or isinstance(value, int | float) or (isinstance(value, str) and len(value) <= MAX_TEXT):
            kept[name] = value
    return kept


def _body(call: Call) -> bytes:
    context = {name: call.context[name] for name in _KEPT_CONTEXT if name in call.context}
    return _encoder.encode({"properties": _unnamed(call.properties, _MAX_DEPTH), "context": context})


def _folded(name: str) -> str:
    """One spelling of `firstName`, `first_name`, `First Name`, `first-name`."""
    return name.translate(_JOINTS).lower()


def _unnamed(value: Any, depth: int) -> Any:
    """Properties without what names a person."""
    if not depth:
        raise _wrong("$.properties", f"nested more than {_MAX_DEPTH} deep")
    match value:
        case dict():
            return {
                name: _unnamed(inner, depth - 1)
                for name, inner in value.items()
                if _folded(name) not in _NEVER_IN_PROPERTIES
            }
        case list():
            return [_unnamed(inner, depth - 1) for inner in value]
        case _:
            return value


def _consent(preferences: Mapping[str, bool]) -> Consent:
    """Words for one purpose may contradict each other (`advertising`, `marketing`): then a denial holds."""
    said: dict[str, ConsentState] = {}
    for word, granted in sorted(preferences.items(), key=lambda each: not each[1]):
        if purpose := _CONSENT_WORDS.get(word.lower()):
            said[purpose] = ConsentState.GRANTED if granted else ConsentState.DENIED
    return Consent(**said)


def _wrong(path: str, message: str) -> InputError:
    return InputError(f"{path}: {message}", (Problem(path, message),))
