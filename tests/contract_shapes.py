"""The shapes of interfaces.md, section 1, written down once more: an answer with another name in it does not decode."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Reason = Literal[
    "MODEL", "EXPLORE", "RULE", "FORCED", "FALLBACK_NO_BUNDLE", "FALLBACK_NO_CANDIDATE", "FALLBACK_SCORER",
    "FALLBACK_DEADLINE", "FALLBACK_OVERLOAD", "OPTED_OUT", "HOLDOUT",
]  # fmt: skip
Probability = Annotated[float, Meta(gt=0, le=1)]
Digest = Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$")]


class Exact(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """These fields and no others."""


class Why(Exact):
    code: Annotated[str, Meta(pattern="^[a-z_]+$")]
    text: Annotated[str, Meta(min_length=1)]
    weight: float


class Item(Exact):
    id: str
    rank: int
    reason: Reason
    score: float
    propensity: Probability
    content: dict[str, Any] | None
    why: list[Why]


class Experiment(Exact):
    key: str
    arm: str
    forced: bool = False
    """Only where an operator asked for the arm."""


class Placement(Exact):
    items: list[Item]
    reason: Reason
    policy: str
    experiment: Experiment | None


class Bundle(Exact):
    version: int
    digest: Digest
    age_seconds: Annotated[float, Meta(ge=0)]
    state: Literal["READY", "STALE", "ERROR"]


class Decided(Exact):
    decision_id: Annotated[str, Meta(pattern="^[0-9A-HJKMNP-TV-Z]{26}$")]
    bundle: Bundle
    placements: dict[str, Placement]
    took_ms: Annotated[float, Meta(ge=0)]


class Wrong(Exact):
    path: Annotated[str, Meta(pattern=r"^\$")]
    message: Annotated[str, Meta(min_length=1)]


class Problem(Exact):
    """RFC 9457, with `errors` for input."""

    type: Annotated[str, Meta(pattern="^urn:edgewise:problem:[a-z-]+$")]
    title: str
    status: int
    detail: Annotated[str, Meta(min_length=1)]
    errors: list[Wrong] = []


class BundleStatus(Exact):
    version: int
    digest: Digest
    age_seconds: float


class LiveFacts(msgspec.Struct):
    version: int


class HubStatus(msgspec.Struct, rename="camel"):
    connected: bool
    last_seen_seconds: float | None


class Spool(msgspec.Struct):
    bytes: int
    created: int
    stored: int
    dropped: int
    pending: int


class Events(msgspec.Struct, rename="camel"):
    accepted: int
    analytics_only: int
    without_consent: int
    duplicate: int
    rejected: int
    without_profile: dict[str, int]


class Profiles(msgspec.Struct):
    count: int
    bytes: int


class Status(Exact):
    node: str
    state: Literal["READY", "STALE", "ERROR"]
    bundle: BundleStatus
    live_facts: LiveFacts
    placements: list[str]
    hub: HubStatus
    spool: Spool
    events: Events
    profiles: Profiles
    workers: list[dict[str, Any]]


def problem(answer: Any, status: int) -> Problem:
    """The problem that an answer tells of, which must have this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = msgspec.json.decode(answer.content, type=Problem)
    assert told.status == status
    return told
