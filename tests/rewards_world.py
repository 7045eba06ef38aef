"""Decisions and events of a small shop, by hand: each maker says only what a test is about."""

from __future__ import annotations

from typing import Any

import msgspec
from hub_records import NOW_MS, SUBJECT, decision, event

from edgewise.bundle.rewards import RewardDefinition
from edgewise.ids import DecisionId, ItemId, MessageId, PlacementName, SubjectId
from edgewise.records import DecisionRecord, EventRecord, Touch
from edgewise.request import PlacementRequest
from hub.rewards.join import join_records
from hub.rewards.joined import Joined

HOME = PlacementName("home")
ASIDE = PlacementName("aside")
HOUR_MS = 3_600_000
CLICKS = RewardDefinition({"click": 1.0})


def shown(
    seq: int,
    *items: str,
    at_ms: int | None = None,
    placement: str = HOME,
    propensity: Any = 0.5,
    others: dict[str, tuple[str, ...]] | None = None,
    experiment: str | None = None,
    **changes: Any,
) -> DecisionRecord:
    """A decision that showed `items` in `placement`, and `others` beside it. `propensity` is written as it is."""
    assigned = None if experiment is None else {"key": experiment, "arm": "champion", "forced": False}
    placed = {placement: items, **(others or {})}
    changes.setdefault("unit", changes.get("subject", SUBJECT))
    return decision(
        seq,
        time_ms=NOW_MS + seq * 1_000 if at_ms is None else at_ms,
        placements=tuple(PlacementRequest(PlacementName(name)) for name in placed),
        decision=msgspec.json.encode(
            {
                "placements": {
                    name: {
                        "items": [
                            {"id": item, "rank": rank, "reason": "MODEL", "propensity": propensity}
                            for rank, item in enumerate(given, 1)
                        ],
                        "reason": "MODEL",
                        "policy": "champion",
                        "experiment": assigned,
                    }
                    for name, given in placed.items()
                }
            }
        ),
        **{"impressions": (), **changes},
    )


def said(
    number: int,
    name: str = "Content Clicked",
    *items: str,
    at_ms: int,
    of: DecisionRecord | None = None,
    subject: SubjectId = SUBJECT,
    touch: dict[str, Any] | None = None,
    **changes: Any,
) -> EventRecord:
    """Something that the visitor did with `items`; `of` is the decision that it names."""
    decision_id: DecisionId | None = None if of is None else of.decision_id
    return event(
        1_000 + number,
        message=MessageId(f"m{number}"),
        name=name,
        subject=subject,
        time_ms=at_ms,
        received_ms=at_ms,
        touches=tuple(Touch(ItemId(item), **(touch or {})) for item in items),
        **{"decision_id": decision_id, **changes},
    )


def join(
    decisions: list[DecisionRecord],
    events: list[EventRecord],
    definition: RewardDefinition = CLICKS,
    *,
    placement: PlacementName = HOME,
    now_ms: int = NOW_MS + 1_000 * HOUR_MS,
    **changes: Any,
) -> Joined:
    """All of it joined, long after."""
    times = {"since_ms": 0, "until_ms": NOW_MS + 900 * HOUR_MS}
    return join_records(decisions, events, placement, definition, **{**times, "now_ms": now_ms, **changes})
