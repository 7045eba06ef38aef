"""How much comes in, and when something last did."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from hub.ledger import tables
from hub.ledger.dialect import Storage


class PaceRows:
    """Part of `Ledger`."""

    storage: Storage

    def events_by_window(self, end_ms: int, width_ms: int, count: int) -> list[int]:
        """Events by when the hub got them: in [end - width, end) first, then in the stretch before it, `count` in all.

        `width_ms` is above 0.
        """
        received = tables.events.c.received_ms
        number = (sa.literal(end_ms - 1, sa.BigInteger()) - received) // sa.literal(width_ms, sa.BigInteger())
        within = (received < end_ms, received >= end_ms - width_ms * count)
        query = sa.select(number.label("number"), sa.func.count().label("events")).where(*within).group_by("number")
        found = [0] * count
        with self.storage.reading() as connection:
            for row in connection.execute(query):
                found[int(row.number)] = row.events
        return found

    def newest_event_ms(self) -> int | None:
        """When the hub got the event that it stored last; None: there is none."""
        columns = tables.events.c
        return self._last(sa.select(columns.received_ms).order_by(columns.position.desc()))

    def newest_decision_ms(self) -> int | None:
        """When the decision that was stored last was made; None: there is none."""
        columns = tables.decisions.c
        return self._last(sa.select(columns.time_ms).order_by(columns.position.desc()))

    def _last(self, query: sa.Select[Any]) -> int | None:
        with self.storage.reading() as connection:
            found: int | None = connection.execute(query.limit(1)).scalar_one_or_none()
            return found
