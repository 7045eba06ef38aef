"""Suggested merges in the ledger: found by probability, decided by people, remembered."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from edgewise.errors import InputError
from edgewise.ids import SubjectId
from hub.identity.resolve import MERGE
from hub.ledger import tables
from hub.ledger.dialect import Storage
from hub.ledger.links import Nodes
from hub.ledger.people import state
from hub.ledger.registry import append
from hub.ledger.rows import AuditEntry, typed


class SuggestionState(StrEnum):
    """What became of a suggestion."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REFUSED = "refused"


class Evidence(msgspec.Struct, frozen=True):
    """What one field says, in words; values stay in the vault."""

    field: str
    words: str
    weight: float
    """log2 of how many times as likely this is of one person as of two."""


class Found(msgspec.Struct, frozen=True):
    """A pair of subjects that are probably one person; `left_subject` < `right_subject`."""

    left_subject: SubjectId
    right_subject: SubjectId
    probability: float
    evidence: list[Evidence]


class Suggestion(Found, frozen=True):
    """As it is kept."""

    number: int
    """How people call it; kept while the pair is suggested."""
    state: SuggestionState
    found_ms: int
    decided_ms: int | None = None
    who: str | None = None


class SuggestionRows:
    """Part of `Ledger`."""

    storage: Storage

    def suggestions(self, decision: SuggestionState | None = None) -> list[Suggestion]:
        """All, or those of one state; most probable first."""
        columns = tables.suggestions.c
        query = sa.select(tables.suggestions).order_by(columns.probability.desc(), columns.number)
        if decision is not None:
            query = query.where(columns.state == decision)
        with self.storage.reading() as connection:
            return [typed(row, Suggestion) for row in connection.execute(query).mappings()]

    def replace_open_suggestions(self, found: Sequence[Found], audit: AuditEntry, now_ms: int) -> None:
        """Make these the open ones. A pair that was open keeps its number, one that was decided stays decided."""
        columns = tables.suggestions.c
        with self.storage.writing() as connection:
            known = {
                (row.left_subject, row.right_subject): (row.number, row.state)
                for row in connection.execute(
                    sa.select(columns.left_subject, columns.right_subject, columns.number, columns.state)
                )
            }
            connection.execute(sa.delete(tables.suggestions).where(columns.state == SuggestionState.OPEN))
            number = max((number for number, _ in known.values()), default=0)
            rows = []
            for each in found:
                before, decision = known.get((each.left_subject, each.right_subject), (None, SuggestionState.OPEN))
                if decision != SuggestionState.OPEN:
                    continue
                if before is None:
                    number += 1
                row = {"number": before or number, "state": SuggestionState.OPEN.value, "found_ms": now_ms}
                rows.append({**msgspec.to_builtins(each), **row, "decided_ms": None, "who": None})
            if rows:
                connection.execute(tables.suggestions.insert(), rows)
            append(connection, audit, now_ms)

    def accept_suggestion(self, number: int, audit: AuditEntry, reason: str, now_ms: int) -> tuple[Suggestion, Nodes]:
        """The two are one person: decided and stated together; also returns the subjects whose person changed.

        Raises InputError for a number that is not open.
        """
        with self.storage.writing() as connection:
            decided = _decide(connection, number, SuggestionState.ACCEPTED, audit, now_ms)
            pair = decided.left_subject, decided.right_subject
            return decided, state(connection, MERGE, *pair, who=audit.who, reason=reason, now_ms=now_ms)

    def refuse_suggestion(self, number: int, audit: AuditEntry, now_ms: int) -> Suggestion:
        """The two stay two, and are not suggested again. Raises InputError for a number that is not open."""
        with self.storage.writing() as connection:
            return _decide(connection, number, SuggestionState.REFUSED, audit, now_ms)


def _decide(
    connection: sa.Connection, number: int, decision: SuggestionState, audit: AuditEntry, now_ms: int
) -> Suggestion:
    columns = tables.suggestions.c
    query = sa.select(tables.suggestions).where(columns.number == number)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise InputError(f"there is no suggestion {number}; `edgewise profile suggestions` lists them")
    if row["state"] != SuggestionState.OPEN:
        raise InputError(f"suggestion {number} is {row['state']} already, by {row['who']}")
    decided = {"state": decision.value, "decided_ms": now_ms, "who": audit.who}
    connection.execute(sa.update(tables.suggestions).where(columns.number == number).values(**decided))
    append(connection, audit, now_ms)
    return typed({**row, **decided}, Suggestion)
