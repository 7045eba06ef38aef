"""Whom a preview is for: a person that the hub knows, or one who is made up for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from edgewise.admission.load import Bundle
from edgewise.bundle.catalogue import AttributeValue
from edgewise.consent import SILENCE, Grants, effective
from edgewise.dial import DIAL_EVERYTHING
from edgewise.errors import InputError, Problem, problem_of
from edgewise.ids import ItemId, MessageId, NodeId, producer
from edgewise.intake import MAX_CALL_BYTES, decode_call, record_of
from edgewise.profile.preferences import decode_preferences
from edgewise.profile.reduce import apply
from edgewise.profile.state import Profile, decode_profile
from edgewise.request import Context
from hub.ledger.ledger import Ledger
from hub.profile_story import subject_named

MOST_CALLS: Final = 10_000
_MINUTE_MS: Final = 60_000
_MADE_UP: Final = "preview"
_KEY: Final = b"a preview keys nobody's identifiers"
_PRODUCER: Final = producer(NodeId(_MADE_UP), 1, 0)
_CONTEXT_PARTS: Final = ("page", "device", "geo", "network")


class Visitor(NamedTuple):
    """Somebody, as `decide` is to know him."""

    name: str
    """For people."""
    unit: str
    """What experiments hash."""
    profile: Profile
    grants: Grants
    dial: int = DIAL_EVERYTHING
    mute: Mapping[str, tuple[str, ...]] = {}


def known_visitor(ledger: Ledger, subject_key: bytes, name: str, bundle: Bundle) -> Visitor:
    """A person of the ledger, by any of his identifiers, with what he allows. Raises InputError for nobody."""
    subject = subject_named(ledger, subject_key, name)
    row = ledger.person_profiles([subject])[subject]
    said = decode_preferences(row.preferences)
    dial = said.dial.value
    grants = effective(
        stored=said.stored_consent,
        asked=SILENCE,
        default=bundle.policy.site.default_consent,
        opted_out=dial == 0,
        global_privacy_control=False,
    )
    return Visitor(f"{name} (subject {subject})", subject, decode_profile(row.profile), grants, dial, said.mute.value)


def invented_visitor(
    bundle: Bundle,
    now_ms: int,
    *,
    viewed: Iterable[ItemId] = (),
    cart: Iterable[ItemId] = (),
    calls: Iterable[bytes] = (),
) -> Visitor:
    """Somebody who agrees to everything, and did this: sent these Segment calls, looked at items, filled his cart.

    Raises InputError: an item is not in the catalogue, or a call is none.
    """
    items, profile = bundle.items, Profile()
    sent = list(calls)
    if len(sent) > MOST_CALLS:
        raise InputError(f"{len(sent)} events; a preview takes at most {MOST_CALLS}")
    looks: list[bytes] = []
    did_with = [("Product Viewed", item) for item in viewed]
    put_in = [("Product Added", item) for item in cart]
    for name, item in [*did_with, *put_in]:
        if items.item(item) is None:
            raise InputError(f"no item {item!r} in the catalogue; say one that a visitor can have looked at")
        looks.append(_encoded({"type": "track", "event": name, "properties": {"product_id": item}}))
    allowed = Grants(personalisation=True, analytics=True, marketing=True)

    def attributes_of(item: ItemId) -> Mapping[str, AttributeValue]:
        known = items.item(item)
        return {} if known is None else known.attributes

    for seq, raw in enumerate([*sent, *looks], 1):
        # A minute apart and the last one just now, where they do not say when.
        received_ms = now_ms - _MINUTE_MS * (len(sent) + len(looks) - seq)
        try:
            call = decode_call(raw, type=None, fallback_id=_MADE_UP, most_bytes=MAX_CALL_BYTES)
            record = record_of(
                call,
                producer=_PRODUCER,
                seq=seq,
                message_id=MessageId(f"{_MADE_UP}-{seq}"),
                subject_key=_KEY,
                grants=allowed,
                received_ms=received_ms,
                attributes_of=attributes_of,
                site_currency=bundle.policy.site.currency,
            )
        except InputError as wrong:
            where = tuple(Problem(f"event {seq}, {problem.path}", problem.message) for problem in wrong.problems)
            raise InputError(f"event {seq}: {wrong.message}", where) from wrong
        apply(profile, record)
    did = (
        f", who sent {len(sent)} events and looked at {len(did_with)} items"
        f"{f' and put {len(put_in)} into his cart' if put_in else ''}"
        if sent or looks
        else ", of whom nothing is known"
    )
    return Visitor(f"somebody made up{did}", _MADE_UP, profile, allowed)


def context_of(attributes: Mapping[str, str], locale: str) -> Context:
    """The page view that `NAME=VALUE` pairs describe: `device.type`, `geo.country`, `page.path`, `timezone`, or others.

    Others are attributes of the context; what reads as JSON is taken as what it says, `3` as a number.

    Raises InputError for a part that a context does not have.
    """
    made: dict[str, Any] = {"locale": locale, "attributes": {}}
    for name, text in attributes.items():
        part, dot, field = name.partition(".")
        if dot and part in _CONTEXT_PARTS:
            made.setdefault(part, {})[field] = text
        elif name == "timezone":
            made[name] = text
        else:
            made["attributes"][name] = _scalar(text)
    try:
        return msgspec.convert(made, Context)
    except msgspec.ValidationError as wrong:
        problem = problem_of(str(wrong))
        raise InputError(f"not a context: {problem.message} at {problem.path}") from wrong


def _scalar(text: str) -> Any:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError):
        return text
    return value if isinstance(value, (int, float, bool)) else text


def _encoded(call: dict[str, Any]) -> bytes:
    return msgspec.json.encode(call)
