"""Records as nodes write them, for tests of either side: each maker has defaults, and whatever else is asked for."""

from __future__ import annotations

from typing import Any

from edgewise.consent import Grants
from edgewise.ids import (
    BundleVersion,
    DecisionId,
    ItemId,
    MessageId,
    PlacementName,
    Producer,
    SubjectId,
    ulid,
)
from edgewise.reasons import Degradation
from edgewise.records import DecisionRecord, EventRecord, GapRecord, PreferenceRecord, Touch, encode_record
from edgewise.request import Context, PlacementRequest

NOW_MS = 1_700_000_000_000
ALL = Grants(personalisation=True, analytics=True, marketing=True)
NODE = Producer("n-a/1/0")
SUBJECT = SubjectId("5" * 32)


def event(seq: int, *, producer: Producer = NODE, message: str | None = None, **changes: Any) -> EventRecord:
    """A click on a film, by default under a message id of its own; a server vouches for whom it names."""
    fields: dict[str, Any] = {
        "subject": SUBJECT,
        "message_id": MessageId(message or f"{producer}:{seq}"),
        "type": "track",
        "name": "Content Clicked",
        "time_ms": NOW_MS + seq * 1_000,
        "received_ms": NOW_MS + seq * 1_000,
        "grants": ALL,
        "vouched": "identifiers" in changes,
        "touches": (Touch(ItemId(f"film-{seq % 7}"), dimensions={"category": ("drama",)}),),
    }
    return EventRecord(producer=producer, seq=seq, **{**fields, **changes})


def preference(seq: int, *, producer: Producer = NODE, **changes: Any) -> PreferenceRecord:
    """A visitor who turns the dial down to the current session."""
    fields: dict[str, Any] = {
        "subject": SUBJECT,
        "time_ms": NOW_MS + seq,
        "received_ms": NOW_MS + seq,
        "dial": 2,
    }
    return PreferenceRecord(producer=producer, seq=seq, **{**fields, **changes})


def decision_id(number: int) -> DecisionId:
    return DecisionId(ulid(NOW_MS + number, number.to_bytes(10)))


def decision(seq: int, *, producer: Producer = NODE, number: int | None = None, **changes: Any) -> DecisionRecord:
    """A decision that showed one film in a placement with a cap."""
    fields: dict[str, Any] = {
        "decision_id": decision_id(seq if number is None else number),
        "subject": SUBJECT,
        "time_ms": NOW_MS + seq * 1_000,
        "bundle_version": BundleVersion(3),
        "bundle_digest": "d" * 64,
        "facts_version": 0,
        "placements": (PlacementRequest(PlacementName("home")),),
        "context": Context(),
        "grants": ALL,
        "dial": 3,
        "degradation": Degradation.NONE,
        "applied": {},
        "decision": b"{}",
        "impressions": (ItemId("film-1"),),
    }
    return DecisionRecord(producer=producer, seq=seq, **{**fields, **changes})


def gap(first_seq: int, last_seq: int, *, producer: Producer = NODE) -> GapRecord:
    return GapRecord(
        producer=producer, first_seq=first_seq, seq=last_seq, lane="impression", count=last_seq - first_seq + 1
    )


def payloads(*records: EventRecord | PreferenceRecord | DecisionRecord | GapRecord) -> list[bytes]:
    return [encode_record(record) for record in records]
