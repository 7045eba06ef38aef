"""Whom a request is about: every subject that is his, and what raw names of his are known while it is carried out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

import sqlalchemy as sa

from edgewise.errors import InputError
from edgewise.identifiers import ANONYMOUS_ID, EMAIL, GROUP, PHONE, PREVIOUS, USER, normalised
from edgewise.ids import SubjectId
from edgewise.subjects import subject_of
from hub.ledger import tables
from hub.ledger.dialect import chunks
from hub.ledger.forgetting import personal_tables
from hub.ledger.ledger import Ledger

_SUBJECT: Final = re.compile(r"[0-9a-f]{32}")
_KINDS: Final = (ANONYMOUS_ID, USER, EMAIL, PHONE)


class Person(NamedTuple):
    """Somebody who makes use of his rights. Never written down as it is: `names` are raw."""

    subjects: tuple[SubjectId, ...]
    """Keyed hashes of all his identifiers, sorted."""
    names: frozenset[str]
    """Raw identifiers that are known of him: what was typed, and what the vault holds."""


def person_named(ledger: Ledger, subject_key: bytes, name: str, *, may_be_unknown: bool = False) -> Person:
    """The person of a subject id, or of an identifier of any kind that this ledger has met; `KIND:VALUE` says which.

    With `may_be_unknown`, a name that nothing is known of stands for all that it could be.

    Raises:
        InputError: nothing is known of him, or several people have an identifier that is written like this.
    """
    meant = _meant(ledger, subject_key, name)
    known = known_among(ledger, meant)
    people = {ledger.members_of(subject) for subject in meant if subject in known}
    if len(people) > 1:
        subjects = ", ".join(subject for subject in meant if subject in known)
        raise InputError(
            f"{name!r} is an identifier of {len(people)} people; name one as KIND:VALUE, or by its subject: {subjects}"
        )
    if not people and not may_be_unknown:
        raise InputError(f"nothing is known of {name!r}: it is no subject and no identifier that was ever seen here")
    members = people.pop() if people else tuple(sorted(meant))
    typed = name.partition(":")[2] if _kind_said(ledger, name) else name
    return Person(members, frozenset({typed, *vault_names(ledger, members)} - {""}))


def person_of(ledger: Ledger, subject: SubjectId) -> Person:
    """The person who asks for himself as this subject: without what a browser only claims to belong to."""
    members = ledger.vouched_members_of(subject)
    return Person(members, frozenset(vault_names(ledger, members)))


def _meant(ledger: Ledger, subject_key: bytes, name: str) -> list[SubjectId]:
    if _SUBJECT.fullmatch(name):
        return [SubjectId(name)]
    said = _kind_said(ledger, name)
    kinds, value = ([said], name.partition(":")[2]) if said else (kinds_of(ledger), name)
    spelled = ((kind, normalised(kind, value)) for kind in kinds)
    return list(dict.fromkeys(subject_of(subject_key, kind, value) for kind, value in spelled if value))


def _kind_said(ledger: Ledger, name: str) -> str:
    """The kind of `KIND:VALUE`; "" where none is said."""
    kind = name.partition(":")[0]
    return kind if ":" in name and kind in kinds_of(ledger) else ""


def kinds_of(ledger: Ledger) -> list[str]:
    """Kinds of identifiers: those that are always there, and those that were ever linked here."""
    with ledger.storage.reading() as connection:
        linked = connection.execute(sa.select(tables.links.c.kind).distinct()).scalars()
        found = sorted({*linked} - {*_KINDS, GROUP, PREVIOUS})
    return [*_KINDS, *found]


def known_among(ledger: Ledger, subjects: Iterable[SubjectId]) -> set[SubjectId]:
    """Those subjects that any table of the ledger names."""
    asked = sorted(set(subjects))
    known: set[SubjectId] = set()
    with ledger.storage.reading() as connection:
        for _, columns in personal_tables():
            for column in columns:
                for some in chunks(asked):
                    query = sa.select(column).distinct().where(column.in_(some))
                    known.update(map(SubjectId, connection.execute(query).scalars()))
    return known


def vault_names(ledger: Ledger, subjects: Iterable[SubjectId]) -> set[str]:
    """Raw values that the vault holds of these subjects."""
    contacts = tables.contact_records
    names: set[str] = set()
    with ledger.storage.reading() as connection:
        for some in chunks(sorted(subjects)):
            for row in connection.execute(sa.select(contacts.c.fields).where(contacts.c.subject.in_(some))):
                names.update(str(value) for value in row.fields.values() if value)
    return names
