"""The answer of `POST /v1/decide`, as typed structs: what is encoded, and what OpenAPI shows."""

from __future__ import annotations

from typing import Any

import msgspec

from edge.worker.live_bundle import Served
from edgewise.decision import Assignment, ChosenItem, ChosenNothing, Decision, PlacementDecision, Why
from edgewise.dial import DIAL_EVERYTHING
from edgewise.ids import ArmName, DecisionId, ExperimentKey, ItemId, PlacementName
from edgewise.promises import NO_PROMISES, Promise, Promises, promised_content
from edgewise.reasons import Reason, State


class ItemAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """One slot. `propensity` is the probability of this item in this slot, given the items of earlier slots."""

    id: ItemId
    rank: int
    reason: Reason
    score: float
    propensity: float
    content: msgspec.Raw
    """What the page renders: free JSON; null for an item that the caller brought."""
    why: tuple[Why, ...]
    variant: str | msgspec.UnsetType = msgspec.UNSET
    """The copy of the item that `content` is, where it is not the item's own."""
    representation: str | msgspec.UnsetType = msgspec.UNSET
    """The format that `content` is made for, where the item has one for the placement's."""


class ExperimentAnswer(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Which arm of which experiment this visitor is in. `forced`: an operator asked for it."""

    key: ExperimentKey
    arm: ArmName
    forced: bool = False


class NothingAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """A slot that is left empty on purpose, with all that would come after it: the page keeps its space empty.

    `propensity` is the probability of leaving it empty, given the items of earlier slots.
    """

    rank: int
    reason: Reason
    score: float
    propensity: float
    why: tuple[Why, ...]


class PlacementAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What one placement shows. `policy` names the arm that ranked."""

    items: list[ItemAnswer]
    reason: Reason
    policy: ArmName
    experiment: ExperimentAnswer | None
    nothing: NothingAnswer | msgspec.UnsetType = msgspec.UNSET
    """Where showing nothing was chosen; `items` are those before it, or none."""
    html: str | msgspec.UnsetType = msgspec.UNSET
    """The same as a piece of HTML, where `options.render` asks for it."""


class BundleAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What was answered with, and how current that is."""

    version: int
    digest: str
    """`sha256:` and 64 hex digits; empty without a bundle."""
    age_seconds: float
    """Since it was released."""
    state: State


class VisitorAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What a page has to know of whoever looks at it. It says nothing of who that is."""

    proven: bool = False
    """The browser has proven who it is: what the visitor states can be kept (`PUT /v1/preferences`)."""
    personal: bool | msgspec.UnsetType = msgspec.UNSET
    """Whether the page may keep an id of him; absent where the node does not know yet what he has stated elsewhere."""
    dial: int = DIAL_EVERYTHING
    """The dial that holds: an id may be kept for longer than the session at 3, for the session at 2."""


class DecideAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The whole answer."""

    decision_id: DecisionId
    bundle: BundleAnswer
    placements: dict[PlacementName, PlacementAnswer]
    took_ms: float
    debug: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    """For operators who ask for it."""
    visitor: VisitorAnswer | msgspec.UnsetType = msgspec.UNSET
    """For pages, with `options.render`."""


def bundle_answer(served: Served | None, state: State, now_ms: int) -> BundleAnswer:
    """What is said of the bundle."""
    if served is None:
        return BundleAnswer(0, "", 0.0, state)
    manifest = served.bundle.manifest
    age_seconds = max(0, now_ms - manifest.created_ms) / 1_000
    return BundleAnswer(manifest.version, f"sha256:{served.bundle.digest}", age_seconds, state)


def placement_answers(
    decision: Decision, served: Served | None, promises: Promises = NO_PROMISES, *, now_ms: int, packed: bool
) -> dict[PlacementName, PlacementAnswer]:
    """A decision of `now_ms` with its contents, and the codes that come with items; `packed` for MessagePack."""
    return {
        name: _placement(placed, served, promises, now_ms=now_ms, packed=packed)
        for name, placed in decision.placements.items()
    }


def _placement(
    placed: PlacementDecision, served: Served | None, promises: Promises, *, now_ms: int, packed: bool
) -> PlacementAnswer:
    items = []
    if served is not None:
        items = [_item(item, served, promises, now_ms=now_ms, packed=packed) for item in placed.items]
    return PlacementAnswer(
        items, placed.reason, placed.policy, _experiment(placed.experiment), _nothing(placed.nothing)
    )


def _item(item: ChosenItem, served: Served, promises: Promises, *, now_ms: int, packed: bool) -> ItemAnswer:
    promise = promises.get(item.id)
    content = served.content(
        item.id, item.variant or "", item.representation or "", now_ms=now_ms, packed=packed and promise is None
    )
    if promise is not None:
        content = _promised(content, promise, served, packed=packed)
    return ItemAnswer(
        item.id,
        item.rank,
        item.reason,
        item.score,
        item.propensity,
        content,
        item.why,
        item.variant,
        item.representation,
    )


def _promised(content: msgspec.Raw, promise: Promise, served: Served, *, packed: bool) -> msgspec.Raw:
    policy = served.bundle.policy
    known = msgspec.json.decode(content)
    whole = promised_content(known, promise, policy.offers[promise.promotion], policy.site.currency)
    return msgspec.Raw(msgspec.msgpack.encode(whole) if packed else msgspec.json.encode(whole))


def _nothing(chosen: ChosenNothing | msgspec.UnsetType) -> NothingAnswer | msgspec.UnsetType:
    if isinstance(chosen, msgspec.UnsetType):
        return msgspec.UNSET
    return NothingAnswer(chosen.rank, chosen.reason, chosen.score, chosen.propensity, chosen.why)


def _experiment(assignment: Assignment | None) -> ExperimentAnswer | None:
    return None if assignment is None else ExperimentAnswer(assignment.key, assignment.arm, assignment.forced)
