"""What the loop does with turns that wait: it looks whether a person has decided, and at the nodes that try.

It may only take back. What a person let a few nodes try, they give back at the first sure harm.
"""

from __future__ import annotations

from typing import Final

from edgewise.clock import Clock
from edgewise.errors import EdgewiseError
from edgewise.ids import BundleVersion, NodeId
from hub.learning.canary import CanaryVerdict, Word, judge_canary, look
from hub.learning.gate import HOUR_MS, is_too_old
from hub.learning.news import plain
from hub.learning.people import LIVE, NODES, begin_trial
from hub.learning.plan import LearnPlan
from hub.learning.writing import LOOP, LoopWriter, Taken
from hub.lease import Held
from hub.ledger.learning import StepName, StepState, Turn, TurnState
from hub.ledger.ledger import Ledger
from hub.ledger.rows import ReleaseStatus
from hub.monitor.watch import WatchPlan, watch
from hub.release.releases import Releases
from hub.rewards.definition import definition_in
from hub.site.loading import SiteContents

_WATCHED: Final = frozenset({TurnState.CANARY, TurnState.READY})


class Following:
    """Of the turns of one site."""

    def __init__(
        self,
        ledger: Ledger,
        releases: Releases,
        contents: SiteContents,
        plan: LearnPlan,
        *,
        clock: Clock,
        lease: Held,
    ) -> None:
        self._ledger = ledger
        self._releases = releases
        self._contents = contents
        self._plan = plan
        self._clock = clock
        self._lease = lease
        self._writer = LoopWriter(ledger, clock, lease)

    def look_after(self, turn: Turn) -> Turn:
        """Whatever can be done about a turn that waits. Nothing is done twice."""
        if turn.release is None:
            return turn
        row = self._releases.row(turn.release)
        if row.status is ReleaseStatus.LIVE:
            reason = f"release {row.version} is live, promoted by hand"
            return self._end(turn, StepName.PROMOTION, TurnState.PROMOTED, StepState.DONE, (reason,))
        if row.status is ReleaseStatus.REFUSED:
            return self._end(turn, StepName.APPROVAL, TurnState.STOPPED, StepState.STOPS, ("a person refused it",))
        if turn.state is TurnState.WAITING:
            return self._waiting(turn, row.status, row.approved_by)
        return self._watched(turn) if turn.state in _WATCHED else turn

    # --- inside ---------------------------------------------------------------------------------------------------
    def _waiting(self, turn: Turn, status: ReleaseStatus, approved_by: str | None) -> Turn:
        now_ms = self._clock.now_ms()
        if status is ReleaseStatus.APPROVED:  # by `edgewise release approve`
            self._lease.check()
            return begin_trial(turn, self._ledger, self._releases, self._plan, who=approved_by or LOOP, now_ms=now_ms)
        assert turn.version is not None
        assert turn.release is not None
        trained_ms = self._releases.registry.row(turn.registered, turn.version).created_ms
        if not is_too_old(trained_ms, now_ms, self._plan.gate):
            return turn
        reason = f"nobody approved it within {self._plan.gate.stale_hours:g} hours"
        self._lease.check()
        self._releases.refuse(turn.release, by=LOOP, reason=reason)
        return self._end(turn, StepName.APPROVAL, TurnState.STOPPED, StepState.STOPS, (reason,))

    def _watched(self, turn: Turn) -> Turn:
        begun = next(step for step in reversed(self._ledger.steps(turn.number)) if step.name is StepName.CANARY)
        nodes = [NodeId(node) for node in begun.result[NODES]]
        if not nodes:
            return turn
        assert turn.release is not None
        live = BundleVersion(begun.result[LIVE])
        tried = self._releases.tried()
        if self._releases.live() != live:
            reason = f"release {self._releases.live()} became live meanwhile: nobody compared it with that"
            self._releases.end_trial(by=LOOP, reason=reason)
            return self._end(turn, StepName.WATCH, TurnState.STOPPED, StepState.STOPS, (reason,))
        if not tried and not self._assigned_before(turn):
            # written down, and its process died before nodes were told
            self._lease.check()
            self._releases.try_on(turn.release, nodes, by=begun.who)
        elif set(tried.values()) != {turn.release}:
            reason = "its nodes were given back, or another release, by hand"
            return self._end(turn, StepName.WATCH, TurnState.STOPPED, StepState.STOPS, (reason,))
        seen = look(
            self._ledger,
            self._contents.policy,
            turn.placement,
            nodes=nodes,
            candidate=turn.release,
            live=live,
            since_ms=begun.time_ms,
            now_ms=self._clock.now_ms(),
        )
        verdict = judge_canary(seen, self._plan)
        inputs = plain(seen)
        match verdict.word:
            case Word.STOP:
                self._lease.check()
                self._releases.end_trial(by=LOOP, reason="; ".join(verdict.reasons))
                return self._end(
                    turn, StepName.WATCH, TurnState.STOPPED, StepState.STOPS, verdict.reasons, inputs=inputs
                )
            case Word.READY if turn.state is TurnState.CANARY:
                reasons = (*verdict.reasons, *self._monitored(turn))
                reason = f"nothing spoke against it; `edgewise hub learn --promote {turn.number} --by NAME`"
                changes = {"state": TurnState.READY, "reason": reason}
                ready = Taken(StepState.WAITS, reasons=reasons, changes=changes)
                return self._writer.write(turn, StepName.WATCH, ready, inputs)
            case _:
                return self._looked(turn, verdict, inputs)

    def _looked(self, turn: Turn, verdict: CanaryVerdict, inputs: dict[str, object]) -> Turn:
        """Once an hour is written down, not every look."""
        looks = [step for step in self._ledger.steps(turn.number) if step.name is StepName.WATCH]
        if looks and self._clock.now_ms() - looks[-1].time_ms < HOUR_MS:
            return turn
        return self._writer.write(turn, StepName.WATCH, Taken(StepState.WAITS, reasons=verdict.reasons), inputs)

    def _monitored(self, turn: Turn) -> tuple[str, ...]:
        """What `edgewise model watch` finds wrong, for the person who promotes."""
        assert turn.version is not None
        try:
            found = watch(
                self._ledger,
                self._releases,
                turn.registered,
                turn.version,
                WatchPlan(settle_hours=definition_in(self._contents.policy, turn.placement).wait_hours),
                now_ms=self._clock.now_ms(),
            )
        except EdgewiseError as refused:
            return (f"model watch: {refused}",)
        return tuple(f"model watch: {alarm}" for alarm in found.alarms)

    def _assigned_before(self, turn: Turn) -> bool:
        return any(entry.subject == f"release {turn.release}" for entry in self._ledger.audit(what={"release try"}))

    def _end(
        self,
        turn: Turn,
        name: StepName,
        state: TurnState,
        step: StepState,
        reasons: tuple[str, ...],
        *,
        inputs: dict[str, object] | None = None,
    ) -> Turn:
        changes = {"state": state, "reason": "; ".join(reasons)}
        return self._writer.write(turn, name, Taken(step, reasons=reasons, changes=changes), inputs)
