"""Made, shown, rewarded, dropped, sampled: how learning stands, for each placement, as of now."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from edgewise.bundle.policy import Policy
from edgewise.errors import InputError
from edgewise.ids import PlacementName
from hub.made_lately import MadeLately
from hub.rewards.attribution import HOUR_MS
from hub.rewards.definition import CLICKED
from hub.rewards.join import join_prepared, prepared
from hub.rewards.joined import Joined
from hub.rewards.reading import read_records

if TYPE_CHECKING:
    from hub.ledger.ledger import Ledger

PolicyNow = Callable[[], Policy | None]
"""The live release's; None where there is none."""
VIEW_HOURS: Final = 48.0
"""Twice as long as rewards are usually waited for: within one wait nothing could be settled."""
MOST_DECISIONS: Final = 10_000
"""Of a view that a running hub makes: about a second of one core, while others wait for the interpreter."""


class PlacementRewards(msgspec.Struct, frozen=True, rename="camel"):
    """One placement: decisions, as `hub.rewards.joined.Counts` counts them. `made` = `shown` + all of `dropped`."""

    placement: PlacementName
    defined: bool
    """False: the policy says nothing of rewards here, and a click counts 1."""
    made: int
    shown: int
    waiting: int
    rewarded: int
    late: int
    sampled: int
    """Shown, and left out of learning by the site's `learning_share`."""
    learnable: int
    """Decisions that could be learned from now."""
    dropped: dict[str, int]
    traffic: dict[str, int]
    bad: dict[str, int]
    """Outcomes and activations that count for nothing."""
    mean_reward: float | None
    """A shown item, of visitors whose wait is over; None: there are none."""


class RewardsView(msgspec.Struct, frozen=True, rename="camel"):
    """`GET /api/v1/rewards` and `edgewise hub rewards --json`."""

    since_ms: int
    """Decisions made since."""
    until_ms: int
    cut: bool
    """Whether there were more than a running hub looks at: the latest are shown."""
    placements: list[PlacementRewards]


def rewards_view(
    ledger: Ledger,
    policy: Policy | None,
    *,
    since_ms: int,
    now_ms: int,
    placement: PlacementName | None = None,
    most: int | None = None,
) -> RewardsView:
    """Every placement of the policy and of the decisions since, or one; of the latest `most` decisions.

    Raises InputError for a placement that neither knows.
    """
    after = 0 if most is None else ledger.position_of_latest(most)
    placements = {} if policy is None else policy.placements
    defined = {name: known.reward for name, known in placements.items() if known.reward is not None}
    definitions = [CLICKED, *defined.values()]
    until_ms = now_ms + 1
    records = read_records(ledger, definitions, policy, since_ms=since_ms, until_ms=until_ms, after_position=after)
    known = placements.keys() | {request.name for record in records.decisions for request in record.placements}
    if placement is not None and placement not in known:
        raise InputError(f"no placement {placement!r}; there are {', '.join(sorted(known)) or 'none'}")
    ready = prepared(records, now_ms=now_ms)
    found = []
    for name in sorted(known) if placement is None else [placement]:
        joined = join_prepared(ready, name, defined.get(name, CLICKED), since_ms=since_ms, until_ms=until_ms)
        found.append(_view_of(joined, is_defined=name in defined))
    return RewardsView(since_ms=since_ms, until_ms=until_ms, cut=bool(after), placements=found)


def _view_of(joined: Joined, *, is_defined: bool) -> PlacementRewards:
    counts = joined.counts
    counted = joined.reward[joined.is_counted]
    return PlacementRewards(
        placement=joined.placement,
        defined=is_defined,
        made=counts.made,
        shown=counts.shown,
        waiting=counts.waiting,
        rewarded=counts.rewarded,
        late=counts.late,
        sampled=counts.sampled,
        learnable=len({joined.decision_id[index] for index in np.flatnonzero(joined.is_learnable)}),
        dropped=counts.dropped,
        traffic=counts.traffic,
        bad=counts.bad,
        mean_reward=float(counted.mean()) if len(counted) else None,
    )


class RewardsNow:
    """The view of a running hub: bounded, and made at most once in `every_ms`, however often it is asked for."""

    def __init__(self, ledger: Ledger, policy: PolicyNow, *, hours: float = VIEW_HOURS, every_ms: int = 60_000) -> None:
        self._ledger = ledger
        self._policy = policy
        self._window_ms = round(hours * HOUR_MS)
        self._made: MadeLately[None, RewardsView] = MadeLately(every_ms)

    def at(self, now_ms: int) -> RewardsView:
        """Of the last hours, perhaps of a moment ago."""
        policy = self._policy()

        def make() -> RewardsView:
            since_ms = now_ms - self._window_ms
            return rewards_view(self._ledger, policy, since_ms=since_ms, now_ms=now_ms, most=MOST_DECISIONS)

        return self._made.get(None, make, of=policy, now_ms=now_ms)
