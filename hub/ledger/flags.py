"""Flags in the ledger: items that staff found wrong where they were shown, and what releases made of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from edgewise.ids import BundleVersion, DecisionId, ItemId, PlacementName, SubjectId
from hub.ledger import tables
from hub.ledger.dialect import Storage
from hub.ledger.registry import append
from hub.ledger.rows import AuditEntry, typed


class FlagState(StrEnum):
    """What became of a flag."""

    OPEN = "open"
    FIXED = "fixed"
    """In `release` the item did not stand there any more; every later release is still asked."""
    ANSWERED = "answered"
    """Somebody said at `release` why it is right; nobody is asked again."""
    VOID = "void"
    """Its decision is not kept any more, so nothing can be asked again."""


ASKED: frozenset[FlagState] = frozenset({FlagState.OPEN, FlagState.FIXED})
"""States in which a release is asked."""


class Flagged(msgspec.Struct, frozen=True):
    """An item that somebody found wrong, at its place in a decision."""

    decision_id: DecisionId
    subject: SubjectId
    """The decision's; blank where that names nobody."""
    time_ms: int
    """When it was decided."""
    placement: PlacementName
    item: ItemId
    rank: int
    words: str
    """What is wrong with it."""


class Flag(Flagged, frozen=True):
    """As it is kept."""

    number: int
    who: str
    flagged_ms: int
    state: FlagState
    answer: str | None = None
    answered_by: str | None = None
    answered_ms: int | None = None
    release: BundleVersion | None = None


class FlagClosing(msgspec.Struct, frozen=True):
    """What a release makes of a flag."""

    number: int
    state: FlagState
    answer: str | None = None
    """Only for `answered`."""


class FlagRows:
    """Part of `Ledger`."""

    storage: Storage

    def flags(
        self, states: Collection[FlagState] = tuple(FlagState), *, decision_id: DecisionId | None = None
    ) -> list[Flag]:
        """Flags of these states, by number; with `decision_id` only those of one decision."""
        columns = tables.flags.c
        query = sa.select(tables.flags).where(columns.state.in_(list(states))).order_by(columns.number)
        if decision_id is not None:
            query = query.where(columns.decision_id == decision_id)
        with self.storage.reading() as connection:
            return [typed(row, Flag) for row in connection.execute(query).mappings()]

    def add_flag(self, flagged: Flagged, who: str, now_ms: int) -> Flag:
        """Keep it under the next number, open, and write down who did so."""
        with self.storage.writing() as connection:
            last = connection.execute(sa.select(sa.func.max(tables.flags.c.number))).scalar_one()
            flag = Flag(
                **msgspec.structs.asdict(flagged),
                number=(last or 0) + 1,
                who=who,
                flagged_ms=now_ms,
                state=FlagState.OPEN,
            )
            connection.execute(tables.flags.insert(), msgspec.structs.asdict(flag))
            append(connection, AuditEntry(who, "flag", f"flag {flag.number}", {"item": flag.item}), now_ms)
            return flag

    def close_flags(self, closings: Sequence[FlagClosing], version: BundleVersion, who: str, now_ms: int) -> None:
        """Write down what a release made of flags; those that are answered or void already stay as they are."""
        columns = tables.flags.c
        with self.storage.writing() as connection:
            for closing in closings:
                changed = {
                    "state": closing.state.value,
                    "answer": closing.answer,
                    "answered_by": who if closing.state is FlagState.ANSWERED else None,
                    "answered_ms": now_ms,
                    "release": version,
                }
                asked = (columns.number == closing.number, columns.state.in_(list(ASKED)))
                if connection.execute(sa.update(tables.flags).where(*asked).values(**changed)).rowcount:
                    detail = {"state": closing.state.value, "release": version}
                    append(connection, AuditEntry(who, "flag answer", f"flag {closing.number}", detail), now_ms)
