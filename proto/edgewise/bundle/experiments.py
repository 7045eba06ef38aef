"""Who gets which arm, and what that is judged by."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from edgewise.bundle.share import Share
from edgewise.ids import ArmName

Word = Annotated[str, Meta(min_length=1, max_length=200)]
Condition = dict[str, Any]
"""A condition in GrowthBook's language (`edgewise.conditions`)."""


class Metric(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an experiment is judged by: what a unit does within a window behind its first exposure."""

    name: Word
    event: Word
    """A kind of event (`order`, `add`, `click`, `refund`: `edgewise.events.Kind`), or an event's name to the letter."""
    value: Literal["any", "count", "revenue", "ratio"] = "any"
    """A number a unit: 1 if it happened at all (a proportion), how often, how much money in the site's currency (minor
    units), or, summed over units, how often for each time of `denominator`."""
    denominator: str = ""
    """Of a ratio: a kind or a name, as `event`."""
    window_hours: Annotated[float, Meta(gt=0, le=24 * 400)] = 168.0
    better: Literal["higher", "lower"] = "higher"
    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Of a guardrail: the worst relative change that is tolerated, in the direction that is not better. 0.02: 2 %."""
    business: bool | None = None
    """Whether the site lives on it. Unsaid: views, clicks and what is only shown are no business, the rest is."""


class RampStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """A coverage, and what must have been seen at it before the next one may follow."""

    coverage: Annotated[float, Meta(gt=0, le=1)]
    after_hours: Annotated[float, Meta(ge=0)] = 0.0
    """How long at least."""
    min_units: Annotated[int, Meta(ge=0)] = 0
    """How many exposed units at least."""


class Ramp(msgspec.Struct, frozen=True):
    """Coverage raised step by step. No step follows while a guardrail is broken, and each is a release of its own."""

    steps: Annotated[list[RampStep], Meta(min_length=1)]


class NamespaceRange(msgspec.Struct, frozen=True):
    """The part of a namespace, from `start` to below `end`, that an experiment takes; disjoint parts share no unit."""

    name: Word
    start: Share
    end: Share


class Experiment(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who gets which arm: GrowthBook's hashing of `seed` and the unit. Weights follow `arms`' order."""

    arms: Annotated[list[ArmName], Meta(min_length=2)]
    weights: list[Share]
    seed: str
    coverage: Share = 1.0
    control: ArmName = ArmName("")
    """The arm that others are compared with; empty: the first."""
    outcome: Metric | None = None
    """The business outcome that the verdict is about."""
    guardrails: list[Metric] = []
    """What must not get worse than each says."""
    method: Literal["sequential", "fixed", "bayesian"] = "sequential"
    """How it is judged, said before it starts. Sequential may be looked at every day."""
    condition: Condition = {}
    """Who takes part at all; empty: everybody."""
    namespace: NamespaceRange | None = None
    hash_version: Literal[1, 2] = 2
    """1 is for experiments that began elsewhere with it."""
    sticky: bool = True
    """Who was assigned once keeps the arm when weights or coverage change."""
    bucket_version: Annotated[int, Meta(ge=0)] = 0
    """A new one assigns everybody anew."""
    min_bucket_version: Annotated[int, Meta(ge=0, le=1_000)] = 0
    """Who was assigned under an older version than this takes part no more."""
    training_share: Share = 0.0
    """Share of units that are learned from while it runs and count in no lift; the others are only measured."""
    ramp: Ramp | None = None

    @property
    def control_arm(self) -> ArmName:
        """The arm that others are compared with."""
        return self.control or self.arms[0]
