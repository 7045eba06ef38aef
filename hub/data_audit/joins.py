"""Where two sources mean one person and write him differently, so that their keys never meet.

Identifiers are hashed at intake, and of a hash nobody can say that it is nearly another. But the vault has some of them
as they were written. So each of its values is written in the other ways in which systems are known to write it (without
leading zeros, in capitals, with a mended domain), each of these is hashed, and the hash is looked for among what the
other sources named. One match may be chance; the same way for many people is a fault of the join.

The rejected alternative was to keep the forms of each identifier at intake, as more hashes of it: that would make every
erasure larger, for a question that is asked once a month.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from edgewise.identifiers import EMAIL, PHONE, USER, normalised
from edgewise.ids import SubjectId
from edgewise.subjects import subject_of
from hub.data_audit.holdings import Holdings
from hub.linkage.roles import Role, recognised

LEAST_PEOPLE: Final = 3
"""Fewer with the same difference may be chance."""
MOST_RECORDS: Final = 20_000
_MOST_CHARACTERS: Final = 100
_WIDTHS: Final = range(4, 15)
_MAILERS: Final[Mapping[str, tuple[str, ...]]] = {
    "gmail.com": ("gmial.com", "gmai.com", "gmal.com", "gamil.com", "gmail.co", "gmail.con", "gmail.cm", "gnail.com"),
    "hotmail.com": ("hotmial.com", "hotmal.com", "hotmai.com", "hotmail.co", "hotmail.con", "hotmil.com"),
    "yahoo.com": ("yaho.com", "yahooo.com", "yahoo.co", "yahoo.con", "yhaoo.com"),
    "outlook.com": ("outlok.com", "outlook.co", "outlook.con", "oulook.com"),
    "icloud.com": ("iclod.com", "icloud.co", "icloud.con"),
}
_NUMBERED: Final = re.compile(r"([A-Za-z]{0,4}[-_]?)0*([0-9]+)")
_MENDED: Final = {typo: domain for domain, typos in _MAILERS.items() for typo in typos}


class JoinFault(NamedTuple):
    """One way in which two sources differ, and who is apart because of it."""

    source: str
    """Whose vault has the value."""
    other: str
    field: str
    kind: str
    """Of the identifier, as the other names it."""
    difference: str
    """In words: `leading zeros`."""
    pairs: tuple[tuple[SubjectId, SubjectId], ...]
    """A subject of each; not one person today."""


def join_faults(holdings: Holdings, person: Mapping[SubjectId, SubjectId], subject_key: bytes) -> list[JoinFault]:
    """The faults with at least LEAST_PEOPLE people, most people first; `person`: what each subject's person is called.

    Of a large vault MOST_RECORDS of each source are looked at: keys are digests, so the first ones are a fair sample.
    """
    kinds = sorted({*holdings.kinds, USER, EMAIL, PHONE})
    owners = _owners(holdings, person)
    found: dict[tuple[str, str, str, str, str], dict[tuple[SubjectId, SubjectId], None]] = defaultdict(dict)
    looked_at: Counter[str] = Counter()
    for contact in holdings.contacts:
        looked_at[contact.source] += 1
        if looked_at[contact.source] > MOST_RECORDS:
            continue
        mine = person.get(contact.subject, contact.subject)
        roles = {column: role for role, column in recognised(contact.fields).items()}
        for field, value in contact.fields.items():
            text = _text(value)
            if text is None:
                continue
            for difference, kind, variant in _variants(text, roles.get(field), kinds):
                hashed = subject_of(subject_key, kind, variant)
                for other, theirs in owners.get(hashed, {}).items():
                    if other != contact.source and theirs != mine:
                        found[contact.source, other, field, kind, difference][contact.subject, theirs] = None
    faults = [JoinFault(*place, tuple(pairs)) for place, pairs in found.items() if len(pairs) >= LEAST_PEOPLE]
    return sorted(_without_mirrors(faults), key=lambda fault: (-len(fault.pairs), fault[:5]))


def _without_mirrors(faults: Iterable[JoinFault]) -> Iterator[JoinFault]:
    """Of what is seen from both sides, or in two fields, the finding with most people."""
    seen: set[frozenset[SubjectId]] = set()
    for fault in sorted(faults, key=lambda fault: (-len(fault.pairs), fault[:5])):
        pairs = {frozenset(pair) for pair in fault.pairs}
        if len(pairs - seen) >= LEAST_PEOPLE:
            seen |= pairs
            yield fault


def _owners(holdings: Holdings, person: Mapping[SubjectId, SubjectId]) -> dict[SubjectId, dict[str, SubjectId]]:
    """Hash of an identifier -> source that named it -> the person whose it is.

    Identifiers are subjects like all others, so what people are called is known of them, too.
    """
    owners: dict[SubjectId, dict[str, SubjectId]] = defaultdict(dict)
    for source, names in holdings.names.items():
        for name in names:
            owners[name][source] = person.get(name, name)
    return owners


def _variants(text: str, role: Role | None, kinds: list[str]) -> Iterator[tuple[str, str, str]]:
    """(difference in words, kind, value): the other ways to write a value; never as it is written already."""
    if role is Role.EMAIL:
        for difference, variant in _mail_variants(normalised(EMAIL, text)):
            yield difference, EMAIL, variant
    elif role is Role.PHONE:
        for difference, variant in _phone_variants(text, normalised(PHONE, text)):
            yield difference, PHONE, variant
    elif role is None:
        forms = {(how, variant) for how, write in _ID_FORMS for variant in write(text) if variant not in {"", text}}
        for kind in kinds:
            if kind not in (EMAIL, PHONE):
                yield from ((how, kind, variant) for how, variant in sorted(forms))


def _mail_variants(plain: str) -> Iterator[tuple[str, str]]:
    local, at, domain = plain.rpartition("@")
    if not at:
        return
    if domain in _MENDED:
        yield "a mistyped mail domain", f"{local}@{_MENDED[domain]}"
    for typo in _MAILERS.get(domain, ()):
        yield "a mistyped mail domain", f"{local}@{typo}"
    if "+" in local:
        yield "a +tag in the address", f"{local.partition('+')[0]}@{domain}"


def _phone_variants(text: str, plain: str) -> Iterator[tuple[str, str]]:
    """A number with and without its country: what a source without `region` in its document makes of either."""
    import phonenumbers

    digits = re.sub(r"\D", "", text)
    variants = {digits, f"00{digits}", f"+{digits.removeprefix('00')}"}
    if plain.startswith("+"):
        national = phonenumbers.national_significant_number(phonenumbers.parse(plain))
        variants |= {national, f"0{national}"}
    for variant in sorted(variants - {plain, "", "+"}):
        yield "the country code of the number", variant


def _zeros(text: str) -> Iterator[str]:
    numbered = _NUMBERED.fullmatch(text)
    if numbered is not None:
        letters, digits = numbered[1], numbered[2]
        yield from (letters + digits.zfill(width) for width in (len(digits), *_WIDTHS) if width >= len(digits))


def _cases(text: str) -> Iterator[str]:
    yield from (text.lower(), text.upper())


def _blanks(text: str) -> Iterator[str]:
    yield re.sub(r"[\s_-]", "", text)
    yield text.strip()


def _decimals(text: str) -> Iterator[str]:
    if text.isdecimal():
        yield f"{text}.0"
    elif re.fullmatch(r"\d+\.0", text):
        yield text[:-2]


_ID_FORMS: Final[tuple[tuple[str, Callable[[str], Iterator[str]]], ...]] = (
    ("leading zeros", _zeros),
    ("capitals and small letters", _cases),
    ("blanks and dashes", _blanks),
    ("a decimal point, as spreadsheets write it", _decimals),
)


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    text = str(value).strip()
    return text if 0 < len(text) <= _MOST_CHARACTERS else None
