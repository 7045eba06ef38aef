"""The outbox: mails as rows of the ledger, each under a key of its own, so that a crash anywhere sends none twice.

    put -> due -> writing -> handing -> sent
            ^        |          |-----> uncertain        died in between: never sent again
            |        |          |-----> refused          for good
            |<-------+<---------+       not now, and certainly nothing left the hub
            |        |-----> dropped    decided against it
            +--------+-----> expired    too late

A row that is `writing` or `handing` names its holder, one life of one process. Whoever holds the outbox's lease knows,
between two turns, that nobody is at any of them: every other holder is dead, or has lost the lease, and his own last
turn was broken off (the ledger was away). What was being written is due again, what was being handed over is uncertain.
A holder that was only slow cannot do harm: each step looks for its own name in the row first.

Every function takes the connection of the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from edgewise.consent import Grants
from edgewise.ids import DecisionId, PlacementName, SubjectId
from hub.ledger import tables
from hub.ledger.dialect import insert_new
from hub.ledger.rows import typed
from hub.mail.letters import Due
from hub.mail.states import FOLLOWS, OPEN, WENT, MailState

_columns: Final = tables.mail_outbox.c
MOST_WORDS: Final = 500
UNFIT: Final = "unfit"
"""Reason of what did not fit: of a mail that was sent, its template, and of one that was dropped, any message."""


class Shown(msgspec.Struct, frozen=True):
    """What counts as shown once the mail is sent."""

    decision_id: DecisionId
    placements: tuple[PlacementName, ...]
    grants: Grants


class MailRow(msgspec.Struct, frozen=True, kw_only=True):
    """A mail of the outbox."""

    key: str
    journey: str
    subject: SubjectId
    """Whom it is for."""
    state: MailState
    due_ms: int
    not_after_ms: int
    made_ms: int
    changed_ms: int
    handed_ms: int | None = None
    """When it was begun to be handed over, the last time."""
    tries: int
    holder: str = ""
    reason: str = ""
    words: str = ""
    identifier: str = ""
    """Keyed hash of the address that it was handed over for."""
    message_id: str = ""
    decision_id: str = ""
    """What opens and clicks of it belong to."""
    shown: tuple[Shown, ...] = ()
    payload: dict[str, Any] = {}

    def due(self) -> Due:
        """As whoever writes it sees it."""
        return Due(
            key=self.key,
            journey=self.journey,
            person=self.subject,
            due_ms=self.due_ms,
            not_after_ms=self.not_after_ms,
            tries=self.tries,
            payload=self.payload,
        )


class Outbox:
    """Puts mails there, and takes them from step to step. Holds nothing: everything is in the ledger."""

    # --- putting -------------------------------------------------------------------------------------------------

    @staticmethod
    def put(
        connection: sa.Connection,
        *,
        key: str,
        journey: str,
        person: SubjectId,
        due_ms: int,
        not_after_ms: int,
        payload: Mapping[str, Any],
        now_ms: int,
    ) -> bool:
        """Have a mail written at its time, within the caller's transaction.

        False: there is one under this key, in whichever state; nothing was changed.
        """
        if connection.execute(sa.select(_columns.key).where(_columns.key == key)).first() is not None:
            return False
        row = MailRow(
            key=key,
            journey=journey,
            subject=person,
            state=MailState.DUE,
            due_ms=due_ms,
            not_after_ms=not_after_ms,
            made_ms=now_ms,
            changed_ms=now_ms,
            tries=0,
            payload=dict(payload),
        )
        insert_new(connection, tables.mail_outbox, [msgspec.to_builtins(row)])
        return True

    @staticmethod
    def drop(connection: sa.Connection, key: str, reason: str, *, now_ms: int) -> bool:
        """Decide against a mail that still waits; False where it does not wait (any more)."""
        waiting = (_columns.key == key, _columns.state == MailState.DUE.value)
        return _set(connection, waiting, MailState.DROPPED, now_ms, reason=reason)

    # --- reading -------------------------------------------------------------------------------------------------

    @staticmethod
    def row(connection: sa.Connection, key: str) -> MailRow | None:
        """One mail."""
        found = connection.execute(sa.select(tables.mail_outbox).where(_columns.key == key)).mappings().one_or_none()
        return None if found is None else typed(found, MailRow)

    @staticmethod
    def rows(
        connection: sa.Connection,
        states: Collection[MailState] = tuple(MailState),
        *,
        journey: str | None = None,
        people: Collection[SubjectId] | None = None,
        limit: int = 1_000,
    ) -> list[MailRow]:
        """Mails, the latest changed first."""
        query = sa.select(tables.mail_outbox).where(_columns.state.in_([state.value for state in states]))
        if journey is not None:
            query = query.where(_columns.journey == journey)
        if people is not None:
            query = query.where(_columns.subject.in_(sorted(people)))
        query = query.order_by(_columns.changed_ms.desc(), _columns.key).limit(limit)
        return [typed(row, MailRow) for row in connection.execute(query).mappings()]

    @staticmethod
    def counts(connection: sa.Connection) -> dict[tuple[str, MailState, str], int]:
        """How many there are, by journey, state and reason: why it was not sent, or not as it was meant (`UNFIT`)."""
        columns = (_columns.journey, _columns.state, _columns.reason)
        query = sa.select(*columns, sa.func.count()).group_by(*columns).order_by(*columns)
        found: dict[tuple[str, MailState, str], int] = {}
        for journey, state, reason, count in connection.execute(query):
            key = (journey, MailState(state), "" if state == MailState.DUE else reason)
            found[key] = found.get(key, 0) + count
        return found

    @staticmethod
    def next_due_ms(connection: sa.Connection) -> int | None:
        """When the next one is due; None: nothing waits."""
        query = sa.select(sa.func.min(_columns.due_ms)).where(_columns.state == MailState.DUE.value)
        found: int | None = connection.execute(query).scalar_one()
        return found

    @staticmethod
    def has_work(connection: sa.Connection, *, now_ms: int) -> bool:
        """Whether a turn would find anything: what is due, too late, or was left by somebody who died."""
        waits = sa.and_(
            _columns.state == MailState.DUE.value, sa.or_(_columns.due_ms <= now_ms, _columns.not_after_ms < now_ms)
        )
        left = _columns.state.in_((MailState.WRITING.value, MailState.HANDING.value))
        return connection.execute(sa.select(_columns.key).where(sa.or_(waits, left)).limit(1)).first() is not None

    @staticmethod
    def went_since(connection: sa.Connection, people: Collection[SubjectId], since_ms: int, *, but: str) -> int:
        """How many mails these subjects got, or may have got, since a moment; without the one with the key `but`."""
        query = sa.select(sa.func.count()).where(
            _columns.subject.in_(sorted(people)),
            _columns.state.in_([state.value for state in WENT]),
            _columns.handed_ms > since_ms,
            _columns.key != but,
        )
        return int(connection.execute(query).scalar_one())

    # --- steps ---------------------------------------------------------------------------------------------------

    @staticmethod
    def reclaim(connection: sa.Connection, *, now_ms: int) -> tuple[int, int]:
        """What was left halfway: (how many are due again, how many became uncertain).

        Only for who has the lease, at the beginning of a turn, with all answers that he has written down.
        """
        again = sa.update(tables.mail_outbox).where(_columns.state == MailState.WRITING.value)
        due = connection.execute(again.values(state=MailState.DUE.value, holder="", changed_ms=now_ms)).rowcount
        lost = sa.update(tables.mail_outbox).where(_columns.state == MailState.HANDING.value)
        # The holder stays in the row: should he be alive after all, he may still say what became of it.
        uncertain = {"state": MailState.UNCERTAIN.value, "reason": "died", "changed_ms": now_ms}
        return due, connection.execute(lost.values(uncertain)).rowcount

    @staticmethod
    def expire(connection: sa.Connection, *, now_ms: int) -> int:
        """Give up what waits and whose time is over; returns how many."""
        late = (_columns.state == MailState.DUE.value, _columns.not_after_ms < now_ms)
        # Why it could not be sent before stays as its reason.
        values = {"state": MailState.EXPIRED.value, "holder": "", "changed_ms": now_ms}
        return connection.execute(sa.update(tables.mail_outbox).where(*late).values(values)).rowcount

    @staticmethod
    def forget(connection: sa.Connection, *, before_ms: int, most: int = 1_000) -> int:
        """Delete up to `most` mails that were over before a moment; returns how many."""
        over = [state.value for state in MailState if state not in OPEN]
        old = sa.select(_columns.key).where(_columns.state.in_(over), _columns.changed_ms < before_ms).limit(most)
        keys = list(connection.execute(old).scalars())
        return connection.execute(sa.delete(tables.mail_outbox).where(_columns.key.in_(keys))).rowcount if keys else 0

    @staticmethod
    def claim(connection: sa.Connection, holder: str, *, now_ms: int, most: int) -> list[MailRow]:
        """Take up to `most` mails that are due, those first that have been so for longest."""
        query = (
            sa.select(tables.mail_outbox)
            .where(_columns.state == MailState.DUE.value, _columns.due_ms <= now_ms, _columns.not_after_ms >= now_ms)
            .order_by(_columns.due_ms, _columns.key)
            .limit(most)
        )
        rows = [typed(row, MailRow) for row in connection.execute(query).mappings()]
        if rows:
            mine = sa.update(tables.mail_outbox).where(_columns.key.in_([row.key for row in rows]))
            connection.execute(
                mine.values(state=MailState.WRITING.value, holder=holder, changed_ms=now_ms, tries=_columns.tries + 1)
            )
        changed: dict[str, Any] = {"state": MailState.WRITING, "holder": holder, "changed_ms": now_ms}
        return [msgspec.structs.replace(row, tries=row.tries + 1, **changed) for row in rows]

    @staticmethod
    def is_mine(connection: sa.Connection, key: str, holder: str, state: MailState) -> bool:
        """Whether a mail is still where its holder believes it to be."""
        query = sa.select(_columns.key).where(_own(key, holder, (state,)))
        return connection.execute(query).first() is not None

    @staticmethod
    def hand(
        connection: sa.Connection,
        key: str,
        holder: str,
        *,
        now_ms: int,
        identifier: SubjectId,
        message_id: str,
        shown: Sequence[Shown],
    ) -> bool:
        """Write down that it may be leaving; False where it is not this holder's any more."""
        return _set(
            connection,
            (_own(key, holder, (MailState.WRITING,)),),
            MailState.HANDING,
            now_ms,
            handed_ms=now_ms,
            identifier=identifier,
            message_id=message_id,
            decision_id=shown[0].decision_id if shown else "",
            shown=msgspec.to_builtins(tuple(shown)),
            reason="",
            words="",
        )

    @staticmethod
    def sent(connection: sa.Connection, key: str, holder: str, *, now_ms: int, trouble: str = "") -> bool:
        """Write down that it was taken; also of one that somebody else took for uncertain meanwhile.

        `trouble`: what it did not say as it was meant to.
        """
        own = _own(key, holder, (MailState.HANDING, MailState.UNCERTAIN))
        reason = UNFIT if trouble else ""
        return _set(connection, (own,), MailState.SENT, now_ms, reason=reason, words=trouble[:MOST_WORDS])

    @staticmethod
    def again(
        connection: sa.Connection, key: str, holder: str, *, now_ms: int, due_ms: int, reason: str, words: str = ""
    ) -> MailState | None:
        """Back to `due`, for what certainly has not left: `expired` where that would be too late. None: not his."""
        own = _own(key, holder, (MailState.WRITING, MailState.HANDING))
        row = connection.execute(sa.select(_columns.not_after_ms).where(own)).one_or_none()
        if row is None:
            return None
        state = MailState.DUE if due_ms <= row.not_after_ms else MailState.EXPIRED
        _set(
            connection,
            (own,),
            state,
            now_ms,
            due_ms=due_ms,
            holder="",
            handed_ms=None,
            reason=reason,
            words=words[:MOST_WORDS],
        )
        return state

    @staticmethod
    def end(
        connection: sa.Connection,
        key: str,
        holder: str,
        state: MailState,
        *,
        now_ms: int,
        reason: str,
        words: str = "",
    ) -> bool:
        """Write down that it is over: `refused`, `dropped`, `uncertain`, `expired`; False where it is not his."""
        before = [from_ for from_, to in FOLLOWS.items() if state in to and from_ is not MailState.DUE]
        own = _own(key, holder, before)
        return _set(connection, (own,), state, now_ms, reason=reason, words=words[:MOST_WORDS])

    @staticmethod
    def resolve(connection: sa.Connection, decision_id: DecisionId, *, now_ms: int) -> MailRow | None:
        """Somebody has it before him that was uncertain: it was sent after all. Returns it, or None for no such."""
        found = (
            connection.execute(
                sa.select(tables.mail_outbox).where(
                    _columns.decision_id == decision_id, _columns.state == MailState.UNCERTAIN.value
                )
            )
            .mappings()
            .one_or_none()
        )
        if found is None:
            return None
        row = typed(found, MailRow)
        _set(connection, (_columns.key == row.key,), MailState.SENT, now_ms, reason="", words="found out by its reader")
        return row


def _own(key: str, holder: str, states: Collection[MailState]) -> sa.ColumnElement[bool]:
    return sa.and_(
        _columns.key == key, _columns.holder == holder, _columns.state.in_([state.value for state in states])
    )


def _set(
    connection: sa.Connection,
    where: Sequence[sa.ColumnElement[bool]],
    state: MailState,
    now_ms: int,
    **values: Any,
) -> bool:
    changed = sa.update(tables.mail_outbox).where(*where).values(state=state.value, changed_ms=now_ms, **values)
    return connection.execute(changed).rowcount == 1
