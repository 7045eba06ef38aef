"""Identifiers of people: which values name somebody, and one spelling for each, so that equal people get equal hashes.

Ids (`userId`, `anonymousId`, whatever a site calls its own) are kept as they were sent, digit for digit: a 64-bit id
is text from the first byte on. Only e-mail addresses and telephone numbers have spellings that mean the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from edgewise.ids import SubjectId
from edgewise.subjects import subject_of

USER: Final = "userId"
ANONYMOUS_ID: Final = "anonymousId"
EMAIL: Final = "email"
PHONE: Final = "phone"
GROUP: Final = "groupId"
PREVIOUS: Final = "previousId"
"""The id of a user that an alias call replaced."""

MOST_CHARACTERS: Final = 500
_BLOCKED: Final = re.compile(
    r"[0-]*|-1|null|nil|none|undefined|unknown|anonymous|guest|nan|n/?a|true|false|\[object object\]|\(not set\)",
    re.IGNORECASE,
)
"""What senders write where they have nothing: the values that Segment blocks by default (zeros and dashes, so also
UUIDs of zeros; -1; null; anonymous), and what other languages and Google's `(not set)` make of nothing."""
_MOST_BLOCKED_CHARACTERS: Final = 64
_EXTERNAL_KINDS: Final = {
    "user_id": USER,
    "userid": USER,
    "anonymous_id": ANONYMOUS_ID,
    "anonymousid": ANONYMOUS_ID,
    "email": EMAIL,
    "phone": PHONE,
    "group_id": GROUP,
    "groupid": GROUP,
}
"""Segment's names of types in `context.externalIds` -> the kinds that they are."""
_KIND: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
_STRONGEST: Final = (EMAIL, PHONE)
_SPEAKS_FOR_NOBODY: Final = frozenset({GROUP, PREVIOUS, USER, ANONYMOUS_ID})
"""Not alone: a group is no person, and further ids of users and devices only come beside one (an alias)."""


def is_blocked(value: str) -> bool:
    """Whether a value names nobody, whatever its kind: empty, `null`, `00000000-0000-0000-0000-000000000000`.

    Also where it only looks different: fullwidth letters, invisible characters.
    """
    if len(value) > MOST_CHARACTERS:
        return False
    stripped = value.strip() if value.isascii() and value.isprintable() else _visible(value)
    return len(stripped) <= _MOST_BLOCKED_CHARACTERS and _BLOCKED.fullmatch(stripped) is not None


def normalised(kind: str, value: str, region: str | None = None) -> str:
    """The one spelling of an identifier; "" where it names nobody.

    E-mail addresses: Unicode's compatibility form (NFKC) without invisible characters and white space around, lower
    case, the domain as it stands in DNS (IDNA); nobody's without something on both sides of an @. Telephone numbers:
    E.164, where the number is international, or `region` (ISO 3166, `GB`) says whose national numbers these are; any
    other number is its digits. All other kinds stay as they are.
    """
    if len(value) > MOST_CHARACTERS or is_blocked(value):
        return ""
    if kind == EMAIL:
        return _email(value)
    if kind == PHONE:
        return _phone(value, region)
    return value


def as_text(value: Any) -> str:
    """An identifier as JSON may hold it, as text; "" for what cannot be one (nothing, truth, fractions, objects)."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def external_kind(stated: str) -> str | None:
    """The kind that a type of `context.externalIds` means; None for a word that can be none."""
    known = _EXTERNAL_KINDS.get(stated.lower())
    return known or (stated if _KIND.fullmatch(stated) else None)


def hashed(identifiers: Mapping[str, str], subject_key: bytes) -> dict[str, SubjectId]:
    """Kind -> keyed hash, sorted by kind. A second value of one kind stands under `email#2`, and so on."""
    return {name: _hash(subject_key, name, value) for name, value in sorted(identifiers.items())}


def base_kind(name: str) -> str:
    """The kind of an entry: `email` of `email#2`."""
    return name.partition("#")[0]


def add(identifiers: dict[str, str], kind: str, value: str) -> None:
    """Put a normalised value under its kind, or the kind's next number; in place. Empty and known ones are left out."""
    if not value:
        return
    name, number = kind, 1
    while name in identifiers:
        if identifiers[name] == value:
            return
        number += 1
        name = f"{kind}#{number}"
    identifiers[name] = value


def strongest(identifiers: Mapping[str, str]) -> str | None:
    """The entry that speaks for a person who has neither userId nor anonymousId: e-mail, phone, then by name."""
    names = [name for name in identifiers if base_kind(name) not in _SPEAKS_FOR_NOBODY]
    return min(names, key=lambda name: (name not in _STRONGEST, name), default=None)


def _hash(subject_key: bytes, name: str, value: str) -> SubjectId:
    kind = base_kind(name)
    # who was renamed is the same subject that he was as a user
    return subject_of(subject_key, USER if kind == PREVIOUS else kind, value)


def _email(value: str) -> str:
    plain = _visible(value).lower()
    local, _, domain = plain.rpartition("@")
    if not (local and domain):
        return ""
    if domain.isascii():
        return plain
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return plain  # no domain that DNS could hold; still one spelling


def _visible(value: str) -> str:
    """Unicode's compatibility form without invisible characters, and without white space around."""
    folded = unicodedata.normalize("NFKC", value)
    return "".join(mark for mark in folded if unicodedata.category(mark) not in {"Cf", "Cc"}).strip()


def _phone(value: str, region: str | None) -> str:
    text = unicodedata.normalize("NFKC", value).strip()
    digits = "".join(str(unicodedata.digit(mark)) for mark in text if mark.isdigit())
    if is_blocked(digits):
        return ""
    if text.startswith("+") or region is not None:
        # imported here: only few calls carry a number, and its tables are the largest thing that a worker would load
        import phonenumbers

        try:
            parsed = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            return digits
        if phonenumbers.is_possible_number(parsed):
            return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return digits
