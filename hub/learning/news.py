"""How much has come since a model learned last: decisions whose outcomes have settled, or outcomes of the history."""

from __future__ import annotations

from typing import Any

import msgspec

from edgewise.decision import Decision
from edgewise.errors import MALFORMED
from edgewise.events import kind_of
from edgewise.ids import PlacementName
from hub.ledger.ledger import Ledger
from hub.site.recipes import RankerRecipe

_decisions = msgspec.json.Decoder(Decision)


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one model's two sources of lessons."""

    decisions_since_ms: int
    decisions_until_ms: int
    """Outcomes of what was decided earlier have settled."""
    received_since_ms: int
    received_until_ms: int
    decisions: int
    """Made in the placement, without trials."""
    damaged: int
    """Decisions that could not be read."""
    outcomes: int
    """Received events that are the outcome that the recipe names."""
    new: int
    """Whichever of them the model learns from."""
    newest_ms: int
    """When the newest of those happened; 0: none did."""


def news_of(
    ledger: Ledger, placement: PlacementName, recipe: RankerRecipe, *, since: News | None, now_ms: int, settle_ms: int
) -> News:
    """Count what is new since the counting before, None: since ever.

    What a clock that ran ahead wrote into the future is not counted before its time.
    """
    decided_ms, received_ms = (0, 0) if since is None else (since.decisions_until_ms, since.received_until_ms)
    until_ms = max(decided_ms, now_ms - settle_ms)
    decisions = damaged = outcomes = newest_decision_ms = newest_outcome_ms = 0
    for _, record in ledger.decisions(since_ms=decided_ms, until_ms=until_ms):
        try:
            placed = _decisions.decode(record.decision).placements.get(placement)
        except MALFORMED:
            damaged += 1
            continue
        if placed is not None and not record.dry_run:
            decisions += 1
            newest_decision_ms = max(newest_decision_ms, record.time_ms)
    for _, event in ledger.events(after_position=ledger.position_before(received_ms) if received_ms else 0):
        if event.time_ms > now_ms:
            continue
        kind = kind_of(event.type, event.name)
        if any(recipe.outcome.counts(kind, touch.rating) for touch in event.touches):
            outcomes += 1
            newest_outcome_ms = max(newest_outcome_ms, event.time_ms)
    by_decisions = recipe.decisions is not None
    return News(
        decisions_since_ms=decided_ms,
        decisions_until_ms=until_ms,
        received_since_ms=received_ms,
        received_until_ms=now_ms,
        decisions=decisions,
        damaged=damaged,
        outcomes=outcomes,
        new=decisions if by_decisions else outcomes,
        newest_ms=newest_decision_ms if by_decisions else newest_outcome_ms,
    )


def decided_ms(ledger: Ledger, placement: PlacementName, *, since_ms: int, until_ms: int) -> list[int]:
    """When decisions were made in a placement, sorted; trials and what cannot be read are left out."""
    times = []
    for _, record in ledger.decisions(since_ms=since_ms, until_ms=until_ms):
        try:
            placements = _decisions.decode(record.decision).placements
        except MALFORMED:
            continue
        if placement in placements and not record.dry_run:
            times.append(record.time_ms)
    return sorted(times)


def plain(told: object) -> Any:
    """As JSON that every database takes: what is no number is null."""
    return msgspec.json.decode(msgspec.json.encode(told))
