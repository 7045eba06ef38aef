"""The ledger: opened by URL, migrated, written in whole batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from edgewise.errors import EdgewiseError
from edgewise.ids import Producer
from edgewise.records import EventRecord, PreferenceRecord
from hub.durable import locked
from hub.ledger.batch import Batch, place
from hub.ledger.code_leases import CodeLeases
from hub.ledger.code_redemptions import CodeRedemptions
from hub.ledger.erasing import Erasing
from hub.ledger.expiring import Expiring
from hub.ledger.facts import FactRows
from hub.ledger.flags import FlagRows
from hub.ledger.journeys import JourneyRows
from hub.ledger.lake import LakeRows
from hub.ledger.learning import LearningRows
from hub.ledger.migrate import migrate
from hub.ledger.opening import storage_at
from hub.ledger.outcomes import OutcomeRows
from hub.ledger.pace import PaceRows
from hub.ledger.people import PeopleRows
from hub.ledger.place import ledger_url
from hub.ledger.ramps import RampRows
from hub.ledger.reading import RecordReader
from hub.ledger.registry import Registry
from hub.ledger.sources import SourceLedger
from hub.ledger.storing import append_events, store_batches
from hub.ledger.suggestions import SuggestionRows
from hub.ledger.suppression import SuppressionList
from hub.ledger.writing import Stored

__all__ = ["LAKE", "Ledger", "ledger_url", "open_ledger"]

LAKE: Final = "lake"
"""Folder of whole records that are old, inside a data folder."""
RIGHTS_LOCK: Final = "rights.lock"
"""Held by whoever carries out erasures on a data folder."""


@contextmanager
def open_ledger(data_dir: Path) -> Iterator[Ledger]:
    """The ledger of a data folder, closed at the end; who was erased since its backup was made is gone from it again.

    Raises what `Ledger.open` and `SuppressionList.listed` raise.
    """
    ledger = Ledger.of(data_dir)
    try:
        ledger.catch_up(data_dir)
        yield ledger
    finally:
        ledger.close()


class Ledger(
    RecordReader,
    Registry,
    FactRows,
    PeopleRows,
    LakeRows,
    SourceLedger,
    SuggestionRows,
    FlagRows,
    LearningRows,
    RampRows,
    CodeLeases,
    CodeRedemptions,
    JourneyRows,
    PaceRows,
    OutcomeRows,
    Erasing,
    Expiring,
):
    """Reading and writing. Safe to use from several threads; writers queue, readers do not wait."""

    @classmethod
    def of(cls, data_dir: Path, database: str = "") -> Self:
        """The ledger of a data folder; `database` is a hub's setting. Raises as `ledger_url` and `open`."""
        return cls.open(ledger_url(data_dir, database), data_dir / LAKE)

    @classmethod
    def open(cls, url: str, lake_dir: Path | None = None) -> Self:
        """Open, and create or upgrade the tables.

        `lake_dir` is where whole records of a PostgreSQL database lie once they are old; a SQLite file has them beside
        it.

        Raises InputError for a URL that is none, UnavailableError when the database cannot be used.
        """
        storage = storage_at(url, lake_dir)
        try:
            migrate(storage)
        except EdgewiseError:
            storage.close()
            raise
        return cls(storage)

    def catch_up(self, data_dir: Path) -> int:
        """Erase again who is back with a backup, before anybody is served; returns how many erasures that were.

        Raises what `SuppressionList.listed` raises.
        """
        listed = SuppressionList(data_dir)
        if not self.is_behind(listed):
            return 0
        # Whoever is erasing counts what goes: it must not go under his hands.
        with locked(data_dir / RIGHTS_LOCK):
            return len(self.follow(listed))

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
