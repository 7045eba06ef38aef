"""A visitor's profile as a node had it at a decision: what the sequence vector in the record covers, folded again.

The result is exact, or its flaws are said: a record that never arrived, was dropped or erased cannot be guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from edgewise.errors import MALFORMED
from edgewise.ids import MessageId, Producer, SubjectId
from edgewise.profile.merge import merge
from edgewise.profile.reduce import apply, skip
from edgewise.profile.state import Profile
from edgewise.records import DecisionRecord, EventRecord, PreferenceRecord
from hub.ledger.ledger import Ledger

Vector = Mapping[Producer, int]
"""Producer -> the highest sequence of it that was applied."""


class PastProfile(NamedTuple):
    """A profile, and what may be wrong with it."""

    profile: Profile
    missing: tuple[str, ...] = ()
    """What the vector covers and the ledger does not hold; empty: the vector was rebuilt."""
    notes: tuple[str, ...] = ()
    """What may have made it differ all the same: losses that a producer declared, records that nobody could
    read, messages that came twice."""


def past_profile(ledger: Ledger, subject: SubjectId, applied: Vector, *, position: int | None = None) -> PastProfile:
    """The profile of a subject's person at a sequence vector.

    `position` is where the decision lies that read it; None: the end. Nobody wrote down who belonged to the person when
    a node read the profile. So it is merged of everybody who belongs to him now, unless somebody joined or left after
    `position` and the subject's own records give the whole vector.
    """
    if not applied:
        return PastProfile(Profile())
    try:
        own, notes = _folded(ledger, subject, applied)
        profile = own
        others = [each for each in ledger.members_of(subject) if each != subject]
        has_moved = position is not None and ledger.joined_at(subject) > position
        if others and not (has_moved and own.applied == dict(applied)):
            for other in others:
                part, said = _folded(ledger, other, applied)
                profile, notes = merge(profile, part), notes + said
            whose = f"a person of {len(others) + 1} identifiers"
            notes.append(f"the visitor is {whose}; who of them belonged to him at that moment is not recorded")
    except MALFORMED as damaged:
        return PastProfile(Profile(), (f"a record of the visitor is damaged in the ledger: {damaged}",))
    missing = tuple(
        f"{producer}: applied up to {seq:,} there, {_known(profile.applied.get(producer))} here"
        for producer, seq in sorted(applied.items())
        if profile.applied.get(producer) != seq
    )
    if missing and ledger.erased([subject]):
        notes.append("the visitor was erased")
    notes += [
        f"{gap.producer} declared {gap.count:,} records lost, {gap.first_seq:,} to {gap.last_seq:,} ({gap.lane})"
        for gap in ledger.gaps()
        if gap.first_seq <= applied.get(gap.producer, -1)
    ]
    notes += [
        f"record {letter.seq:,} of {producer} could not be used: {letter.reason}"
        for producer, seq in sorted(applied.items())
        for letter in ledger.dead_letters(producer=producer)
        if letter.seq <= seq
    ]
    return PastProfile(profile, missing, tuple(notes))


def _folded(ledger: Ledger, subject: SubjectId, applied: Vector) -> tuple[Profile, list[str]]:
    """One subject's own records at the vector, and what came twice."""
    profile, notes = Profile(), []
    for record, counts, note in sorted(_covered(ledger, subject, applied), key=lambda one: _number(one.record)):
        if counts:
            apply(profile, record)
        elif isinstance(record, EventRecord):
            skip(profile, record)
        if note:
            notes.append(note)
    return profile, notes


class _Covered(NamedTuple):
    record: EventRecord | DecisionRecord
    counts: bool
    note: str = ""


def _covered(ledger: Ledger, subject: SubjectId, applied: Vector) -> Iterator[_Covered]:
    """Every record of the vector, each message counted once.

    Of a message that came through two nodes the ledger keeps the first record. The other node counted the second, and
    once it heard of the first, only moved past one of them.
    """
    first: dict[MessageId, EventRecord] = {}
    counted: set[MessageId] = set()
    for record in ledger.records_of(subject):
        if isinstance(record, PreferenceRecord):
            continue
        is_covered = record.seq <= applied.get(record.producer, -1)
        if isinstance(record, EventRecord):
            first[record.message_id] = record
            if is_covered:
                counted.add(record.message_id)
        if is_covered:
            yield _Covered(record, counts=True)
    for repeat in ledger.repeats_of(subject):
        kept = first.get(MessageId(repeat.id))
        if kept is not None and repeat.seq <= applied.get(repeat.producer, -1):
            again = msgspec.structs.replace(kept, producer=repeat.producer, seq=repeat.seq)
            note = f"message {repeat.id} came through {kept.producer} and through {repeat.producer}"
            yield _Covered(again, counts=kept.message_id not in counted, note=note)
            counted.add(kept.message_id)


def _number(record: EventRecord | DecisionRecord) -> tuple[Producer, int]:
    return (record.producer, record.seq)


def _known(seq: int | None) -> str:
    return "nothing" if seq is None else f"up to {seq:,}"
