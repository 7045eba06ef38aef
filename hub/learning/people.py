"""What only a person may do with a turn: approve it, turn it down, promote it; and halt the loop, or let it go on.

Nothing here is called by the loop itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from edgewise.clock import Clock
from edgewise.errors import RefusedError
from edgewise.ids import BundleVersion, NodeId
from hub.flagging import closings, verdicts
from hub.learning.canary import choose
from hub.learning.gate import HOUR_MS, is_too_old
from hub.learning.plan import LearnPlan
from hub.learning.writing import Taken, write_step
from hub.ledger.learning import StepName, StepState, Switch, Turn, TurnState
from hub.ledger.ledger import Ledger
from hub.ledger.rows import AuditEntry, ModelStatus, ReleaseStatus
from hub.release.releases import Releases
from hub.scoring_child import ScoringChild
from hub.site.files import Alias

NODES = "nodes"
LIVE = "live"
USE = "use"
"""Keys of what steps write down, and others read."""


class Person:
    """One person's deeds on the turns of one data folder."""

    def __init__(self, who: str, ledger: Ledger, releases: Releases, plan: LearnPlan, clock: Clock) -> None:
        self.who = who
        self._ledger = ledger
        self._releases = releases
        self._plan = plan
        self._clock = clock

    def approve(self, number: int, answers: Mapping[int, str], child: ScoringChild) -> Turn:
        """Vouch for a turn's model and release; a few nodes try it from now on, where there are several.

        `answers`: why what a flag finds wrong is right. Doing it again finishes what was cut short.

        Raises:
            InputError: no such turn.
            RefusedError: `turn-state`, `stale`, `halted`; and as `Releases.approve` and `hub.flagging.closings`.
        """
        turn = self._in(number, {TurnState.WAITING}, "approved")
        version, release = _made(turn)
        row = self._releases.registry.row(turn.registered, version)
        now_ms = self._clock.now_ms()
        if is_too_old(row.created_ms, now_ms, self._plan.gate):
            hours = (now_ms - row.created_ms) / HOUR_MS
            raise RefusedError(
                "stale",
                f"turn {number}: {turn.registered}@{version} was trained {hours:,.0f} hours ago, at most "
                f"{self._plan.gate.stale_hours:g} may have passed; `edgewise hub learn` begins another turn",
            )
        if row.status is ModelStatus.CANDIDATE:
            self._releases.registry.approve(turn.registered, version, by=self.who)
        found = verdicts(self._ledger, self._releases, child, release)
        self._releases.approve(release, by=self.who, flags=closings(release, found, answers))
        detail = {"release": release, "flags": [each.found for each in found]}
        turn = self._write(turn, StepName.APPROVAL, Taken(StepState.DONE, detail), audit="learning approve")
        return begin_trial(turn, self._ledger, self._releases, self._plan, who=self.who, now_ms=self._clock.now_ms())

    def turn_down(self, number: int, reason: str) -> Turn:
        """End an open turn; what nodes tried of it they give back. Raises as `approve`; RefusedError `turn-state`."""
        turn = self._in(number, {TurnState.WAITING, TurnState.CANARY, TurnState.READY}, "turned down", halted=True)
        _, release = _made(turn)
        if turn.state is TurnState.CANARY or release in self._releases.tried().values():
            self._releases.end_trial(by=self.who, reason=reason)
        if self._releases.row(release).status in {ReleaseStatus.CANDIDATE, ReleaseStatus.APPROVED}:
            self._releases.refuse(release, by=self.who, reason=reason)
        changes = {"state": TurnState.STOPPED, "reason": f"turned down by {self.who}: {reason}"}
        step = StepName.APPROVAL if turn.state is TurnState.WAITING else StepName.PROMOTION
        down = Taken(StepState.STOPS, reasons=(reason,), changes=changes)
        return self._write(turn, step, down, audit="learning turn down")

    def promote(self, number: int) -> Turn:
        """Let all nodes run a turn's release, and the site's next bundles take its model.

        Raises:
            InputError: no such turn.
            RefusedError: `turn-state`: it is still watched; `halted`.
        """
        turn = self._in(number, {TurnState.READY}, "promoted")
        version, release = _made(turn)
        # The alias first: a crash in between leaves a live release that is older than the site's next one, and doing
        # it again mends that; the other way round the next `site apply` would take the new model back in silence.
        alias = self._alias(turn)
        if alias is not None:
            self._releases.registry.promote(turn.registered, version, by=self.who, alias=alias)
        self._releases.promote(release, by=self.who)
        note = (
            f"{turn.registered}@{version} is {alias} now"
            if alias is not None
            else f"models/{turn.model}.yaml names a version: write {version} there, or the next release takes it back"
        )
        changes = {"state": TurnState.PROMOTED, "reason": f"promoted by {self.who}; {note}"}
        result = {"release": release, "version": version, "alias": alias}
        promoted = Taken(StepState.DONE, result, changes=changes)
        return self._write(turn, StepName.PROMOTION, promoted, audit="learning promote")

    def halt(self, reason: str) -> Switch:
        """Nothing is learned any more, and nodes give back what they tried."""
        said = self._ledger.throw_switch(halted=True, who=self.who, reason=reason, now_ms=self._clock.now_ms())
        self._releases.end_trial(by=self.who, reason=f"the learning loop was halted: {reason}")
        return said

    def resume(self, reason: str) -> Switch:
        """The loop may go on."""
        return self._ledger.throw_switch(halted=False, who=self.who, reason=reason, now_ms=self._clock.now_ms())

    # --- inside ---------------------------------------------------------------------------------------------------
    def _in(self, number: int, states: set[TurnState], what: str, *, halted: bool = False) -> Turn:
        turn = self._ledger.turn(number)
        if turn.state not in states:
            expected = " or ".join(sorted(states))
            why = f": {turn.reason}" if turn.reason else ""
            raise RefusedError(
                "turn-state", f"turn {number} is {turn.state}{why}; it can be {what} when it is {expected}"
            )
        switch = self._ledger.switch()
        if switch.halted and not halted:
            raise RefusedError("halted", halted_words(switch))
        return turn

    def _alias(self, turn: Turn) -> Alias | None:
        for step in self._ledger.steps(turn.number):
            if step.name is StepName.BUNDLE and step.inputs.get(USE) in get_args(Alias):
                found: Alias = step.inputs[USE]
                return found
        return None

    def _write(self, turn: Turn, name: StepName, taken: Taken, *, audit: str) -> Turn:
        entry = AuditEntry(self.who, audit, f"turn {turn.number}", dict(taken.result))
        return write_step(self._ledger, turn, name, taken, who=self.who, now_ms=self._clock.now_ms(), audit=entry)


def begin_trial(turn: Turn, ledger: Ledger, releases: Releases, plan: LearnPlan, *, who: str, now_ms: int) -> Turn:
    """Let a few nodes run what a person approved; without a second node, or without a live release, nobody can."""
    _, release = _made(turn)
    live = releases.live()
    nodes: list[NodeId] = []
    if live is not None:
        nodes = choose([row.at(now_ms) for row in ledger.nodes()], plan.canary_share, turn.number)
    tried = {NODES: nodes, LIVE: live, "release": release}

    def written(taken: Taken) -> Turn:
        inputs = {"share": plan.canary_share}
        return write_step(ledger, turn, StepName.CANARY, taken, who=who, now_ms=now_ms, inputs=inputs)

    if not nodes or live is None:
        reason = "no canary: it takes a live release, and two connected nodes"
        ready = f"{reason}; `edgewise hub learn --promote {turn.number} --by NAME`"
        return written(Taken(StepState.WAITS, tried, (reason,), {"state": TurnState.READY, "reason": ready}))
    # Written down first: after a crash in between, whoever goes on assigns what is written here.
    runs = f"release {release} runs on {', '.join(nodes)}"
    begun = written(Taken(StepState.DONE, tried, changes={"state": TurnState.CANARY, "reason": runs}))
    releases.try_on(release, nodes, by=who)
    return begun


def halted_words(switch: Switch) -> str:
    """For whoever finds the loop halted."""
    why = f": {switch.reason}" if switch.reason else ""
    return f"{switch.who} halted the learning loop{why}; `edgewise hub learn --resume --by NAME` lets it go on"


def _made(turn: Turn) -> tuple[int, BundleVersion]:
    assert turn.version is not None, "a turn that waits has a model"
    assert turn.release is not None, "and a release"
    return turn.version, turn.release
