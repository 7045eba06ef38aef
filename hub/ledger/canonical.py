"""Canonical profiles: the same reducer as on the nodes, inside the transaction that stores the records.

A record that the reducer or its codec cannot take is no reason to refuse a whole batch for ever: it becomes a dead
letter, and the profile stays as if it had not come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from edgewise.errors import MALFORMED
from edgewise.ids import SubjectId
from edgewise.profile.preferences import Preferences, decode_preferences, encode_preferences, state
from edgewise.profile.reduce import apply, skip, touches_profile
from edgewise.profile.state import Profile, decode_profile, encode_profile
from edgewise.records import DecisionRecord, EventRecord, GapRecord, PreferenceRecord, decode_record
from hub.ledger import tables
from hub.ledger.dialect import among, chunks, upsert, upsert_all
from hub.ledger.records import payloads_of

Folding = EventRecord | DecisionRecord | PreferenceRecord
_NOTHING: Final = (encode_profile(Profile()), encode_preferences(Preferences()))
_UNFOLDABLE: Final = (OverflowError, ValueError, TypeError, KeyError)


class Fold(NamedTuple):
    """One record for one profile. `counted` is False when its id was stored before: it is only moved past."""

    record: Folding
    counted: bool = True


class Folded(NamedTuple):
    """Profiles after a batch, not yet written."""

    changed: dict[SubjectId, tuple[bytes, bytes]]
    """Subject -> profile and preferences, encoded."""
    unfoldable: dict[tuple[str, int], str]
    """(producer, seq) -> why."""
    new: int
    """How many of the changed profiles had not been there."""


def moves(fold: Fold) -> bool:
    """Whether a record has anything to say to a canonical profile."""
    record = fold.record
    if not record.subject:
        return False
    if isinstance(record, PreferenceRecord):
        return fold.counted
    return touches_profile(record) and (fold.counted or isinstance(record, EventRecord))


def fold_all(connection: sa.Connection, work: Mapping[SubjectId, Sequence[Fold]]) -> Folded:
    """Apply each subject's records, in the order given, to what is stored of it."""
    changed: dict[SubjectId, tuple[bytes, bytes]] = {}
    unfoldable: dict[tuple[str, int], str] = {}
    stored = load(connection, list(work)) if work else {}
    for subject, records in work.items():
        before = stored.get(subject)
        after = _fold(connection, subject, before, records, unfoldable)
        if after != before:
            changed[subject] = after
    return Folded(changed, unfoldable, sum(subject not in stored for subject in changed))


def load(connection: sa.Connection, subjects: Sequence[SubjectId]) -> dict[SubjectId, tuple[bytes, bytes]]:
    """Subject -> profile and preferences, encoded; unknown subjects are left out."""
    columns = tables.profiles.c
    found: dict[SubjectId, tuple[bytes, bytes]] = {}
    rows = connection.execute(
        sa.select(columns.subject, columns.profile, columns.preferences).where(
            among(connection, columns.subject, subjects)
        )
    )
    found.update((SubjectId(subject), (profile, preferences)) for subject, profile, preferences in rows)
    return found


def save(
    connection: sa.Connection, changed: Mapping[SubjectId, tuple[bytes, bytes]], *, revision: int, now_ms: int
) -> None:
    """Write profiles back."""
    upsert_all(
        connection,
        tables.profiles,
        [
            {
                "subject": subject,
                "profile": profile,
                "preferences": preferences,
                "updated_ms": now_ms,
                "revision": revision,
            }
            for subject, (profile, preferences) in changed.items()
        ],
        update=("profile", "preferences", "updated_ms", "revision"),
    )


def rebuild(connection: sa.Connection, subject: SubjectId) -> tuple[bytes, bytes]:
    """The canonical state of a subject from its stored records alone, encoded; equal to what was folded on arrival."""
    records = map(decode_record, payloads_of(connection, subject))
    folds = [Fold(record) for record in records if not isinstance(record, GapRecord)]
    folds.sort(key=lambda fold: (fold.record.producer, fold.record.seq))
    state_of_subject = Profile(), Preferences()
    _apply_all(*state_of_subject, [fold for fold in folds if moves(fold)])
    profile, preferences = state_of_subject
    columns = tables.duplicates.c
    passed = sa.select(columns.producer, columns.seq).where(columns.subject == subject, columns.moved)
    columns = tables.passed_marks.c
    gone = sa.select(columns.producer, columns.seq).where(columns.subject == subject)
    for name, seq in (*connection.execute(passed), *connection.execute(gone)):
        profile.applied[name] = max(seq, profile.applied.get(name, seq))
    return encode_profile(profile), encode_preferences(preferences)


def refold(connection: sa.Connection, subjects: Sequence[SubjectId], *, revision: int, now_ms: int) -> None:
    """Fold those of the subjects that have a profile anew, after some of their records were deleted.

    Numbers stay taken: what the profile had been moved past it stays past, or a node would count again what it still
    holds as pending. A subject of whom nothing is left keeps an empty profile with those marks, which is how nodes
    that cache him hear of it.
    """
    if not subjects:
        return
    marks: list[dict[str, Any]] = []
    known = load(connection, subjects)
    for subject, (profile, _) in known.items():
        try:
            applied = decode_profile(profile).applied
        except MALFORMED:
            continue  # what it was moved past is known from the records alone
        marks += [{"subject": subject, "producer": name, "seq": seq} for name, seq in applied.items()]
    pass_by(connection, marks)
    save(connection, {subject: rebuild(connection, subject) for subject in known}, revision=revision, now_ms=now_ms)


def pass_by(connection: sa.Connection, marks: Sequence[Mapping[str, Any]]) -> None:
    """Remember numbers that subjects were moved past: rows of (subject, producer, seq); the greater ones hold."""
    columns = tables.passed_marks.c
    highest: dict[tuple[str, str], int] = {}
    for mark in marks:
        key = (mark["subject"], mark["producer"])
        highest[key] = max(mark["seq"], highest.get(key, mark["seq"]))
    for some in chunks(sorted({subject for subject, _ in highest})):
        known = connection.execute(sa.select(tables.passed_marks).where(columns.subject.in_(some)))
        for row in known:
            key = (row.subject, row.producer)
            if key in highest:
                highest[key] = max(row.seq, highest[key])
    rows = [{"subject": subject, "producer": name, "seq": seq} for (subject, name), seq in highest.items()]
    upsert(connection, tables.passed_marks, rows, update=("seq",))


def _fold(
    connection: sa.Connection,
    subject: SubjectId,
    before: tuple[bytes, bytes] | None,
    folds: Sequence[Fold],
    unfoldable: dict[tuple[str, int], str],
) -> tuple[bytes, bytes]:
    good = _NOTHING if before is None else before
    try:
        profile, preferences = _decoded(good)
    except MALFORMED:
        # damaged, or of another format: the records are the truth
        good = rebuild(connection, subject)
        profile, preferences = _decoded(good)
    try:
        _apply_all(profile, preferences, folds)
        has_said = any(isinstance(fold.record, PreferenceRecord) for fold in folds)
        return encode_profile(profile), encode_preferences(preferences) if has_said else good[1]
    except _UNFOLDABLE:
        pass
    for fold in folds:
        profile, preferences = _decoded(good)
        try:
            _apply_all(profile, preferences, [fold])
            good = (encode_profile(profile), encode_preferences(preferences))
        except _UNFOLDABLE as why:
            unfoldable[fold.record.producer, fold.record.seq] = f"cannot be folded into a profile: {why}"
    return good


def _apply_all(profile: Profile, preferences: Preferences, folds: Iterable[Fold]) -> None:
    for record, counted in folds:
        match record:
            case PreferenceRecord():
                state(preferences, record)
            case EventRecord() if not counted:
                skip(profile, record)
            case _:
                apply(profile, record)


def _decoded(stored: tuple[bytes, bytes]) -> tuple[Profile, Preferences]:
    profile, preferences = stored
    return (
        Profile() if profile == _NOTHING[0] else decode_profile(profile),
        Preferences() if preferences == _NOTHING[1] else decode_preferences(preferences),  # nearly everybody's
    )
