"""Forgetting people, and what is to be known of it: who asked, whom the list names, how far nodes have followed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from edgewise.ids import NodeId, SubjectId
from hub.ledger import tables
from hub.ledger.dialect import Storage, upsert
from hub.ledger.forgetting import Removed, erase
from hub.ledger.lake import Lake
from hub.ledger.suppression import Suppression, SuppressionList
from hub.ledger.writing import take


class NodeErasures(NamedTuple):
    """How far a node has carried out erasures."""

    node: NodeId
    list: str
    through: int
    updated_ms: int


class ErasureRequest(NamedTuple):
    """A visitor asked a node to be erased."""

    id: str
    subject: SubjectId
    time_ms: int


class Erasing:
    """Part of `Ledger`."""

    storage: Storage

    @property
    def lake(self) -> Lake:
        """As `hub.ledger.lake.LakeRows`."""
        return Lake(self.storage)

    def erase(self, subject: SubjectId, now_ms: int) -> dict[str, int]:
        """Forget one subject, whatever else is known of the person; returns how many rows went, by table."""
        with self.storage.writing() as connection:
            gone = erase(connection, [subject], now_ms, forever=False, keeps_later=False)
        self._empty_lake([subject])
        return {name: removed.rows for name, removed in gone.items()}

    def erasable(self, subjects: Sequence[SubjectId]) -> dict[str, Removed]:
        """What erasing them would remove now, by table: done, counted and undone."""
        with self.storage.writing() as connection, connection.begin_nested() as trial:
            gone = erase(connection, subjects, 0, forever=False, keeps_later=False)
            trial.rollback()
        return gone

    def follow(self, listed: SuppressionList) -> dict[int, dict[str, Removed]]:
        """Carry out every erasure of the list that this ledger has not; number -> table -> what went.

        Nothing to do is found out by one look at a counter. A ledger that was restored from a backup does here what it
        had done before: its counter is as old as the rest of it.
        """
        name, entries = listed.listed()
        done: dict[int, dict[str, Removed]] = {}
        if self._followed(name) >= len(entries):
            return done
        for entry in entries:
            with self.storage.writing() as connection:
                counter = _counter(name)
                if _value(connection, counter) < entry.number:
                    done[entry.number] = _carry_out(connection, entry)
                    take(connection, counter, 1)
            if entry.number in done and (rewritten := self._empty_lake(entry.subjects)):
                done[entry.number]["lake"] = rewritten
        return done

    def erased_since(self, time_ms: int) -> int:
        """How many subjects were erased whose time ended then or later: what they did is in no count any more."""
        query = sa.select(sa.func.count()).where(tables.erasures.c.time_ms >= time_ms)
        with self.storage.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def is_behind(self, listed: SuppressionList) -> bool:
        """Whether the list holds an erasure that this ledger has not carried out."""
        name, entries = listed.listed()
        return self._followed(name) < len(entries)

    def erased_through(self, step: str, name: str) -> int:
        """Up to which number of the list `name` a step was done that comes after the ledger (`hub.rights.erasure`)."""
        with self.storage.reading() as connection:
            return _value(connection, _counter(name, step))

    def note_erased(self, step: str, name: str, through: int) -> None:
        """A step was done up to this number."""
        row = {"name": _counter(name, step), "value": through}
        with self.storage.writing() as connection:
            upsert(connection, tables.counters, [row], update=("value",))

    def _empty_lake(self, subjects: Sequence[SubjectId]) -> Removed | None:
        """Write the files of old records anew that hold what was deleted; None where none does."""
        if not self.lake.needs_rewriting():
            return None
        records, files = self.lake.rewrite(subjects)
        return Removed(rows=records, files=files)

    def _followed(self, name: str) -> int:
        with self.storage.reading() as connection:
            return _value(connection, _counter(name))

    # --- who asked ------------------------------------------------------------------------------------------------
    def erasure_requests(self, limit: int = 100) -> list[ErasureRequest]:
        """What visitors asked for and has not been done, oldest first."""
        columns = tables.erasure_requests.c
        query = (
            sa.select(columns.id, columns.subject, columns.time_ms)
            .where(columns.certificate.is_(None))
            .order_by(columns.time_ms, columns.id)
            .limit(limit)
        )
        with self.storage.reading() as connection:
            return [ErasureRequest(*row) for row in connection.execute(query)]

    def answer_request(self, request_id: str, certificate: str) -> None:
        """Note under which certificate a request was carried out."""
        columns = tables.erasure_requests.c
        with self.storage.writing() as connection:
            connection.execute(
                sa.update(tables.erasure_requests).where(columns.id == request_id).values(certificate=certificate)
            )

    # --- what nodes say -------------------------------------------------------------------------------------------
    def confirm_erasures(self, node: NodeId, name: str, through: int, now_ms: int) -> None:
        """A node says that it has carried out the list `name` up to the number `through`."""
        row = {"node": node, "log": name, "through": through, "updated_ms": now_ms}
        with self.storage.writing() as connection:
            upsert(connection, tables.node_erasures, [row], update=("log", "through", "updated_ms"))

    def node_erasures(self) -> list[NodeErasures]:
        """What every node has confirmed, by name."""
        columns = tables.node_erasures.c
        query = sa.select(columns.node, columns.log, columns.through, columns.updated_ms).order_by(columns.node)
        with self.storage.reading() as connection:
            return [NodeErasures(*row) for row in connection.execute(query)]


def _counter(name: str, step: str = "") -> str:
    return f"suppressions/{name}/{step}" if step else f"suppressions/{name}"


def _value(connection: sa.Connection, counter: str) -> int:
    query = sa.select(tables.counters.c.value).where(tables.counters.c.name == counter)
    return connection.execute(query).scalar_one_or_none() or 0


def _carry_out(connection: sa.Connection, entry: Suppression) -> dict[str, Removed]:
    return erase(connection, list(entry.subjects), entry.time_ms, forever=entry.forever, keeps_later=entry.keeps_later)
