"""The ledger: opened by URL, migrated, written in whole batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import sqlalchemy as sa

from edgewise.errors import EdgewiseError
from edgewise.ids import Producer, SubjectId
from edgewise.records import EventRecord, PreferenceRecord
from hub.ledger import tables
from hub.ledger.batch import Batch, place
from hub.ledger.dialect import chunks, upsert
from hub.ledger.facts import FactRows
from hub.ledger.grouping import forget
from hub.ledger.lake import LakeRows, mark_stale
from hub.ledger.migrate import migrate
from hub.ledger.opening import storage_at
from hub.ledger.people import PeopleRows
from hub.ledger.place import ledger_url
from hub.ledger.reading import RecordReader
from hub.ledger.registry import Registry
from hub.ledger.sources import SourceLedger
from hub.ledger.storing import append_events, store_batches
from hub.ledger.suggestions import SuggestionRows
from hub.ledger.writing import POSITION, Stored, take

__all__ = ["LAKE", "Ledger", "ledger_url", "open_ledger"]

LAKE: Final = "lake"
"""Folder of whole records that are old, inside a data folder."""


@contextmanager
def open_ledger(data_dir: Path) -> Iterator[Ledger]:
    """The ledger of a data folder, closed at the end. Raises what `Ledger.open` raises."""
    ledger = Ledger.of(data_dir)
    try:
        yield ledger
    finally:
        ledger.close()


class Ledger(RecordReader, Registry, FactRows, PeopleRows, LakeRows, SourceLedger, SuggestionRows):
    """Reading and writing. Safe to use from several threads; writers queue, readers do not wait."""

    @classmethod
    def of(cls, data_dir: Path, database: str = "") -> Self:
        """The ledger of a data folder; `database` is a hub's setting. Raises as `ledger_url` and `open`."""
        return cls.open(ledger_url(data_dir, database), data_dir / LAKE)

    @classmethod
    def open(cls, url: str, lake_dir: Path | None = None) -> Self:
        """Open, and create or upgrade the tables.

        `lake_dir` is where whole records lie once they are old; by default beside a SQLite file.

        Raises InputError for a URL that is none, UnavailableError when the database cannot be used.
        """
        storage = storage_at(url, lake_dir)
        try:
            migrate(storage)
        except EdgewiseError:
            storage.close()
            raise
        return cls(storage)

    def close(self) -> None:
        """Close every connection."""
        self.storage.close()

    def store(self, batches: Sequence[Batch], now_ms: int) -> Stored:
        """Store batches in one transaction, each exactly once however often it is sent.

        Raises UnavailableError when the database refuses; then nothing of them is stored.
        """
        placed = [(batch, place(batch)) for batch in batches]  # decoded before the writer's place is taken
        with self.storage.writing() as connection:
            return store_batches(connection, placed, now_ms)

    def append(
        self, name: Producer, events: Sequence[EventRecord | PreferenceRecord], now_ms: int
    ) -> tuple[Stored, int]:
        """Store events that nobody has numbered yet, under `import/NAME` or `hook/NAME`, as `append_events` says."""
        with self.storage.writing() as connection:
            return append_events(connection, name, events, now_ms)

    def erase(self, subject: SubjectId, now_ms: int) -> dict[str, int]:
        """Forget what the ledger holds of a subject; returns how many rows went, by table.

        Numbers stay taken: the producer's mark does not move back, so nothing is asked for again.
        """
        gone: dict[str, int] = {}
        with self.storage.writing() as connection:
            mark_stale(connection, [subject])
            ids = connection.execute(
                sa.select(tables.decisions.c.decision_id).where(tables.decisions.c.subject == subject)
            ).scalars()
            gone["rewards"] = sum(
                connection.execute(sa.delete(tables.rewards).where(tables.rewards.c.decision_id.in_(some))).rowcount
                for some in chunks(list(ids))
            )
            for table in (tables.events, tables.decisions, tables.preferences, tables.duplicates, tables.profiles):
                gone[table.name] = connection.execute(sa.delete(table).where(table.c.subject == subject)).rowcount
            for name, count in gone.items():
                if count:
                    take(connection, name, -count)
            revision = take(connection, POSITION, 1)
            forget(connection, [subject], revision)
            row = {"subject": subject, "time_ms": now_ms, "revision": revision}
            upsert(connection, tables.erasures, [row], update=("time_ms", "revision"))
        if any(partition.is_stale for partition in self.lake.partitions()):
            self.lake.rewrite([subject])
        return gone
