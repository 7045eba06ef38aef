"""How the loop goes about it: when there is enough to learn, how few nodes try first, what takes their trial back."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from hub.learning.gate import GatePlan


class LearnPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One site's."""

    judge_days: Annotated[float, Meta(gt=0)] = 28.0
    """How old a decision may be that challengers are judged on."""
    judge_share: Annotated[float, Meta(gt=0, lt=1)] = 0.33
    """Share of those decisions, the latest ones, that the model does not learn from, so that they can judge it."""
    most_judged: Annotated[int, Meta(ge=1)] = 2_000
    """Decisions that judge a challenger, the latest ones."""
    incremental: bool = False
    """Add what is new to the latest version, where the model can be continued."""
    seed: Annotated[int, Meta(ge=0)] = 0
    canary_share: Annotated[float, Meta(gt=0, le=0.5)] = 0.1
    """Of the nodes, at least one; with a single node there is no canary."""
    canary_hours: Annotated[float, Meta(ge=0)] = 24.0
    """The least time that they are watched."""
    canary_decisions: Annotated[int, Meta(ge=1)] = 500
    """The least number of decisions on them."""
    canary_tolerated: Annotated[float, Meta(ge=0, le=1)] = 0.2
    """How much less reward a decision may bring there, as part of what it brings on the other nodes."""
    most_degraded: Annotated[float, Meta(ge=0, le=1)] = 0.01
    """How much larger the share of decisions without a model may be there."""
    gate: GatePlan = GatePlan()
