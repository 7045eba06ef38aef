"""What business systems' files brought: every import, and the vault of what they say of people in plain words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from edgewise.ids import MessageId, SubjectId
from edgewise.records import EventRecord
from hub.ledger import tables
from hub.ledger.dialect import Storage, among, chunks, upsert
from hub.ledger.records import columns_of, reading, whole
from hub.ledger.rows import ContactRow, SourceRun, typed
from hub.ledger.suppressed import erasures_of, is_erased

PAGE: Final = 1_000
_RANGES: Final = 200
"""Of ids, in one statement."""
_event = msgspec.msgpack.Decoder(EventRecord)


class SourceLedger:
    """Part of `Ledger`."""

    storage: Storage

    def source_runs(self) -> list[SourceRun]:
        """Every import of a source's file, oldest first."""
        columns = tables.source_runs.c
        query = sa.select(tables.source_runs).order_by(columns.started_ms, columns.source, columns.file_sha256)
        with self.storage.reading() as connection:
            return [typed(row, SourceRun) for row in connection.execute(query).mappings()]

    def note_run(self, run: SourceRun) -> None:
        """Keep what an import did."""
        row = msgspec.structs.asdict(run)
        keys = {column.name for column in tables.source_runs.primary_key.columns}
        with self.storage.writing() as connection:
            upsert(connection, tables.source_runs, [row], update=[name for name in row if name not in keys])

    def contact_sources(self) -> list[str]:
        """Whose rows the vault holds, also of sources that are no more."""
        with self.storage.reading() as connection:
            query = sa.select(tables.contact_records.c.source).distinct().order_by(tables.contact_records.c.source)
            return list(connection.execute(query).scalars())

    def contacts(self) -> Iterator[ContactRow]:
        """The whole vault, by source and key."""
        columns = tables.contact_records.c
        after = ("", "")
        while True:
            query = (
                sa.select(tables.contact_records)
                .where(sa.tuple_(columns.source, columns.key) > sa.tuple_(*after))
                .order_by(columns.source, columns.key)
                .limit(PAGE)
            )
            with self.storage.reading() as connection:
                page = [typed(row, ContactRow) for row in connection.execute(query).mappings()]
            yield from page
            if len(page) < PAGE:
                return
            after = (page[-1].source, page[-1].key)

    def contacts_of(self, subjects: Collection[SubjectId]) -> list[ContactRow]:
        """What the vault holds of one person's subjects, the newest first."""
        columns = tables.contact_records.c
        with self.storage.reading() as connection:
            query = sa.select(tables.contact_records).where(among(connection, columns.subject, sorted(subjects)))
            rows = [typed(row, ContactRow) for row in connection.execute(query).mappings()]
        return sorted(rows, key=lambda row: (-row.time_ms, row.source, row.key))

    def keep_contacts(self, contacts: Sequence[ContactRow]) -> int:
        """Keep what is newer than what is kept under the same source and key; returns how many that were.

        Of two that are equally new the one whose fields sort last stays, so that their order does not matter. What was
        said of somebody before he was erased stays away.
        """
        newest: dict[tuple[str, str], ContactRow] = {}
        for contact in contacts:
            place = (contact.source, contact.key)
            if place not in newest or _rank(contact) > _rank(newest[place]):
                newest[place] = contact
        columns = tables.contact_records.c
        with self.storage.writing() as connection:
            erased = erasures_of(connection, [contact.subject for contact in newest.values()])
            newest = {
                place: contact
                for place, contact in newest.items()
                if not is_erased(erased, [contact.subject], contact.time_ms)
            }
            for source in sorted({source for source, _ in newest}):
                keys = [key for of, key in newest if of == source]
                for some in chunks(keys):
                    query = sa.select(tables.contact_records).where(columns.source == source, columns.key.in_(some))
                    for row in connection.execute(query).mappings():
                        kept = typed(row, ContactRow)
                        if _rank(kept) >= _rank(newest[source, kept.key]):
                            del newest[source, kept.key]
            rows = [msgspec.structs.asdict(contact) for contact in newest.values()]
            upsert(connection, tables.contact_records, rows, update=("subject", "fields", "time_ms"))
        return len(newest)

    def events_named(self, message_ids: Sequence[MessageId]) -> dict[MessageId, EventRecord]:
        """The stored events among these."""
        columns = tables.events.c
        query = sa.select(*columns_of(tables.events))

        def read(connection: sa.Connection) -> list[tuple[int, bytes]]:
            rows = connection.execute(query.where(among(connection, columns.message_id, message_ids))).all()
            return whole(connection, rows)

        events = [_event.decode(payload) for _, payload in reading(self.storage, read)] if message_ids else []
        return {event.message_id: event for event in events}

    def fact_moments(self, source: str, items: Collection[str]) -> dict[str, int]:
        """Item -> when the newest numbers held that a source told of it, in milliseconds; of those that it told of."""
        columns = tables.fact_moments.c
        with self.storage.reading() as connection:
            query = sa.select(columns.item, columns.time_ms)
            rows = connection.execute(
                query.where(columns.source == source, among(connection, columns.item, list(items)))
            )
            return {row.item: row.time_ms for row in rows}

    def keep_fact_moments(self, source: str, moments: Mapping[str, int]) -> None:
        """Keep when numbers of items held."""
        rows = [{"source": source, "item": item, "time_ms": time_ms} for item, time_ms in moments.items()]
        with self.storage.writing() as connection:
            upsert(connection, tables.fact_moments, rows, update=("time_ms",))

    def statements_of(self, keys: Collection[str]) -> dict[str, list[MessageId]]:
        """Ids of stored events that begin with each of these, which end with `.`; in the order of storing."""
        columns = tables.events.c
        rows: list[tuple[int, str]] = []
        ordered = sorted(keys)
        with self.storage.reading() as connection:
            for start in range(0, len(ordered), _RANGES):
                some = ordered[start : start + _RANGES]
                # `/` comes right behind `.`; both databases compare bytes. Sorted here: asked to, SQLite would go
                # through the whole table by position
                each = [
                    sa.select(columns.position, columns.message_id).where(
                        columns.message_id >= key, columns.message_id < f"{key[:-1]}/"
                    )
                    for key in some
                ]
                rows += [(row.position, row.message_id) for row in connection.execute(sa.union_all(*each))]
        found: dict[str, list[MessageId]] = {}
        for _, message_id in sorted(rows):
            found.setdefault(message_id[: message_id.rindex(".") + 1], []).append(MessageId(message_id))
        return found


def _rank(contact: ContactRow) -> tuple[int, bytes]:
    return contact.time_ms, msgspec.json.encode([contact.subject, contact.fields], order="sorted")
