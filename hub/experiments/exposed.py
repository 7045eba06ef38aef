"""From decisions to people: who was first exposed to which arm, and when; and who does not count, and why.

A person is all of his subjects (`profile show`), and counts from the first time that he had the arm before his eyes:
that of the activation where a decision was deferred. Nothing before it can be an effect, and nobody is left out
for what he did after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from edgewise.assign import in_holdout
from edgewise.eligibility import may_personalise
from edgewise.ids import ArmName, BundleVersion, DecisionId, PlacementName, SubjectId
from edgewise.records import ANONYMOUS, DecisionRecord
from hub.experiments.policies import Rules
from hub.rewards.attribution import PersonOf
from hub.rewards.exposures import Activation, Exposure, clock_jumps, exposures_of
from hub.rewards.joined import Traffic
from hub.rewards.traffic import Standing

HELD_OUT: Final = ArmName("held out")
PERSONALISED: Final = ArmName("personalised")


class LeftOut(StrEnum):
    """Why an exposure counts in no comparison; what `hub.rewards.exposures.Dropped` says comes beside these."""

    BOT = "bot"
    INTERNAL = "internal"
    TRAINING = "training"
    """Set apart to be learned from."""
    FORCED = "forced"
    """An operator chose the arm."""
    ANONYMOUS = "anonymous"
    """Nothing may be tied to them, so that nobody can tell what came of it."""
    OTHER_VERSION = "other-version"
    """Of the experiment: other arms, another seed or bucket version."""
    UNKNOWN_ARM = "unknown-arm"


class Person(NamedTuple):
    """Somebody who was exposed."""

    person: SubjectId
    arm: ArmName | None
    """None: he saw several."""
    exposed_ms: int
    """When first."""
    version: BundleVersion
    """The release that exposed him first."""
    device: str
    country: str
    is_known: bool
    """Whether a profile was there to be read when he was first exposed."""


@dataclass(frozen=True)
class Exposed:
    """Everybody, each list in the order of person."""

    people: tuple[Person, ...]
    """In an arm of the experiment."""
    holdout: tuple[Person, ...]
    """Held out, or personalised in any way, where the experiment runs."""
    coverage: Mapping[BundleVersion, tuple[int, int]]
    """By the release of somebody's first visit to a placement of the experiment: people inside of it, and outside."""
    left_out: Mapping[str, int]
    """Why -> how many units."""
    reached: Mapping[float, Reached]
    """By coverage: since when, and by how many people the experiment was seen at it."""


class Reached(NamedTuple):
    """What was seen at one coverage."""

    since_ms: int
    units: int


@dataclass
class _Seen:
    """What is known of a person so far."""

    first: Exposure
    arms: set[ArmName] = field(default_factory=set)

    def add(self, exposure: Exposure, arm: ArmName) -> None:
        self.arms.add(arm)
        if _order(exposure) < _order(self.first):
            self.first = exposure


def exposed(
    decisions: Iterable[DecisionRecord],
    activations: Mapping[DecisionId, dict[PlacementName, Activation]],
    rules: Rules,
    *,
    person_of: PersonOf,
    standing_of: Callable[[Exposure], Standing],
    now_ms: int,
    step_ms: int = 0,
) -> Exposed:
    """Everybody whom the decisions exposed. The same for any order of the decisions.

    `step_ms`: when the step of the ramp was taken; what was seen at its coverage before, in a run that was begun anew,
    is not counted as reached.
    """
    records = list(decisions)
    jumped = clock_jumps(records)
    gathering = _Gathering(rules, person_of, standing_of, step_ms)
    for record in records:
        of_decision = activations.get(record.decision_id, {})
        for exposure in exposures_of(record, of_decision, jumped=record.decision_id in jumped, now_ms=now_ms):
            gathering.take(exposure)
    return gathering.found()


class _Gathering:
    """One pass over exposures."""

    def __init__(
        self, rules: Rules, person_of: PersonOf, standing_of: Callable[[Exposure], Standing], step_ms: int
    ) -> None:
        self._rules = rules
        self._step_ms = step_ms
        self._placements = frozenset(rules.placements)
        self._person_of = person_of
        self._standing_of = standing_of
        self._people: dict[SubjectId, _Seen] = {}
        self._holdout: dict[SubjectId, _Seen] = {}
        self._visits: dict[SubjectId, _Seen] = {}
        self._left_out: dict[str, set[str]] = {}
        self._reached: dict[float, tuple[int, set[SubjectId]]] = {}

    def take(self, exposure: Exposure) -> None:
        """One placement of one decision."""
        is_inside = exposure.experiment == self._rules.key
        if not is_inside and exposure.placement not in self._placements:
            return
        why = self._why_left_out(exposure, is_inside=is_inside)
        if why is not None:
            if is_inside:
                self._left_out.setdefault(why, set()).add(exposure.record.unit)
            return
        person = self._person_of(exposure.record.subject)
        if exposure.placement in self._placements:
            self._visit(person, exposure, is_inside=is_inside)
        if is_inside:
            self._people.setdefault(person, _Seen(exposure)).add(exposure, exposure.arm)
            if exposure.exposed_ms >= self._step_ms:
                self._reach(person, exposure)

    def found(self) -> Exposed:
        """What came together."""
        coverage: dict[BundleVersion, list[int]] = {}
        for seen in self._visits.values():
            outside = seen.first.experiment != self._rules.key
            coverage.setdefault(seen.first.record.bundle_version, [0, 0])[outside] += 1
        return Exposed(
            people=_people(self._people),
            holdout=_people(self._holdout),
            coverage={version: (inside, outside) for version, (inside, outside) in sorted(coverage.items())},
            left_out={why: len(units) for why, units in sorted(self._left_out.items())},
            reached={share: Reached(since, len(units)) for share, (since, units) in sorted(self._reached.items())},
        )

    def _why_left_out(self, exposure: Exposure, *, is_inside: bool) -> str | None:
        """The first of the reasons, from what is certain to what is only told from behaviour."""
        if not exposure.was_seen:
            return str(exposure.dropped)
        if exposure.is_forced:
            return LeftOut.FORCED
        if exposure.record.subject == ANONYMOUS:
            return LeftOut.ANONYMOUS
        standing = self._standing_of(exposure).traffic
        if standing is not Traffic.VISITOR:
            return LeftOut(standing.value)
        return self._of_another(exposure) if is_inside else None

    def _of_another(self, exposure: Exposure) -> str | None:
        """Whether it is of this experiment as it is now."""
        if not self._rules.is_same(exposure.record.bundle_version):
            return LeftOut.OTHER_VERSION
        return None if exposure.arm in self._rules.experiment.arms else LeftOut.UNKNOWN_ARM

    def _visit(self, person: SubjectId, exposure: Exposure, *, is_inside: bool) -> None:
        record = exposure.record
        if not may_personalise(record.grants, record.dial):
            return
        held_out = not is_inside and in_holdout(self._rules.live.site, record.unit)
        arm = HELD_OUT if held_out else PERSONALISED
        self._holdout.setdefault(person, _Seen(exposure)).add(exposure, arm)
        if not held_out and exposure.arm and self._rules.runs_at(record.bundle_version, exposure.placement):
            # Where his first visit was decides: who was outside of a small coverage may be inside of a larger one.
            self._visits.setdefault(person, _Seen(exposure)).add(exposure, arm)

    def _reach(self, person: SubjectId, exposure: Exposure) -> None:
        coverage = self._rules.at(exposure.record.bundle_version).coverage
        since_ms, units = self._reached.get(coverage, (exposure.exposed_ms, set()))
        units.add(person)
        self._reached[coverage] = min(since_ms, exposure.exposed_ms), units


def _order(exposure: Exposure) -> tuple[int, DecisionId, PlacementName]:
    return exposure.exposed_ms, exposure.decision_id, exposure.placement


def _people(seen: Mapping[SubjectId, _Seen]) -> tuple[Person, ...]:
    found = []
    for person, of in sorted(seen.items()):
        record = of.first.record
        found.append(
            Person(
                person=person,
                arm=next(iter(of.arms)) if len(of.arms) == 1 else None,
                exposed_ms=of.first.exposed_ms,
                version=record.bundle_version,
                device=record.context.device.type,
                country=record.context.geo.country,
                is_known=bool(record.applied),
            )
        )
    return tuple(found)
