"""Reading what joins need: events by name and time, or by the decision that they name, and repeats of decisions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa

from edgewise.events import KIND_OF, Kind
from edgewise.ids import DecisionId, SubjectId
from edgewise.records import ANONYMOUS, DecisionRecord, EventRecord
from hub.ledger import tables
from hub.ledger.dialect import Storage, chunks
from hub.ledger.records import columns_of, reading, whole

_PAGE: Final = 1_000
_PAGES: Final = ("page", "screen")
_MINUTE_MS: Final = 60_000
_BROUGHT: Final = ("import", "hook")
"""Producers of what did not happen when it came: a file of dates puts a year into one minute."""


class Span(NamedTuple):
    """since_ms <= time < until_ms."""

    since_ms: int
    until_ms: int


class OutcomeRows:
    """Part of `Ledger`."""

    storage: Storage

    def outcome_events(
        self, said: Collection[str], *, said_within: Span, decided_within: Span, after_position: int = 0
    ) -> Iterator[EventRecord]:
        """Events of one of the kinds, or with one of the names, `said`, that happened within a span of time.

        And all events that name a decision of `decided_within`, whenever they happened. In the order of storing.
        """
        columns, decisions = tables.events.c, tables.decisions.c
        names = {name for name, kind in KIND_OF.items() if kind in said} | set(said)
        wanted: list[sa.ColumnElement[bool]] = [columns.name.in_(sorted(names))]
        if Kind.PAGE in said:
            wanted.append(columns.type.in_(_PAGES))
        if Kind.OTHER in said:
            wanted.append(sa.and_(columns.name.not_in(sorted(KIND_OF)), columns.type.not_in(_PAGES)))
        # a look-up a row by the decisions' key: events have no index by decision, which every storing would pay for
        names_one = sa.exists().where(
            decisions.decision_id == columns.decision_id,
            decisions.time_ms >= decided_within.since_ms,
            decisions.time_ms < decided_within.until_ms,
        )
        happened = sa.and_(
            columns.time_ms >= said_within.since_ms, columns.time_ms < said_within.until_ms, sa.or_(*wanted)
        )
        return self._events(sa.or_(happened, names_one), after_position=after_position)

    def decisions_of(self, decision_ids: Sequence[DecisionId]) -> Iterator[DecisionRecord]:
        """Those of the decisions that are here."""
        for some in chunks(decision_ids):
            wanted = tables.decisions.c.decision_id.in_(some)
            for _, payload in _select(self.storage, tables.decisions, wanted, most=None):
                yield _decisions.decode(payload)

    def repeated(self, decision_ids: Sequence[DecisionId]) -> dict[DecisionId, int]:
        """Decision -> how many more records with its id came, of those of which any did."""
        columns = tables.duplicates.c
        found: dict[DecisionId, int] = {}
        with self.storage.reading() as connection:
            for some in chunks(decision_ids):
                query = sa.select(columns.id, sa.func.count()).where(columns.id.in_(some)).group_by(columns.id)
                found.update((DecisionId(row[0]), row[1]) for row in connection.execute(query))
        return found

    def busy(self, most_per_minute: int, *, since_ms: int, until_ms: int) -> set[SubjectId]:
        """Subjects with more decisions, or more events that no import or webhook brought, in one minute of the clock.

        Only what was decided or happened in `since_ms <= time < until_ms` counts.
        """
        found: set[SubjectId] = set()
        with self.storage.reading() as connection:
            for table in (tables.decisions, tables.events):
                columns = table.c
                query = (
                    sa.select(columns.subject)
                    .where(columns.time_ms >= since_ms, columns.time_ms < until_ms, columns.subject != ANONYMOUS)
                    .where(*(columns.producer.not_like(f"{brought}/%") for brought in _BROUGHT))
                    .group_by(columns.subject, columns.time_ms // _MINUTE_MS)
                    .having(sa.func.count() > most_per_minute)
                )
                found.update(SubjectId(subject) for subject in connection.execute(query).scalars())
        return found

    def stating(self, traits: Collection[str]) -> set[SubjectId]:
        """Subjects who say of themselves that one of the traits is true, by their latest statement of it."""
        said: dict[tuple[SubjectId, str], tuple[int, str, bool]] = {}
        for event in self._events(tables.events.c.type == "identify") if traits else ():
            for trait in set(traits) & event.traits.keys():
                newest = (event.time_ms, event.message_id, event.traits[trait] is True)
                said[event.subject, trait] = max(newest, said.get((event.subject, trait), newest))
        return {subject for (subject, _), (_, _, is_true) in said.items() if is_true} - {ANONYMOUS}

    def position_of_latest(self, decisions: int) -> int:
        """A position after which the latest so many decisions lie, and no more; 0 where there are no more."""
        column = tables.decisions.c.position
        with self.storage.reading() as connection:
            query = sa.select(column).order_by(column.desc()).offset(decisions).limit(1)
            return connection.execute(query).scalar_one_or_none() or 0

    def decisions_since(self, since_ms: int) -> int:
        """How many there are, for whoever cannot read any number of them."""
        columns = tables.decisions.c
        with self.storage.reading() as connection:
            query = sa.select(sa.func.count()).where(columns.time_ms >= since_ms)
            return int(connection.execute(query).scalar_one())

    def _events(self, *where: sa.ColumnElement[bool], after_position: int = 0) -> Iterator[EventRecord]:
        position = after_position
        while True:
            page = _select(self.storage, tables.events, *where, tables.events.c.position > position)
            for at, payload in page:
                yield _decoder.decode(payload)
                position = at
            if len(page) < _PAGE:
                return


def _select(
    storage: Storage, table: sa.Table, *where: sa.ColumnElement[bool], most: int | None = _PAGE
) -> list[tuple[int, bytes]]:
    query = sa.select(*columns_of(table)).where(*where).order_by(table.c.position).limit(most)
    return reading(storage, partial(_whole, query=query))


def _whole(connection: sa.Connection, *, query: sa.Select[Any]) -> list[tuple[int, bytes]]:
    return whole(connection, connection.execute(query).all())


_decoder = msgspec.msgpack.Decoder(EventRecord)
_decisions = msgspec.msgpack.Decoder(DecisionRecord)
