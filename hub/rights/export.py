"""Everything that the hub knows of one person, as JSON that describes itself (GDPR, articles 15 and 20).

Identifiers are hashed before anything is stored, so they appear as the hashes that they are; what is kept raw stands
under `contacts`. Times in milliseconds since the epoch, UTC; money in minor units.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from edgewise.decision import Decision
from edgewise.errors import MALFORMED
from edgewise.ids import DecisionId, SubjectId
from edgewise.profile.preferences import decode_preferences
from edgewise.profile.state import decode_profile
from edgewise.records import DecisionRecord, EventRecord, PreferenceRecord
from hub.ledger import tables
from hub.ledger.dialect import chunks
from hub.ledger.forgetting import OF_WHO_CAME_BACK, named_elsewhere, personal_tables
from hub.ledger.ledger import Ledger
from hub.ledger.records import reading
from hub.ledger.suppressed import is_deed_of
from hub.rights.person import Person
from hub.rights.retention import as_plain, in_force
from hub.rights.stores import stores

FORMAT: Final = "edgewise-person/1"
_SEPARATE: Final = frozenset({"events", "decisions", "preferences", *OF_WHO_CAME_BACK})


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """One person."""

    format: str = FORMAT
    exported_ms: int
    subjects: list[SubjectId]
    """Keyed hashes of his identifiers."""
    profile: dict[str, Any]
    """What all of it was condensed to, and nodes decide by."""
    preferences: dict[str, Any]
    """What he has stated last: dial, mutes, consent."""
    statements: list[dict[str, Any]]
    """Everything that he has ever stated, consent included, and where."""
    events: list[dict[str, Any]]
    """Everything that he did: `source` says who reported it, `said` is the call without identifiers."""
    decisions: list[dict[str, Any]]
    """What was shown to him, why, and what came of it."""
    tables: dict[str, list[dict[str, Any]]]
    """All other rows that name him: links between identifiers, what was stated of them, raw contact fields, …"""
    named: list[dict[str, Any]]
    """Events of others that carry an identifier of his: which kinds, when, and who reported it; not what others did."""
    stores: dict[str, list[dict[str, Any]]]
    """What lies beside the ledger: imported decision logs, refused rows that quote a name of his."""
    sources: dict[str, int]
    """Who reported on him -> how many records."""
    retention: dict[str, Any]
    """How long what is kept, of which source."""


def export_of(ledger: Ledger, person: Person, *, data_dir: Path, now_ms: int) -> Exported:
    """Collect it. What cannot be read is told of by its error, not left out."""
    events: list[dict[str, Any]] = []
    decisions: list[dict[str, Any]] = []
    statements: list[dict[str, Any]] = []
    sources: dict[str, int] = {}
    records = [record for subject in person.subjects for record in ledger.records_of(subject)]
    elsewhere = reading(ledger.storage, lambda connection: list(named_elsewhere(connection, person.subjects)))
    meant = frozenset(person.subjects)
    records += [record for _, _, record in elsewhere if is_deed_of(record, meant)]
    outcomes = _outcomes(ledger, records)
    for record in sorted(records, key=lambda each: (each.time_ms, each.producer, each.seq)):
        source = record.producer
        sources[source] = sources.get(source, 0) + 1
        match record:
            case EventRecord():
                events.append(_event(record))
            case DecisionRecord():
                decisions.append(_decision(record, outcomes.get(record.decision_id, [])))
            case PreferenceRecord():
                statements.append(_plain(record))
    stored = next(iter(ledger.person_profiles(person.subjects).values()), None)
    return Exported(
        exported_ms=now_ms,
        subjects=list(person.subjects),
        profile={} if stored is None else _readable(decode_profile, stored.profile),
        preferences={} if stored is None else _readable(decode_preferences, stored.preferences),
        statements=statements,
        events=events,
        decisions=decisions,
        tables=_rows(ledger, person),
        named=[_naming(record, meant) for _, _, record in elsewhere if not is_deed_of(record, meant)],
        stores={store.name: store.export(person) for store in stores(data_dir, now_ms=now_ms)},
        sources=dict(sorted(sources.items())),
        retention=as_plain(in_force(data_dir)),
    )


def encoded(exported: Exported) -> bytes:
    """Indented JSON, with the JSON Schema of it under `$schema`."""
    document = {"$schema": schema(), **msgspec.to_builtins(exported, enc_hook=str)}
    return msgspec.json.format(msgspec.json.encode(document)) + b"\n"


def schema() -> dict[str, Any]:
    """JSON Schema of an export."""
    return msgspec.json.schema(Exported)


def _naming(record: EventRecord, meant: Container[SubjectId]) -> dict[str, Any]:
    kinds = sorted(name for name, each in record.identifiers.items() if each in meant)
    return {"source": record.producer, "time_ms": record.time_ms, "type": record.type, "kinds": kinds}


def _event(record: EventRecord) -> dict[str, Any]:
    plain = _plain(record)
    body = plain.pop("body", None)
    return {**plain, "said": msgspec.json.decode(record.body) if body else None}


def _decision(record: DecisionRecord, outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    plain = _plain(record)
    try:
        plain["decision"] = msgspec.to_builtins(msgspec.json.decode(record.decision, type=Decision))
    except MALFORMED:
        plain["decision"] = msgspec.to_builtins(record.decision)
    return {**plain, "outcomes": outcomes}


def _plain(record: EventRecord | DecisionRecord | PreferenceRecord) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.to_builtins(record)
    return {"source": said.pop("producer"), **said}


def _readable(decode: Any, data: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = msgspec.to_builtins(decode(data), str_keys=True)
    except MALFORMED as wrong:
        return {"error": str(wrong)}
    return found


def _outcomes(ledger: Ledger, records: list[Any]) -> dict[DecisionId, list[dict[str, Any]]]:
    asked = [record.decision_id for record in records if isinstance(record, DecisionRecord)]
    found: dict[DecisionId, list[dict[str, Any]]] = {}
    for reward in ledger.rewards(asked):
        found.setdefault(reward.decision_id, []).append(msgspec.to_builtins(reward))
    return found


def _rows(ledger: Ledger, person: Person) -> dict[str, list[dict[str, Any]]]:
    """Of every table that an erasure empties, so that an export cannot know less than an erasure."""
    found: dict[str, list[dict[str, Any]]] = {}
    with ledger.storage.reading() as connection:
        for table, columns in personal_tables():
            if table.name in _SEPARATE:
                continue
            rows: dict[tuple[Any, ...], dict[str, Any]] = {}
            for some in chunks(person.subjects):
                named = sa.or_(*(column.in_(some) for column in columns))
                for row in connection.execute(sa.select(table).where(named)).mappings():
                    key = tuple(row[column] for column in table.primary_key)
                    rows[key] = {column.name: _cell(row[column]) for column in table.c}
            found[table.name] = [rows[key] for key in sorted(rows, key=str)]
        said = tables.mail_suppressed
        found[said.name] = [
            {column.name: row[column] for column in said.c}
            for some in chunks(person.subjects)
            for row in connection.execute(sa.select(said).where(said.c.subject.in_(some))).mappings()
        ]
        dead = connection.execute(sa.select(tables.dead_letters)).mappings()
        meant = [subject.encode() for subject in person.subjects]
        found["dead_letters"] = [
            {column.name: _cell(row[column]) for column in tables.dead_letters.c}
            for row in dead
            if any(subject in row["payload"] for subject in meant)
        ]
    return found


def _cell(value: Any) -> Any:
    return msgspec.to_builtins(value) if isinstance(value, bytes) else value
