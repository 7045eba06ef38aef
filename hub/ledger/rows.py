"""Rows of the ledger as others see them: typed, frozen, ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from edgewise.ids import (
    BundleVersion,
    DecisionId,
    ItemId,
    MessageId,
    ModelName,
    NodeId,
    PlacementName,
    Producer,
    SubjectId,
)
from edgewise.reasons import State

T = TypeVar("T")
AWAY: Final = "AWAY"
"""What is shown as the state of a node that is not connected."""
AWAY_AFTER_MS: Final = 60_000
"""A node speaks at least once a minute. Whoever is silent for longer is not there, though nobody wrote that down: the
hub itself may have died with the node's watch open."""


class ReleaseStatus(StrEnum):
    """How far a release has come."""

    CANDIDATE = "candidate"
    APPROVED = "approved"
    """A person approved it; it may be assigned to nodes."""
    LIVE = "live"
    RETIRED = "retired"
    REFUSED = "refused"


class ModelStatus(StrEnum):
    """How far a model has come."""

    CANDIDATE = "candidate"
    APPROVED = "approved"
    RETIRED = "retired"
    REFUSED = "refused"


class AuditEntry(msgspec.Struct, frozen=True):
    """Who did what to which thing; written in the same transaction as the deed."""

    who: str
    what: str
    """A verb and its object: `model approve`, `release promote`."""
    subject: str
    """Name of the thing: `ranker@3`, `release 42`."""
    detail: dict[str, Any] = {}


class AuditRow(msgspec.Struct, frozen=True):
    """One line of the audit."""

    seq: int
    time_ms: int
    who: str
    what: str
    subject: str
    detail: dict[str, Any]


class ModelRow(msgspec.Struct, frozen=True):
    """A model version. Its bytes lie in the data folder, under its name and version."""

    name: ModelName
    version: int
    sha256: str
    created_ms: int
    status: ModelStatus = ModelStatus.CANDIDATE
    approved_by: str | None = None
    approved_ms: int | None = None
    card: dict[str, Any] = {}


class ReleaseRow(msgspec.Struct, frozen=True):
    """A release: what was built, and how far it has come."""

    version: BundleVersion
    digest: str
    created_ms: int
    parent: BundleVersion | None = None
    status: ReleaseStatus = ReleaseStatus.CANDIDATE
    approved_by: str | None = None
    approved_ms: int | None = None
    summary: dict[str, Any] = {}


class NodeRow(msgspec.Struct, frozen=True):
    """A node as it was last heard of."""

    node: NodeId
    state: State
    bundle_version: BundleVersion
    """-1: the built-in fallback."""
    bundle_digest: str
    protocol_version: int
    connected: bool
    first_seen_ms: int
    last_seen_ms: int
    spool_bytes: int = 0
    decisions: int = 0
    """Made since the node started."""
    acked_ms: int | None = None
    nack_code: str | None = None
    """Why it refused the last offer; None once it accepted one."""
    nack_detail: str | None = None
    nacked_ms: int | None = None
    facts_version: int | None = None
    """Live facts that it has; None: it has told of none."""
    facts_code: str | None = None
    """Why it refused the last ones; None once it accepted some."""
    facts_detail: str | None = None

    def at(self, now_ms: int) -> NodeRow:
        """What it says at a moment: `connected` only if it was heard lately."""
        silent = now_ms - self.last_seen_ms > AWAY_AFTER_MS
        return msgspec.structs.replace(self, connected=False) if silent and self.connected else self

    @property
    def shown_state(self) -> str:
        """The state that it last told, or AWAY."""
        return self.state.value if self.connected else AWAY


class FactSheetRow(msgspec.Struct, frozen=True):
    """One version of the live facts."""

    version: int
    issued_ms: int
    expires_ms: int
    halted: bool
    numbers: int
    sha256: str
    """Of the bytes that are signed."""
    who: str
    """Who made it: a person, or `hub` where it was made by the clock."""


class StoredProfile(NamedTuple):
    """A canonical profile as it travels: two MessagePack blobs."""

    profile: bytes
    preferences: bytes
    updated_ms: int
    revision: int


class ProducerRow(msgspec.Struct, frozen=True):
    """One numbering process and how far it is stored."""

    producer: Producer
    node: str
    epoch: int | None
    worker: int | None
    stored_seq: int
    updated_ms: int


class RewardRow(msgspec.Struct, frozen=True):
    """What came of one shown item. The value's unit depends on the kind, see `rewards.rewards_of`."""

    decision_id: DecisionId
    item: ItemId
    message_id: MessageId
    placement: PlacementName | None
    kind: str
    value: float
    time_ms: int


class Repeat(NamedTuple):
    """A record that came once more: its message or decision id was stored before."""

    producer: Producer
    seq: int
    id: str


class GapRow(msgspec.Struct, frozen=True):
    """Records that their producer dropped, and said so."""

    producer: Producer
    first_seq: int
    last_seq: int
    lane: str
    count: int
    stored_ms: int


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that could not be used, kept as it came."""

    producer: Producer
    seq: int
    reason: str
    payload: bytes
    stored_ms: int


class Totals(msgspec.Struct, frozen=True):
    """How much the ledger holds."""

    events: int
    decisions: int
    preferences: int
    rewards: int
    duplicates: int
    dropped: int
    """Records that producers declared lost."""
    dead_letters: int
    profiles: int


class SourceRun(msgspec.Struct, frozen=True):
    """One import of a business system's file."""

    source: str
    started_ms: int
    file_sha256: str
    finished_ms: int
    rows: int
    stored: int
    known: int
    rejected: int
    """Rows, but for `stored` and `known`, which are events."""
    first_ms: int | None = None
    last_ms: int | None = None
    """Times of the earliest and the latest event of the file."""


class ContactRow(msgspec.Struct, frozen=True):
    """What a source says of one person in plain words: the fields that its document names under `vault`."""

    source: str
    key: str
    """Digest of the row's key, or of the fields where it has none."""
    subject: SubjectId
    fields: dict[str, Any]
    time_ms: int


class Change(NamedTuple):
    """News of one subject, in the order of changing."""

    revision: int
    subject: SubjectId


def typed(row: Mapping[Any, Any], kind: type[T]) -> T:
    """A database row as a struct; enums become members. Its keys are a text type of SQLAlchemy's own."""
    return msgspec.convert({str(key): value for key, value in row.items()}, kind)
