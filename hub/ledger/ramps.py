"""Steps of ramps in the ledger: which coverage an experiment has come to, who said so, and what was known then."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from edgewise.errors import RefusedError
from edgewise.ids import ExperimentKey
from hub.ledger import tables
from hub.ledger.dialect import Storage
from hub.ledger.registry import append
from hub.ledger.rows import AuditEntry, typed


class RampStepRow(msgspec.Struct, frozen=True, kw_only=True):
    """A step that a person took."""

    number: int = 0
    """In the order of taking, over all experiments; given by the ledger."""
    experiment: ExperimentKey
    seed: str
    bucket_version: int
    """With another seed or bucket version people are assigned anew: that is another ramp."""
    coverage: float
    who: str
    time_ms: int
    reason: str = ""
    """Why it was taken against what held it back; empty: nothing did."""
    gates: tuple[str, ...] = ()
    """What each gate said."""


class RampRows:
    """Part of `Ledger`."""

    storage: Storage

    def ramp_steps(self, experiment: ExperimentKey | None = None) -> list[RampStepRow]:
        """All steps, or those of one experiment, oldest first."""
        columns = tables.ramp_steps.c
        query = sa.select(tables.ramp_steps).order_by(columns.number)
        if experiment is not None:
            query = query.where(columns.experiment == experiment)
        with self.storage.reading() as connection:
            return [typed(row, RampStepRow) for row in connection.execute(query).mappings()]

    def add_ramp_step(self, step: RampStepRow, audit: AuditEntry, *, after: int) -> RampStepRow:
        """Write a step down. `after` is the number of the experiment's last one as it was looked at, 0 where none was.

        Raises RefusedError (`ramp-step`) when somebody took another step meanwhile.
        """
        columns = tables.ramp_steps.c
        with self.storage.writing() as connection:
            last = connection.execute(
                sa.select(sa.func.max(columns.number)).where(columns.experiment == step.experiment)
            ).scalar_one()
            if (last or 0) != after:
                raise RefusedError("ramp-step", f"somebody took a step of {step.experiment!r} meanwhile; look again")
            newest = connection.execute(sa.select(sa.func.max(columns.number))).scalar_one()
            numbered = msgspec.structs.replace(step, number=(newest or 0) + 1)
            connection.execute(tables.ramp_steps.insert(), msgspec.to_builtins(numbered))
            append(connection, audit, step.time_ms)
            return numbered
