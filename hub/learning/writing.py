"""Writing down what a step came to: the same for the loop and for people, but for who did it and what is audited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from edgewise.clock import Clock
from hub.lease import Held
from hub.ledger.learning import Step, StepName, StepState, Turn
from hub.ledger.ledger import Ledger
from hub.ledger.rows import AuditEntry

LOOP: Final = "learning loop"
"""Who is written down where no person acts."""


class Taken(NamedTuple):
    """What a step came to."""

    state: StepState
    result: Mapping[str, Any] = {}
    reasons: tuple[str, ...] = ()
    changes: Mapping[str, Any] = {}
    """Of the turn."""


def write_step(
    ledger: Ledger,
    turn: Turn,
    name: StepName,
    taken: Taken,
    *,
    who: str,
    now_ms: int,
    inputs: Mapping[str, Any] | None = None,
    audit: AuditEntry | None = None,
) -> Turn:
    """Append a step, and change its turn with it; the ledger numbers it."""
    step = Step(
        turn=turn.number,
        number=0,
        name=name,
        state=taken.state,
        time_ms=now_ms,
        who=who,
        inputs=dict(inputs or {}),
        result=dict(taken.result),
        reasons=taken.reasons,
    )
    return ledger.add_step(step, audit=audit, **taken.changes)


class LoopWriter:
    """Writes as the loop does: only while it holds the lease, and audited where a turn changes its state."""

    def __init__(self, ledger: Ledger, clock: Clock, lease: Held) -> None:
        self._ledger = ledger
        self._clock = clock
        self._lease = lease

    def write(self, turn: Turn, name: StepName, taken: Taken, inputs: Mapping[str, Any] | None = None) -> Turn:
        """Raises RefusedError: another process has the lease."""
        self._lease.check()
        state = taken.changes.get("state")
        audit = AuditEntry(LOOP, "learning turn", f"turn {turn.number}", {"state": state}) if state else None
        return write_step(
            self._ledger, turn, name, taken, who=LOOP, now_ms=self._clock.now_ms(), inputs=inputs, audit=audit
        )
