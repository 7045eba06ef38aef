"""Whom a Segment call names: its ids, further identifiers in traits and context, and whose record it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

from edgewise.errors import InputError, Problem
from edgewise.identifiers import (
    ANONYMOUS_ID,
    EMAIL,
    GROUP,
    PHONE,
    PREVIOUS,
    USER,
    add,
    as_text,
    base_kind,
    external_kind,
    hashed,
    is_blocked,
    normalised,
    strongest,
)
from edgewise.ids import SubjectId
from edgewise.records import ANONYMOUS
from edgewise.subjects import subject_of

MOST_EXTERNAL_IDS: Final = 50


class Sent(Protocol):
    """The fields of a call that may name somebody, as they were sent."""

    anonymous_id: Any
    user_id: Any
    previous_id: Any
    group_id: Any
    traits: dict[str, Any] | None
    context: dict[str, Any] | None


class Named(Protocol):
    """A call whose names were read."""

    @property
    def anonymous_id(self) -> str | None:
        """Of a device."""
        ...

    @property
    def user_id(self) -> str | None:
        """Of a user."""
        ...

    @property
    def linked(self) -> dict[str, str]:
        """Further identifiers by kind, normalised."""
        ...


class Names(NamedTuple):
    """Whom a call names, blocked values left out."""

    anonymous_id: str | None
    user_id: str | None
    linked: dict[str, str]


def names_of(sent: Sent, call_type: str, fallback_id: str | None) -> Names:
    """Read every name of a call. The traits of a `group` call are the group's, those of its context the person's.

    Raises:
        InputError: it names nobody, or `context.externalIds` is not a list of such.
    """
    anonymous_id = _named(sent.anonymous_id) or fallback_id
    user_id = _named(sent.user_id)
    context = sent.context or {}
    linked = _stated_ids(sent)
    for traits in (None if call_type == "group" else sent.traits, context.get("traits")):
        if isinstance(traits, dict):
            _add_addresses(linked, traits)
    for kind, value in _external(context.get("externalIds")):
        if kind == USER and user_id in (None, value):
            user_id = value
        elif kind == ANONYMOUS_ID and anonymous_id in (None, value):
            anonymous_id = value
        else:
            add(linked, kind, value)
    if anonymous_id is None and user_id is None and strongest(linked) is None:
        raise _wrong("$.anonymousId", _nobody(sent))
    return Names(anonymous_id, user_id, linked)


def subject_of_call(call: Named, subject_key: bytes, *, vouched: bool = False) -> SubjectId:
    """Whose record a call becomes.

    The subject of a userId that its sender vouches for; else that of the anonymousId, else of the userId, else of the
    strongest other identifier. ANONYMOUS where none of them is left.
    """
    if call.user_id is not None and (vouched or call.anonymous_id is None):
        return subject_of(subject_key, USER, call.user_id)
    if call.anonymous_id is not None:
        return subject_of(subject_key, ANONYMOUS_ID, call.anonymous_id)
    name = strongest(call.linked)
    return ANONYMOUS if name is None else subject_of(subject_key, base_kind(name), call.linked[name])


def identifiers_of(call: Named, subject_key: bytes) -> dict[str, SubjectId]:
    """Kind -> keyed hash of everybody whom a call names, sorted by kind."""
    identifiers: dict[str, str] = {}
    if call.anonymous_id is not None:
        identifiers[ANONYMOUS_ID] = call.anonymous_id
    if call.user_id is not None:
        identifiers[USER] = call.user_id
    for name, value in call.linked.items():
        add(identifiers, base_kind(name), value)
    return hashed(identifiers, subject_key)


def _named(value: Any) -> str | None:
    """An id as text; None where it names nobody."""
    if value is None:
        return None
    text = as_text(value)
    return None if is_blocked(text) else text


def _stated_ids(sent: Sent) -> dict[str, str]:
    linked: dict[str, str] = {}
    if (group := _named(sent.group_id)) is not None:
        linked[GROUP] = group
    if (previous := _named(sent.previous_id)) is not None:
        # Segment's previousId is a device's id as well as a user's; whoever it is, he is the same person
        linked[PREVIOUS] = linked[ANONYMOUS_ID] = previous
    return linked


def _add_addresses(linked: dict[str, str], traits: Mapping[str, Any]) -> None:
    for kind in (EMAIL, PHONE):
        if kind in traits:
            add(linked, kind, normalised(kind, as_text(traits[kind])))


def _external(stated: Any) -> list[tuple[str, str]]:
    """(kind, value) of Segment's `externalIds`; those of other collections than users name no person.

    See segment.com/docs/unify/identity-resolution/externalids.
    """
    if stated is None:
        return []
    path = "$.context.externalIds"
    if not isinstance(stated, list) or len(stated) > MOST_EXTERNAL_IDS:
        raise _wrong(path, f"expected a list of at most {MOST_EXTERNAL_IDS} identifiers")
    found = []
    for position, each in enumerate(stated):
        if not isinstance(each, Mapping):
            raise _wrong(f"{path}[{position}]", f"expected an object with `id` and `type`, got {each!r:.80}")
        kind, value = external_kind(as_text(each.get("type"))), as_text(each.get("id"))
        if kind is None:
            got = each.get("type")
            raise _wrong(f"{path}[{position}].type", f"expected a word such as email or crm_id, got {got!r:.80}")
        if not value and each.get("id") not in (None, ""):
            raise _wrong(f"{path}[{position}].id", f"expected a text or an integer, got {each['id']!r:.80}")
        if each.get("collection", "users") == "users" and (spelled := normalised(kind, value)):
            found.append((kind, spelled))
    return found


def _nobody(sent: Sent) -> str:
    for name, value in (("anonymousId", sent.anonymous_id), ("userId", sent.user_id)):
        if value is not None:
            return f"expected an anonymousId or a userId that names somebody, got the {name} {value!r:.80}"
    return "expected an anonymousId or a userId, got neither"


def _wrong(path: str, message: str) -> InputError:
    return InputError(f"{path}: {message}", (Problem(path, message),))
