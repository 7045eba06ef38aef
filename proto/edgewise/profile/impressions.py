"""Once shown is counted once, whoever says it: the decision itself, or events that say that it was seen.

A cap counts impressions. An impression that belongs to a decision is named by the decision, its moment and the item,
so that a decision, the page's word that it was seen and a second such word are one member of the set that a profile
keeps. What a page shows without Edgewise is named by the event that says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edgewise.events import ACTIVATIONS, Kind, kind_of
from edgewise.ids import DecisionId, ulid_time_ms
from edgewise.profile.state import Impression
from edgewise.records import DecisionRecord, EventRecord

AHEAD_MS: Final = 60 * 60 * 1_000
"""So far the clock of the node that decided may be ahead of the one that hears of it. A decision that is dated later
was never made: its impressions would outlive all true ones, of which the latest are kept."""


def of_decision(decision: DecisionRecord) -> Iterator[Impression]:
    """What counts as shown because it was decided."""
    for item in decision.impressions:
        yield Impression(decision.time_ms, decision.decision_id, 0, item)


def of_event(event: EventRecord) -> Iterator[Impression]:
    """What counts as shown because somebody says that it was seen: of a decision, or by a promotion of the page."""
    decision_id = event.decision_id if event.type == "track" and event.name in ACTIVATIONS else None
    made_ms = None if decision_id is None else _made_ms(decision_id, event)
    if decision_id is not None and made_ms is not None:
        for touch in event.touches:
            yield Impression(made_ms, decision_id, 0, touch.item)
    elif kind_of(event.type, event.name) is Kind.IMPRESSION:
        for touch in event.touches:
            yield Impression(event.time_ms, event.producer, event.seq, touch.item)


def _made_ms(decision_id: DecisionId, event: EventRecord) -> int | None:
    """When a decision was made, by its id; None where the id is none of ours, which are in capitals."""
    if decision_id != decision_id.upper():
        return None
    try:
        made_ms = ulid_time_ms(decision_id)
    except ValueError:
        return None
    return made_ms if made_ms <= event.received_ms + AHEAD_MS else None
