"""Turns of the learning loop in the ledger: what was learned, step by step, with what each step saw and why it ended.

Steps are only ever added. A turn says where it stands, so that whoever comes after a crash goes on from there.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from edgewise.errors import InputError, RefusedError
from edgewise.ids import BundleVersion, ModelName, PlacementName
from hub.ledger import tables
from hub.ledger.dialect import Storage, upsert
from hub.ledger.registry import append
from hub.ledger.rows import AuditEntry, typed

LEASE: Final = "learning"


class TurnState(StrEnum):
    """Where a turn stands."""

    RUNNING = "running"
    """Its steps are being taken, or were when their process died."""
    WAITING = "waiting"
    """A candidate is there; a person has to approve it."""
    CANARY = "canary"
    """Approved by a person; a few nodes run it, and are watched."""
    READY = "ready"
    """Nothing spoke against it there; a person has to promote it."""
    PROMOTED = "promoted"
    STOPPED = "stopped"
    """Nothing is served of it; `reason` says why."""


OPEN: Final = frozenset({TurnState.RUNNING, TurnState.WAITING, TurnState.CANARY, TurnState.READY})
"""States after which something may still come."""


class StepName(StrEnum):
    """The steps of a turn, in their order."""

    DATA = "data"
    TRAIN = "train"
    PARITY = "parity"
    EVALUATE = "evaluate"
    JUDGE = "judge"
    BUNDLE = "bundle"
    APPROVAL = "approval"
    CANARY = "canary"
    WATCH = "watch"
    PROMOTION = "promotion"
    ALERT = "alert"
    """A person was told, or could not be; between the others."""


class StepState(StrEnum):
    """How a step ended."""

    BEGUN = "begun"
    """What may take long is written down before it begins, so that a crash in it can be told."""
    DONE = "done"
    WAITS = "waits"
    """For a person, or for time."""
    STOPS = "stops"
    """The turn ends here; nothing was wrong with the machinery."""
    FAILED = "failed"
    """It could not be taken."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of the loop for one model."""

    number: int
    model: ModelName
    """Its name in the site."""
    registered: ModelName
    """Its name in the registry."""
    placement: PlacementName
    state: TurnState
    began_ms: int
    changed_ms: int
    version: int | None = None
    """What was trained."""
    release: BundleVersion | None = None
    """What it was bundled into."""
    reason: str = ""
    """Why it stands where it stands, in words."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step that was taken."""

    turn: int
    number: int
    """From 1 within the turn, in the order of taking."""
    name: StepName
    state: StepState
    time_ms: int
    """When it ended; of one that is begun: when it began."""
    who: str
    inputs: dict[str, Any] = {}
    """What it was given."""
    result: dict[str, Any] = {}
    reasons: tuple[str, ...] = ()


class Switch(msgspec.Struct, frozen=True):
    """Whether the loop may do anything at all, and who said so last."""

    number: int
    halted: bool
    who: str
    reason: str
    time_ms: int


class Lease(msgspec.Struct, frozen=True):
    """The right to take steps, of one process at a time."""

    holder: str
    until_ms: int


class LearningRows:
    """Part of `Ledger`."""

    storage: Storage

    # --- looking ------------------------------------------------------------------------------------------------
    def turns(
        self, states: Collection[TurnState] = tuple(TurnState), *, model: ModelName | None = None, limit: int = 1_000
    ) -> list[Turn]:
        """Turns in these states, newest first."""
        columns = tables.learning_turns.c
        query = sa.select(tables.learning_turns).where(columns.state.in_(list(states)))
        if model is not None:
            query = query.where(columns.model == model)
        with self.storage.reading() as connection:
            rows = connection.execute(query.order_by(columns.number.desc()).limit(limit)).mappings()
            return [typed(row, Turn) for row in rows]

    def turn(self, number: int) -> Turn:
        """One turn. Raises InputError when there is none."""
        query = sa.select(tables.learning_turns).where(tables.learning_turns.c.number == number)
        with self.storage.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise InputError(f"no turn {number} of the learning loop; `edgewise hub learn --history` lists them")
        return typed(row, Turn)

    def steps(self, turn: int) -> list[Step]:
        """The steps of a turn, in their order."""
        columns = tables.learning_steps.c
        query = sa.select(tables.learning_steps).where(columns.turn == turn).order_by(columns.number)
        with self.storage.reading() as connection:
            return [typed(row, Step) for row in connection.execute(query).mappings()]

    def switch(self) -> Switch:
        """What was said last; nobody ever said anything: it may."""
        columns = tables.learning_switches.c
        query = sa.select(tables.learning_switches).order_by(columns.number.desc()).limit(1)
        with self.storage.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return Switch(0, halted=False, who="", reason="", time_ms=0) if row is None else typed(row, Switch)

    # --- changing -----------------------------------------------------------------------------------------------
    def begin_turn(self, model: ModelName, registered: ModelName, placement: PlacementName, now_ms: int) -> Turn:
        """The next turn. Raises RefusedError (`turn-open`) while an earlier one of the model is open."""
        columns = tables.learning_turns.c
        with self.storage.writing() as connection:
            open_turn = connection.execute(
                sa.select(columns.number).where(columns.model == model, columns.state.in_(list(OPEN)))
            ).scalar_one_or_none()
            if open_turn is not None:
                raise RefusedError("turn-open", f"turn {open_turn} of the model {model} is still open")
            last = connection.execute(sa.select(sa.func.max(columns.number))).scalar_one()
            turn = Turn(
                number=(last or 0) + 1,
                model=model,
                registered=registered,
                placement=placement,
                state=TurnState.RUNNING,
                began_ms=now_ms,
                changed_ms=now_ms,
            )
            connection.execute(tables.learning_turns.insert(), msgspec.to_builtins(turn))
            return turn

    def add_step(self, step: Step, *, audit: AuditEntry | None = None, **changes: Any) -> Turn:
        """Write a step down under the next number, and what it changes of its turn, in one transaction."""
        turns = tables.learning_turns.c
        with self.storage.writing() as connection:
            _append_step(connection, step)
            connection.execute(
                sa.update(tables.learning_turns)
                .where(turns.number == step.turn)
                .values(changed_ms=step.time_ms, **msgspec.to_builtins(changes))
            )
            if audit is not None:
                append(connection, audit, step.time_ms)
            row = connection.execute(sa.select(tables.learning_turns).where(turns.number == step.turn)).mappings().one()
            return typed(row, Turn)

    def add_alert(self, step: Step) -> None:
        """Write down that a person was told, or could not be; nothing of the turn changes by that."""
        with self.storage.writing() as connection:
            _append_step(connection, step)

    def throw_switch(self, *, halted: bool, who: str, reason: str, now_ms: int) -> Switch:
        """Halt the loop, or let it go on; written into the audit as well."""
        with self.storage.writing() as connection:
            last = connection.execute(sa.select(sa.func.max(tables.learning_switches.c.number))).scalar_one()
            said = Switch((last or 0) + 1, halted, who, reason, now_ms)
            connection.execute(tables.learning_switches.insert(), msgspec.structs.asdict(said))
            what = "learning halt" if halted else "learning resume"
            append(connection, AuditEntry(who, what, "learning", {"reason": reason}), now_ms)
            return said

    def take_lease(self, holder: str, *, now_ms: int, life_ms: int, name: str = LEASE) -> Lease | None:
        """Take the right to take steps, or hold it for longer; None while another holds it.

        `name`: of what; each has a lease of its own.
        """
        columns = tables.learning_leases.c
        with self.storage.writing() as connection:
            row = connection.execute(
                sa.select(columns.holder, columns.until_ms).where(columns.name == name)
            ).one_or_none()
            # A clock that was set back must not lock everybody out for as long as it was wrong.
            if row is not None and row.holder != holder and now_ms < row.until_ms <= now_ms + life_ms:
                return None
            lease = Lease(holder, now_ms + life_ms)
            upsert(
                connection,
                tables.learning_leases,
                [{"name": name, **msgspec.structs.asdict(lease)}],
                update=["holder", "until_ms"],
            )
            return lease

    def free_lease(self, holder: str, *, name: str = LEASE) -> None:
        """Give it back; nothing happens where another holds it."""
        columns = tables.learning_leases.c
        with self.storage.writing() as connection:
            connection.execute(sa.delete(tables.learning_leases).where(columns.name == name, columns.holder == holder))


def _append_step(connection: sa.Connection, step: Step) -> None:
    steps = tables.learning_steps.c
    last = connection.execute(sa.select(sa.func.max(steps.number)).where(steps.turn == step.turn)).scalar_one()
    numbered = msgspec.structs.replace(step, number=(last or 0) + 1)
    connection.execute(tables.learning_steps.insert(), msgspec.to_builtins(numbered))
