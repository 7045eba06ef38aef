"""One turn of the loop, step by step, until it ends or waits for a person.

    data --> train --> parity --> evaluate --> judge --> bundle --> a person approves
         --> canary on few nodes --> watch --> a person promotes

Each step is written down with what it was given and what came of it before the next one begins. Whoever comes after a
crash goes on behind the last step that was done: no step that was done is done again, and each can be done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from edgewise.clock import Clock
from edgewise.errors import InputError, ModelRefused, RefusedError
from edgewise.ids import ModelName
from edgewise.profile.state import DAY_MS
from hub.learning.evidence import GateEvidence, ParityEvidence
from hub.learning.gate import GateVerdict, judge
from hub.learning.news import News, decided_ms, news_of, plain
from hub.learning.plan import LearnPlan
from hub.learning.writing import LOOP, LoopWriter, Taken
from hub.lease import Held
from hub.ledger.learning import OPEN, Step, StepName, StepState, Turn, TurnState
from hub.ledger.ledger import Ledger
from hub.ledger.rows import ReleaseStatus
from hub.release.releases import Releases
from hub.site.loading import SiteContents
from hub.train.shop import Seat, seat_of

UNTIL: Final = "learned_until_ms"
MOST_TRIES: Final = 3
"""A training that ended its process so often is not begun again."""
Say = Callable[[str], None]


class TrainAsked(NamedTuple):
    """What a turn wants to have trained."""

    model: ModelName
    """Its name in the site."""
    by: str
    """Whom the registry writes down: it says which turn it was."""
    parent: int | None
    """The version to which only what is new is added; None: in full."""
    seed: int
    until_ms: int | None
    """Only what happened before may be learned from: what came later judges. None: nothing judges, all of it may."""


class EvidenceAsked(NamedTuple):
    """What a turn wants to know of its challenger."""

    turn: Turn
    version: int
    seat: Seat
    news: News
    looks: int
    parity: ParityEvidence
    learned_until_ms: int | None
    now_ms: int


Train = Callable[[TrainAsked], None]
"""Registers a new version. Raises InputError for too little history, ModelRefused for a model that cannot serve."""
CheckParity = Callable[[ModelName, int], ParityEvidence]
Gather = Callable[[EvidenceAsked], GateEvidence]


class Workshop(NamedTuple):
    """What does the work of the steps."""

    train: Train
    check_parity: CheckParity
    gather: Gather


class Turns:
    """Takes the steps of one site's turns up to the person."""

    def __init__(
        self,
        ledger: Ledger,
        releases: Releases,
        contents: SiteContents,
        plan: LearnPlan,
        workshop: Workshop,
        *,
        clock: Clock,
        lease: Held,
        say: Say = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._releases = releases
        self._contents = contents
        self._plan = plan
        self._work = workshop
        self._clock = clock
        self._lease = lease
        self._writer = LoopWriter(ledger, clock, lease)
        self._say = say

    def begin(self, model: ModelName) -> Turn | News:
        """A new turn where enough has come since the one before, else what has come. Raises InputError, RefusedError.

        InputError: the site does not say how the model is trained, or where it ranks; RefusedError (`turn-open`).
        """
        recipe = self._contents.recipes.get(model)
        if recipe is None:
            raise InputError(f"models/{model}.yaml says nothing about training it; expected `train`")
        seat = seat_of(self._contents, model, recipe)
        now_ms = self._clock.now_ms()
        news = news_of(
            self._ledger,
            self._contents.policy,
            seat.placement,
            recipe,
            since=self._counted_last(model),
            now_ms=now_ms,
        )
        if news.new < self._plan.gate.fewest_new:
            return news
        self._lease.check()
        turn = self._ledger.begin_turn(model, self._contents.models[model].model, seat.placement, now_ms)
        inputs = {"fewest_new": self._plan.gate.fewest_new}
        return self._writer.write(turn, StepName.DATA, Taken(StepState.DONE, plain(news)), inputs)

    def go_on(self, turn: Turn) -> Turn:
        """Take the steps that are left until a person is needed, or the turn ends."""
        steps: dict[StepName, Callable[[Turn], Turn]] = {
            StepName.TRAIN: self._train,
            StepName.PARITY: self._parity,
            StepName.JUDGE: self._judge,
            StepName.BUNDLE: self._bundle,
            StepName.APPROVAL: self._ask,
        }
        for name, take in steps.items():
            if turn.state is not TurnState.RUNNING:
                break
            if self._done(turn, name) is None:
                self._say(f"turn {turn.number}, {turn.model}: {name}")
                turn = take(turn)
        return turn

    # --- the steps ------------------------------------------------------------------------------------------------
    def _train(self, turn: Turn) -> Turn:
        begun = [step for step in self._ledger.steps(turn.number) if step.name is StepName.TRAIN]
        by = f"{LOOP}, turn {turn.number}"
        if begun and (found := self._registered_by(turn, by)) is not None:
            # it was registered, and its process died before it wrote that down
            return self._trained(turn, found, begun[-1].inputs)
        if len(begun) >= MOST_TRIES:
            reason = f"training ended its process {len(begun)} times"
            return self._writer.write(turn, StepName.TRAIN, _stopped(reason, StepState.FAILED))
        parent, until_ms = self._parent(turn), self._judged_from(turn)
        inputs = {UNTIL: until_ms, "parent": parent, "seed": self._plan.seed, "try": len(begun) + 1}
        self._writer.write(turn, StepName.TRAIN, Taken(StepState.BEGUN), inputs)
        try:
            self._work.train(TrainAsked(turn.model, by, parent, self._plan.seed, until_ms))
        except (InputError, ModelRefused) as refused:
            return self._writer.write(turn, StepName.TRAIN, _stopped(str(refused)), inputs)
        found = self._registered_by(turn, by)
        if found is None:
            return self._writer.write(
                turn, StepName.TRAIN, _stopped("training ended without a model", StepState.FAILED)
            )
        return self._trained(turn, found, inputs)

    def _trained(self, turn: Turn, version: int, inputs: Mapping[str, Any]) -> Turn:
        row = self._releases.registry.row(turn.registered, version)
        told = {part: row.card.get(part) for part in ("data", "metrics", "reproduction")}
        result = {"version": version, "sha256": row.sha256, "registered_ms": row.created_ms, **told}
        done = Taken(StepState.DONE, plain(result), changes={"version": version})
        return self._writer.write(turn, StepName.TRAIN, done, inputs)

    def _parity(self, turn: Turn) -> Turn:
        version = _version(turn)
        try:
            parity = self._work.check_parity(turn.registered, version)
        except ModelRefused as refused:
            return self._writer.write(turn, StepName.PARITY, _stopped(str(refused)), {"version": version})
        return self._writer.write(turn, StepName.PARITY, Taken(StepState.DONE, plain(parity)), {"version": version})

    def _judge(self, turn: Turn) -> Turn:
        """Evidence and verdict in one go: what was gathered before a crash is out of date by now."""
        recipe = self._contents.recipes[turn.model]
        data, trained, parity = (self._must(turn, name) for name in (StepName.DATA, StepName.TRAIN, StepName.PARITY))
        asked = EvidenceAsked(
            turn=turn,
            version=_version(turn),
            seat=seat_of(self._contents, turn.model, recipe),
            news=msgspec.convert(data.result, News),
            looks=1 + self._looks_before(turn),
            parity=msgspec.convert(parity.result, ParityEvidence),
            learned_until_ms=trained.inputs.get(UNTIL),
            now_ms=self._clock.now_ms(),
        )
        inputs = {"version": asked.version, "looks": asked.looks, "seed": self._plan.seed}
        try:
            evidence = self._work.gather(asked)
        except (InputError, RefusedError) as refused:  # a site's bundle with this model cannot even be built
            return self._writer.write(turn, StepName.EVALUATE, _stopped(str(refused)), inputs)
        self._writer.write(turn, StepName.EVALUATE, Taken(StepState.DONE, plain(evidence)), inputs)
        verdict = judge(evidence, self._plan.gate)
        told = Taken(StepState.DONE, plain(verdict), verdict.against or verdict.in_favour)
        if not verdict.recommend:
            told = told._replace(
                state=StepState.STOPS, changes={"state": TurnState.STOPPED, "reason": _in_words(verdict)}
            )
        return self._writer.write(turn, StepName.JUDGE, told, plain(self._plan.gate))

    def _bundle(self, turn: Turn) -> Turn:
        version = _version(turn)
        inputs = {"model": turn.model, "version": version, "use": self._contents.models[turn.model].use}
        try:
            applied = self._releases.apply(self._contents, by=LOOP, trained={turn.model: version})
        except (InputError, RefusedError) as refused:
            return self._writer.write(turn, StepName.BUNDLE, _stopped(str(refused)), inputs)
        row = applied.release
        if row.status is not ReleaseStatus.CANDIDATE:
            return self._writer.write(
                turn, StepName.BUNDLE, _stopped(f"release {row.version} holds the very same"), inputs
            )
        result = {"release": row.version, "digest": row.digest, "changes": plain(applied.plan.changes)}
        done = Taken(StepState.DONE, result, changes={"release": row.version})
        return self._writer.write(turn, StepName.BUNDLE, done, inputs)

    def _ask(self, turn: Turn) -> Turn:
        reason = f"release {turn.release} waits for a person: `edgewise hub learn --approve {turn.number} --by NAME`"
        waits = Taken(
            StepState.WAITS, {"release": turn.release}, changes={"state": TurnState.WAITING, "reason": reason}
        )
        return self._writer.write(turn, StepName.APPROVAL, waits)

    # --- inside ---------------------------------------------------------------------------------------------------
    def _done(self, turn: Turn, name: StepName) -> Step | None:
        steps = self._ledger.steps(turn.number)
        return next((step for step in steps if step.name is name and step.state is StepState.DONE), None)

    def _must(self, turn: Turn, name: StepName) -> Step:
        step = self._done(turn, name)
        assert step is not None, "steps are taken in their order"
        return step

    def _judged_from(self, turn: Turn) -> int | None:
        """From which moment on settled decisions judge; None where there are too few to learn from and to judge by."""
        news = msgspec.convert(self._must(turn, StepName.DATA).result, News)
        times = decided_ms(
            self._ledger,
            self._contents.policy,
            turn.placement,
            since_ms=self._clock.now_ms() - round(self._plan.judge_days * DAY_MS),
            until_ms=news.decisions_until_ms,
            now_ms=self._clock.now_ms(),
        )
        if len(times) < self._plan.gate.least_ess:
            return None
        return times[len(times) - max(1, round(len(times) * self._plan.judge_share))]

    def _counted_last(self, model: ModelName) -> News | None:
        """What the latest turn counted, whatever came of it: what was refused is not tried again on the same data."""
        for turn in self._ledger.turns(model=model):
            step = self._done(turn, StepName.DATA)
            if step is not None:
                return msgspec.convert(step.result, News)
        return None

    def _registered_by(self, turn: Turn, by: str) -> int | None:
        for entry in self._ledger.audit(what={"model register"}):
            name, _, version = entry.subject.rpartition("@")
            if entry.who == by and name == turn.registered:
                return int(version)
        return None

    def _parent(self, turn: Turn) -> int | None:
        """What serves, where it is to be continued: what was not recommended must not live on in what comes next."""
        if not self._plan.incremental or self._contents.recipes[turn.model].decisions is not None:
            return None
        try:
            return self._releases.registry.resolve(self._contents.models[turn.model])
        except (InputError, RefusedError):
            return None  # nothing serves yet

    def _looks_before(self, turn: Turn) -> int:
        """Challengers that were judged since the model's last promotion."""
        looks = 0
        for other in self._ledger.turns(model=turn.model):
            if other.state is TurnState.PROMOTED:
                break
            names = {step.name for step in self._ledger.steps(other.number)}
            looks += other.number < turn.number and StepName.EVALUATE in names
        return looks


def open_turn(ledger: Ledger, model: ModelName) -> Turn | None:
    """The one that is not over yet."""
    return next(iter(ledger.turns(OPEN, model=model)), None)


def _version(turn: Turn) -> int:
    assert turn.version is not None, "a step behind the training"
    return turn.version


def _stopped(reason: str, state: StepState = StepState.STOPS) -> Taken:
    return Taken(state, reasons=(reason,), changes={"state": TurnState.STOPPED, "reason": reason})


def _in_words(verdict: GateVerdict) -> str:
    first, *others = verdict.against
    more = f" (and {len(others)} more)" if others else ""
    return f"not recommended: {first}{more}"
