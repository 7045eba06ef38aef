"""What was learned over time, and how the fast loop stands: read off the ledger for the page and for `--json`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from edgewise.bundle.policy import LiveFact, Policy
from edgewise.errors import EdgewiseError
from edgewise.ids import BundleVersion, ModelName, PlacementName
from edgewise.profile.state import DAY_MS
from hub.counted_facts import NAMES, OF_WEEKS, TRENDING
from hub.facts.board import BY_CLOCK, HALT, RESUME
from hub.ledger.learning import Step, StepName, StepState, Switch, Turn
from hub.ledger.ledger import Ledger
from hub.release.live_policy import LivePolicy
from hub.release.releases import Releases
from hub.rewards.definition import definition_in
from hub.rewards.join import joined
from hub.rewards.joined import Traffic

LONGEST_DAYS: Final = 90
_BOUNDED: Final = frozenset({TRENDING, *(name for name in OF_WEEKS if "_rate_" in name)})
"""Names whose numbers are shares by the way in which they are counted."""


class Told(msgspec.Struct, frozen=True):
    """A turn with its steps."""

    turn: Turn
    steps: list[Step]

    def result(self, name: StepName) -> Mapping[str, Any]:
        """Of the latest step of that name that was done; empty where there is none."""
        found = [step.result for step in self.steps if step.name is name and step.state is not StepState.BEGUN]
        return found[-1] if found else {}


class Day(msgspec.Struct, frozen=True):
    """Decisions of one release in one placement on one day (UTC)."""

    day: int
    """Since 1970."""
    release: BundleVersion
    decisions: int
    reward: float
    """Of all of them."""


class FastFact(msgspec.Struct, frozen=True):
    """One name that may change between releases."""

    name: str
    counted: bool
    """By the hub itself, from what visitors do."""
    bound: str
    """How far it may go, in words; empty: nothing holds it."""


class FastLoop(msgspec.Struct, frozen=True):
    """Live facts, as the loop that needs no person."""

    facts: list[FastFact]
    halted: bool
    version: int | None
    """Of the sheet that holds; None: there never was one."""
    numbers: int
    issued_ms: int | None
    by: str
    """Who made that version: `hub`, or a person."""
    switched: list[str]
    """Who halted them and let them go on, the latest first."""


class Story(msgspec.Struct, frozen=True):
    """All of it."""

    now_ms: int
    switch: Switch
    turns: list[Told]
    """The latest first."""
    days: dict[PlacementName, list[Day]]
    fast: FastLoop


def story(releases: Releases, now_ms: int, models: Sequence[ModelName] = ()) -> Story:
    """Of the last LONGEST_DAYS, of some models or of all."""
    ledger = releases.ledger
    turns = [turn for turn in ledger.turns() if not models or turn.model in models]
    policy = _live_policy(releases)
    placements = sorted({turn.placement for turn in turns})
    return Story(
        now_ms=now_ms,
        switch=ledger.switch(),
        turns=[Told(turn, ledger.steps(turn.number)) for turn in turns],
        days={} if policy is None else {name: _days(ledger, policy, name, now_ms) for name in placements},
        fast=fast_loop(ledger, policy),
    )


def fast_loop(ledger: Ledger, policy: Policy | None) -> FastLoop:
    """Which facts may change, how far, and whether they are halted."""
    newest = ledger.newest_facts()
    declared = {} if policy is None else policy.site.live_facts
    return FastLoop(
        facts=[FastFact(name, name in NAMES, bound_of(name, fact)) for name, fact in sorted(declared.items())],
        halted=newest is not None and newest.halted,
        version=None if newest is None else newest.version,
        numbers=0 if newest is None else newest.numbers,
        issued_ms=None if newest is None else newest.issued_ms,
        by="" if newest is None else newest.who,
        switched=[f"{entry.what} by {entry.who}" for entry in ledger.audit(what={HALT, RESUME})],
    )


def bound_of(name: str, fact: LiveFact) -> str:
    """In words; empty where any number is taken."""
    said = []
    if fact.most_change is not None:
        said.append(f"at most {fact.most_change:.0%} from what was released")
    if fact.min is not None:
        said.append(f"at least {fact.min:g}")
    if fact.max is not None:
        said.append(f"at most {fact.max:g}")
    if not said and name in _BOUNDED:
        said.append("a share, as it is counted")
    return ", ".join(said)


def is_by_clock(fast: FastLoop) -> bool:
    """Whether no person made what holds now."""
    return fast.by == BY_CLOCK


def _live_policy(releases: Releases) -> Policy | None:
    try:
        return LivePolicy(releases.repository)()
    except (EdgewiseError, KeyError):
        return None  # damaged: what was learned can be told all the same


def _days(ledger: Ledger, policy: Policy, placement: PlacementName, now_ms: int) -> list[Day]:
    since_ms = (now_ms // DAY_MS - LONGEST_DAYS) * DAY_MS
    rows = joined(
        ledger,
        placement,
        definition_in(policy, placement),
        since_ms=since_ms,
        until_ms=now_ms,
        now_ms=now_ms,
        policy=policy,
    )
    decisions: defaultdict[tuple[int, BundleVersion], set[str]] = defaultdict(set)
    rewards: defaultdict[tuple[int, BundleVersion], float] = defaultdict(float)
    for row, traffic in enumerate(rows.traffic):
        if traffic is Traffic.VISITOR:
            key = (int(rows.time_ms[row]) // DAY_MS, rows.bundle_version[row])
            decisions[key].add(rows.decision_id[row])
            rewards[key] += float(rows.reward[row])
    return [Day(day, release, len(ids), rewards[day, release]) for (day, release), ids in sorted(decisions.items())]
