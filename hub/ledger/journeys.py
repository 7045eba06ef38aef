"""Which journeys people have enabled, in the ledger; the last word on each holds."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
import sqlalchemy as sa

from edgewise.errors import RefusedError
from hub.ledger import tables
from hub.ledger.dialect import Storage
from hub.ledger.registry import append
from hub.ledger.rows import AuditEntry, typed


class JourneyState(StrEnum):
    """What a person said of a journey."""

    ENABLED = "enabled"
    PAUSED = "paused"


class JourneySwitch(msgspec.Struct, frozen=True, kw_only=True):
    """What a person said, and what was known then."""

    number: int = 0
    """In the order of saying, over all journeys; given by the ledger."""
    journey: str
    state: JourneyState
    who: str
    time_ms: int
    reason: str = ""
    """Why it was enabled against what held it back, or why it was paused."""
    gates: tuple[str, ...] = ()
    """What each gate said."""


class JourneyRows:
    """Part of `Ledger`."""

    storage: Storage

    def journey_switches(self) -> list[JourneySwitch]:
        """Everything that was ever said, oldest first."""
        query = sa.select(tables.journey_switches).order_by(tables.journey_switches.c.number)
        with self.storage.reading() as connection:
            return [typed(row, JourneySwitch) for row in connection.execute(query).mappings()]

    def journey_states(self) -> dict[str, JourneySwitch]:
        """The last word on each journey of which somebody said one."""
        return {said.journey: said for said in self.journey_switches()}

    def enabled_journeys(self) -> set[str]:
        """Those whose last word is that they are enabled."""
        return {name for name, said in self.journey_states().items() if said.state is JourneyState.ENABLED}

    def switch_journey(self, said: JourneySwitch, audit: AuditEntry, *, after: int) -> JourneySwitch:
        """Write it down. `after` is the number of the last word on any journey as it was looked at, 0 where none was.

        Raises RefusedError (`journey-state`) when somebody said something meanwhile: what was known is known no more.
        """
        with self.storage.writing() as connection:
            last = connection.execute(sa.select(sa.func.max(tables.journey_switches.c.number))).scalar_one() or 0
            if last != after:
                raise RefusedError("journey-state", "somebody enabled or paused a journey meanwhile; look again")
            numbered = msgspec.structs.replace(said, number=last + 1)
            row: dict[str, Any] = msgspec.to_builtins(numbered)
            connection.execute(tables.journey_switches.insert(), row)
            append(connection, audit, said.time_ms)
            return numbered
