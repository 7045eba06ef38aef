"""How much has come since a model learned last: decisions whose rewards have settled, or outcomes of the history."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from edgewise.bundle.policy import Policy
from edgewise.events import kind_of
from edgewise.ids import PlacementName
from hub.learning.gate import HOUR_MS
from hub.ledger.ledger import Ledger
from hub.rewards.definition import definition_in
from hub.rewards.join import joined
from hub.rewards.joined import Counts
from hub.site.recipes import RankerRecipe


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one model's two sources of lessons."""

    decisions_since_ms: int
    decisions_until_ms: int
    """What was decided earlier has settled: nothing more may come in time."""
    events_after: int
    events_through: int
    """Positions in the ledger, whose order is that of storing: what came late is new all the same."""
    decisions: int
    """Settled, with a row that may be learned from."""
    joined: Counts
    """What became of all that were made."""
    outcomes: int
    """Stored events that are the outcome that the recipe names."""
    new: int
    """Whichever of them the model learns from."""
    newest_ms: int
    """When the newest of those happened; 0: none did."""


def news_of(
    ledger: Ledger,
    policy: Policy,
    placement: PlacementName,
    recipe: RankerRecipe,
    *,
    since: News | None,
    now_ms: int,
) -> News:
    """Count what is new since the counting before, None: since ever.

    What a clock that ran ahead wrote into the future is not counted before its time.
    """
    decided_ms, through = (0, 0) if since is None else (since.decisions_until_ms, since.events_through)
    definition = definition_in(policy, placement)
    until_ms = max(decided_ms, now_ms - round(definition.wait_hours * HOUR_MS))
    rows = joined(ledger, placement, definition, since_ms=decided_ms, until_ms=until_ms, now_ms=now_ms, policy=policy)
    learnable = np.flatnonzero(rows.is_learnable).tolist()
    outcomes = newest_outcome_ms = 0
    after = through
    for through, event in ledger.events(after_position=after):  # noqa: B007  # the last one is kept
        if event.time_ms > now_ms:
            continue
        kind = kind_of(event.type, event.name)
        if any(recipe.outcome.counts(kind, touch.rating) for touch in event.touches):
            outcomes += 1
            newest_outcome_ms = max(newest_outcome_ms, event.time_ms)
    decisions = len({rows.decision_id[row] for row in learnable})
    by_decisions = recipe.decisions is not None
    return News(
        decisions_since_ms=decided_ms,
        decisions_until_ms=until_ms,
        events_after=after,
        events_through=through,
        decisions=decisions,
        joined=rows.counts,
        outcomes=outcomes,
        new=decisions if by_decisions else outcomes,
        newest_ms=int(rows.time_ms[learnable].max(initial=0)) if by_decisions else newest_outcome_ms,
    )


def decided_ms(
    ledger: Ledger, policy: Policy, placement: PlacementName, *, since_ms: int, until_ms: int, now_ms: int
) -> list[int]:
    """When the decisions were made that can judge: settled, and counted in a lift; sorted."""
    definition = definition_in(policy, placement)
    rows = joined(ledger, placement, definition, since_ms=since_ms, until_ms=until_ms, now_ms=now_ms, policy=policy)
    times = {rows.decision_id[row]: int(rows.time_ms[row]) for row in np.flatnonzero(rows.is_counted).tolist()}
    return sorted(times.values())


def plain(told: object) -> Any:
    """As JSON that every database takes: what is no number is null."""
    return msgspec.json.decode(msgspec.json.encode(told))
