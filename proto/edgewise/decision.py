"""What is answered: a decision without its timing, so that it can be recomputed to the byte.

The HTTP answer adds `ageSeconds`, `state`, `tookMs` and the items' contents around it.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from edgewise.ids import ArmName, BundleVersion, DecisionId, ExperimentKey, ItemId, ModelName, PlacementName
from edgewise.reasons import Reason

NOTHING: Final = ItemId("")
"""How an action that showed nothing is named where actions are listed. No item has a blank id."""


class Why(msgspec.Struct, frozen=True):
    """One cause in plain words. `weight` is in the model's own score units; larger counts more."""

    code: str
    text: str
    weight: float


class ChosenItem(msgspec.Struct, frozen=True):
    """One slot. `propensity` = P(item in this slot | items of earlier slots), in (0, 1].

    `reason` is EXPLORE if and only if the item is not the greedy choice of its slot.
    """

    id: ItemId
    rank: int
    reason: Reason
    score: float
    propensity: float
    content_digest: str
    """SHA-256 of the approved content that was shown, or "" for an item that the caller brought."""
    why: tuple[Why, ...] = ()
    variant: str | msgspec.UnsetType = msgspec.UNSET
    """The copy that was shown instead of the item's own content. Left out of the bytes where there is none, as they
    were before there were any."""
    representation: str | msgspec.UnsetType = msgspec.UNSET
    """The format whose representation of the item was shown instead of its own content. Left out where none was."""


class ChosenNothing(msgspec.Struct, frozen=True):
    """The slot that was left empty on purpose, and with it all that would have come after.

    `rank`, `reason`, `score` and `propensity` as of an item that was chosen for this slot.
    """

    rank: int
    reason: Reason
    score: float
    propensity: float
    why: tuple[Why, ...] = ()


class Assignment(msgspec.Struct, frozen=True):
    """Which arm of which experiment this visitor is in. A forced arm never counts as an exposure."""

    key: ExperimentKey
    arm: ArmName
    forced: bool = False


class PlacementDecision(msgspec.Struct, frozen=True):
    """What one placement shows. `policy` names the arm that ranked."""

    items: tuple[ChosenItem, ...]
    reason: Reason
    policy: ArmName
    experiment: Assignment | None = None
    nothing: ChosenNothing | msgspec.UnsetType = msgspec.UNSET
    """Where the slate ended because showing nothing was chosen. Left out of the bytes where it was not."""

    @property
    def joint_propensity(self) -> float:
        """The probability of the whole slate, its end included: the product of its slots'."""
        of_items = math.prod(item.propensity for item in self.items)
        return of_items if self.nothing is msgspec.UNSET else of_items * self.nothing.propensity


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """The pure outcome of `decide`."""

    decision_id: DecisionId
    bundle_version: BundleVersion
    bundle_digest: str
    placements: dict[PlacementName, PlacementDecision]
    scores: dict[ModelName, tuple[float, ...]] = {}
    """Visitor scores that were asked for on the way: one number a class, in the order of the model's classes."""


_canonical = msgspec.json.Encoder(order="deterministic")


def canonical_bytes(decision: Decision) -> bytes:
    """The bytes that a replay must reproduce: JSON with sorted keys; floats in shortest round-trip form."""
    return _canonical.encode(decision)
