"""A person enables one journey after the other: what holds it back, and who said that it begins all the same.

The first one waits for its data: what it needs must be known of those whom it is for. Every further one also waits for
a verdict on an earlier one, ship or stop: whoever changes two things at once learns of neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edgewise.bundle.policy import Policy
from edgewise.errors import InputError, RefusedError
from edgewise.ids import ExperimentKey
from edgewise.profile.state import DAY_MS
from hub.data_audit.audit import Audit
from hub.experiments.policies import PolicyOf, Rules
from hub.experiments.report import reported
from hub.experiments.trial import read_trial
from hub.journeys.overview import placements_of
from hub.ledger.journeys import JourneyState, JourneySwitch
from hub.ledger.rows import AuditEntry
from hub.site.journey_file import JourneyFile
from hub.statistics.verdict import Word

if TYPE_CHECKING:
    from hub.ledger.ledger import Ledger

OVERRIDE = "Whoever enables it all the same says why: --override REASON"


class Gate(msgspec.Struct, frozen=True):
    """One thing that a journey waits for."""

    name: str
    """`data` or `verdict`."""
    is_open: bool
    sentence: str


class Verdicts(NamedTuple):
    """What is known of the journeys that were enabled before."""

    journeys: tuple[str, ...]
    """Others than the one that is asked for, the one enabled first leading."""
    sentences: tuple[str, ...]
    """Of each ship or stop among their experiments."""


class Lift(msgspec.Struct, frozen=True):
    """What one arm of a journey's experiment won."""

    key: ExperimentKey
    word: Word
    sentence: str


def data_gate(journey: JourneyFile, audit: Audit) -> Gate:
    """Whether enough of what the journey needs is known, by what its file says hangs on each point."""
    worth = sum(point.worth for point in audit.points)
    known = 1 - sum(point.lost for point in audit.points) / worth if worth else 0.0
    if not audit.active_people:
        sentence = f"nobody was active within {audit.active_days} days, so that nothing can be said of the data"
        return Gate("data", is_open=False, sentence=sentence)
    said = f"{known:.0%} of what the journey needs is known of {audit.active_people:,} active people"
    if known >= journey.least_known:
        return Gate("data", is_open=True, sentence=said)
    first = f"; first: {audit.first[0].sentence}" if audit.first else ""
    return Gate("data", is_open=False, sentence=f"{said}, {journey.least_known:.0%} are asked{first}")


def verdict_gate(verdicts: Verdicts) -> Gate | None:
    """None: no other journey was ever enabled."""
    if not verdicts.journeys:
        return None
    if verdicts.sentences:
        return Gate("verdict", is_open=True, sentence=verdicts.sentences[0])
    names = ", ".join(verdicts.journeys)
    return Gate("verdict", is_open=False, sentence=f"there is no verdict yet on {names}, which came before")


def verdicts_on(
    ledger: Ledger,
    name: str,
    journeys: Callable[[str], JourneyFile | None],
    live: Policy | None,
    policy_of: PolicyOf,
    *,
    days: float,
    now_ms: int,
) -> Verdicts:
    """What the experiments of the journeys say that were enabled before `name`; reads their decisions of `days`."""
    earlier = list(
        dict.fromkeys(
            said.journey
            for said in ledger.journey_switches()
            if said.state is JourneyState.ENABLED and said.journey != name
        )
    )
    sentences: list[str] = []
    for other in earlier:
        journey = journeys(other)
        if journey is not None and live is not None:
            told = lift_of(ledger, journey, live, policy_of, days=days, now_ms=now_ms)
            sentences += [f"{other}, {of.key}: {of.sentence}" for of in told if of.word in {Word.SHIP, Word.STOP}]
    return Verdicts(tuple(earlier), tuple(sentences))


def lift_of(
    ledger: Ledger, journey: JourneyFile, live: Policy, policy_of: PolicyOf, *, days: float, now_ms: int
) -> list[Lift]:
    """What the experiments of a journey's placements say, read over the last `days`."""
    told: list[Lift] = []
    for key in _experiments(journey, live):
        rules = Rules(key, live, policy_of)
        trial = read_trial(ledger, rules, since_ms=now_ms - round(days * DAY_MS), now_ms=now_ms)
        told += [Lift(key, of.word, of.sentence) for of in reported(trial).analysis.verdicts.values()]
    return told


def enable(
    ledger: Ledger, name: str, gates: Sequence[Gate], *, by: str, override: str = "", now_ms: int
) -> JourneySwitch:
    """A person enables a journey; a page journey is in force with the next release that is built.

    Raises:
        InputError: it is enabled already.
        RefusedError: `journey-held`: a gate is closed, and no `override` says why it is enabled all the same;
            `journey-state`: somebody said something of a journey meanwhile.
    """
    said = ledger.journey_states().get(name)
    if said is not None and said.state is JourneyState.ENABLED:
        raise InputError(f"the journey {name!r} is enabled already, by {said.who}")
    held = [gate.sentence for gate in gates if not gate.is_open]
    if held and not override.strip():
        raise RefusedError("journey-held", f"{'; '.join(held).removesuffix('.')}. {OVERRIDE}")
    return _say(ledger, name, JourneyState.ENABLED, gates, by=by, reason=override if held else "", now_ms=now_ms)


def pause(ledger: Ledger, name: str, *, by: str, reason: str, now_ms: int) -> JourneySwitch:
    """A person pauses a journey: its mails end at once, its pages with the next release. Raises as `enable`."""
    said = ledger.journey_states().get(name)
    if said is None or said.state is not JourneyState.ENABLED:
        running = [each for each, of in ledger.journey_states().items() if of.state is JourneyState.ENABLED]
        there = f"; {', '.join(sorted(running))} is" if running else "; none is"
        raise InputError(f"the journey {name!r} is not enabled{there}")
    return _say(ledger, name, JourneyState.PAUSED, (), by=by, reason=reason, now_ms=now_ms)


def _say(
    ledger: Ledger, name: str, state: JourneyState, gates: Sequence[Gate], *, by: str, reason: str, now_ms: int
) -> JourneySwitch:
    known = ledger.journey_switches()
    said = JourneySwitch(
        journey=name,
        state=state,
        who=by,
        time_ms=now_ms,
        reason=reason,
        gates=tuple(gate.sentence for gate in gates),
    )
    is_override = state is JourneyState.ENABLED and bool(reason)
    detail = {"gates": list(said.gates), **({"override": reason} if is_override else {"reason": reason})}
    what = "journey enable" if state is JourneyState.ENABLED else "journey pause"
    return ledger.switch_journey(said, AuditEntry(by, what, name, detail), after=known[-1].number if known else 0)


def _experiments(journey: JourneyFile, live: Policy) -> list[ExperimentKey]:
    """Those that its placements run and that name an outcome."""
    keys = (live.placements[name].experiment for name in placements_of(journey) if name in live.placements)
    return [key for key in dict.fromkeys(keys) if key is not None and live.experiments[key].outcome is not None]
