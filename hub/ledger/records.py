"""Whole records, wherever they lie: in the database while they are young, in the lake once they are old."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from edgewise.errors import UnavailableError
from hub.lake.partition import PartitionGone
from hub.lake.shelf import Shelf
from hub.ledger import tables
from hub.ledger.dialect import Storage, id_chunks

T = TypeVar("T")
_TRIES: Final = 5


def columns_of(table: sa.Table) -> tuple[sa.ColumnElement[Any], ...]:
    """What `whole` needs of a row: position, partition, record."""
    partition = table.c.partition if "partition" in table.c else sa.null().label("partition")
    return table.c.position, partition, table.c.record


def whole(connection: sa.Connection, rows: Sequence[Any], *, subject: str | None = None) -> list[tuple[int, bytes]]:
    """(position, record) of rows with `columns_of`, in their order; `subject`: they are all one subject's.

    Raises PartitionGone when a file was written anew since the view was opened: `reading` looks again then.
    """
    by_partition: dict[int, list[int]] = {}
    for row in rows:
        if row.partition is not None:
            by_partition.setdefault(row.partition, []).append(row.position)
    found: dict[int, bytes] = {}
    shelf = shelf_of(connection)
    for some in id_chunks(list(by_partition)):
        files = connection.execute(
            sa.select(tables.partitions.c.partition, tables.partitions.c.file).where(
                tables.partitions.c.partition.in_(some)
            )
        )
        for partition, file in files.all():
            positions = by_partition[partition]
            found |= shelf.at(file, positions) if subject is None else shelf.of(file, subject, positions)
    if lost := next((row for row in rows if row.partition is not None and row.position not in found), None):
        raise UnavailableError(
            f"the record at {lost.position} lies in partition {lost.partition}, of which nothing is known"
        )
    return [(row.position, row.record if row.partition is None else found[row.position]) for row in rows]


def payloads_of(connection: sa.Connection, subject: str) -> list[bytes]:
    """Every event, decision and statement of a subject, as they came; see `whole`."""
    found: list[bytes] = []
    for table in (tables.events, tables.decisions, tables.preferences):
        rows = connection.execute(sa.select(*columns_of(table)).where(table.c.subject == subject)).all()
        found += [record for _, record in whole(connection, rows, subject=subject)]
    return found


def reading(storage: Storage, read: Callable[[sa.Connection], T]) -> T:
    """What `read` finds in one view, or in a newer one where a file of the lake was replaced meanwhile."""
    for _ in range(_TRIES - 1):
        try:
            with storage.reading() as connection:
                return read(connection)
        except PartitionGone:
            continue
    with storage.reading() as connection:
        return read(connection)


def shelf_of(connection: sa.Connection) -> Shelf:
    """The lake of the ledger that a connection belongs to."""
    shelf: Shelf = connection.get_execution_options()["shelf"]
    return shelf
