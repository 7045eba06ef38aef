"""What the admin API answers, typed; OpenAPI is made from these. Names are spelled as the edge's HTTP spells them."""

from __future__ import annotations

from typing import Any

import msgspec

from edgewise.ids import BundleVersion, DecisionId, ItemId, MessageId, ModelName, NodeId, PlacementName, SiteName
from edgewise.reasons import State
from hub.ledger.rows import ModelStatus, ReleaseStatus


class Nack(msgspec.Struct, frozen=True, rename="camel"):
    """Why a node refused the last offer."""

    code: str
    detail: str
    at_ms: int


class Node(msgspec.Struct, frozen=True, rename="camel"):
    """A node as it was last heard of. Version -1 is the built-in fallback."""

    node: NodeId
    state: State
    connected: bool
    bundle_version: BundleVersion
    bundle_digest: str
    protocol_version: int
    first_seen_ms: int
    last_seen_ms: int
    spool_bytes: int
    decisions: int
    last_nack: Nack | None = None


class Nodes(msgspec.Struct, frozen=True, rename="camel"):
    """`GET /api/v1/nodes`, sorted by name."""

    nodes: list[Node]


class Release(msgspec.Struct, frozen=True, rename="camel"):
    """A release and how far it has come."""

    version: BundleVersion
    digest: str
    parent: BundleVersion | None
    status: ReleaseStatus
    created_ms: int
    approved_by: str | None
    approved_ms: int | None
    summary: dict[str, Any]


class Releases(msgspec.Struct, frozen=True, rename="camel"):
    """`GET /api/v1/releases`, newest first."""

    releases: list[Release]


class Model(msgspec.Struct, frozen=True, rename="camel"):
    """A model version and its card."""

    name: ModelName
    version: int
    sha256: str
    status: ModelStatus
    created_ms: int
    approved_by: str | None
    approved_ms: int | None
    card: dict[str, Any]


class Models(msgspec.Struct, frozen=True, rename="camel"):
    """`GET /api/v1/models`, sorted by name, newest version first."""

    models: list[Model]


class Outcome(msgspec.Struct, frozen=True, rename="camel"):
    """What came of one shown item. Views and clicks count, adds are pieces, orders minor units, reviews stars."""

    item_id: ItemId
    placement: PlacementName | None
    kind: str
    value: float
    time_ms: int
    message_id: MessageId


class LoggedDecision(msgspec.Struct, frozen=True, rename="camel"):
    """`GET /api/v1/decisions/{id}`: a decision as its node logged it, and what came of it."""

    decision_id: DecisionId
    time_ms: int
    node: str
    bundle_version: BundleVersion
    bundle_digest: str
    degradation: str
    dial: int
    subject: str
    """Keyed hash; empty where consent does not allow to tie the decision to a person."""
    decision: dict[str, Any]
    outcomes: list[Outcome]


class Totals(msgspec.Struct, frozen=True, rename="camel"):
    """How much the ledger holds. `dropped` counts records that nodes declared lost."""

    events: int
    decisions: int
    preferences: int
    rewards: int
    duplicates: int
    dropped: int
    dead_letters: int
    profiles: int


class Summary(msgspec.Struct, frozen=True, rename="camel"):
    """`GET /api/v1/summary`: the hub at a glance."""

    site: SiteName
    incarnation: str
    edgewise_version: str
    reading: str
    """Who may read this API, in words."""
    totals: Totals
    nodes_connected: int
    nodes_by_version: dict[str, int]
    """Connected nodes by the version that they serve."""
    live_releases: list[BundleVersion]
    storage: str
    """What stores the ledger, and what to know about it."""


class Health(msgspec.Struct, frozen=True, rename="camel"):
    """`GET /health/live` and `/health/ready`."""

    state: str
    reason: str = ""


class Problem(msgspec.Struct, frozen=True):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
